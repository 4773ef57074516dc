"""Beam search: streams that do not draw their next token, but search for the likeliest text.

    outputs of all hypotheses ──> the best of all that are a token longer ──> [frames] ──> outputs ──> …
                                           │
                                           └── what all have in common ──> token events, the stream's own frames

The variant: Sutskever et al. 2014, with the length penalty of Wu et al. 2016, and as fairseq (Ott et al. 2019) and
transformers have it: of all hypotheses that are a token longer, the ``beams`` best that do not end go on; one that
ends is finished if it is among the ``beams`` best of all. A text's score is log P / lp(tokens, the end token too); of
those that are finished the best is kept, of equal ones the first. The search ends when no open hypothesis can beat
it, whatever comes: that is exact, as log P only falls and lp is largest at the bound of tokens, where all end.

Of equal hypotheses the one goes before whose beginning does, then the one with the lower token. Logarithms are of
float64, by the kernels' own functions, so all machines find the same text.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ostinato.errors import DivergedError
from ostinato.events import Event
from ostinato.kernels.finite import all_finite
from ostinato.kernels.operations import Region
from ostinato.model.decoders import Generation
from ostinato.model.front_ends import Tokens
from ostinato.pipeline import beam as pipeline
from ostinato.pipeline.pieces import joined
from ostinato.streaming.beam import Beam
from ostinato.streaming.frames import Float32
from ostinato.streaming.heads import Head
from ostinato.streaming.record import Record
from ostinato.streaming.utterance import placed


def search(records: Sequence[Record], max_tokens: int | None) -> list[tuple[int, list[Event]]]:
    """Let the hypotheses of each stream that has some, and nothing left to tell, grow by a token, and tell what is
    decided, at most so many tokens of each: by the stream's position, the events. The hypotheses' last tokens are
    then due (`Ahead`; `writing`), and what was told waits as the stream's own frames."""
    by_head: dict[Head, list[tuple[Record, Beam]]] = defaultdict(list)
    searching: list[tuple[int, Record, Beam]] = []
    for i, record in enumerate(records):
        beam = record.beam
        if beam is None:
            continue
        if not beam.begun:
            if record.queue.count or record.writing is not None:  # the prompt, or the source (`writing` begins)
                continue
            beam.begin(record.state, record.decoder_state.outputs)
        searching.append((i, record, beam))
        if not beam.decided and not _grow(record, beam):
            by_head[record.head].append((record, beam))
    for head, group in by_head.items():
        _extend(head, group)
    return [
        (i, placed(_tell(record, beam, max_tokens), record.utterance, record.utterance_ms))
        for i, record, beam in searching
        if beam.decided
    ]


def _grow(record: Record, beam: Beam) -> bool:
    """Let a beam's hypotheses grow; False where that is not enough."""
    head, going = record.head, record.generating
    assert isinstance(head.settings, Generation) and going is not None
    return beam.grow(head.probabilities, head.settings.end, beam.told + going.left)


def _extend(head: Head, group: Sequence[tuple[Record, Beam]]) -> None:
    settings = head.settings
    assert isinstance(settings, Generation)
    found = pipeline.extend(
        joined([beam.outputs for _, beam in group], head.region.size),
        head.probabilities,
        [len(beam.scores) for _, beam in group],
        [beam.width for _, beam in group],
        settings.end,
        np.concatenate([beam.scores for _, beam in group]),
    )
    for (record, beam), each in zip(group, found, strict=True):
        going = record.generating
        assert going is not None
        beam.extend(each, going.sampling.length_penalty, settings.end, beam.told + going.left)


def _tell(record: Record, beam: Beam, max_tokens: int | None) -> list[Event]:
    """Events for what is decided, as far as there is room for it; the tokens wait to be computed as frames."""
    front_end, settings, going = record.model.network.specification.front_end, record.head.settings, record.generating
    assert isinstance(front_end, Tokens) and isinstance(settings, Generation) and going is not None
    time_ms, vocabulary, writing = record.head.decoder.time_ms, front_end.vocabulary, record.writing
    most = record.room if max_tokens is None else min(record.room, max_tokens)
    last = record.decoder_state.frames + record.queue.count - 1
    if writing is not None:  # its tokens are counted by themselves, and all know the whole source
        ended_ms = record.sink.decoder.time_ms(last)
        last, time_ms = writing.count, lambda _: ended_ms
    events: list[Event] = []
    tokens: list[int] = []
    while beam.decided and len(tokens) < most:
        token, chance = beam.decided.popleft()
        if token == settings.end:  # no text has it but as its last
            events.append(Event("end-of-generation", last, time_ms(last), "", token, chance))
        else:
            events.append(Event("token", last, time_ms(last), vocabulary[token], token, chance))
            going.left -= 1
            beam.told += 1
        tokens.append(token)
        last += 1
    if beam.over and not beam.decided:
        if events[-1].kind == "token":
            events.append(Event("end-of-generation", last - 1, time_ms(last - 1)))
        record.end_generation()
    if writing is None:
        record.receive(0, np.array(tokens, np.float32)[:, None])
    elif tokens:
        writing.token, writing.count = tokens[-1], last
    return events


@dataclass(slots=True)
class Ahead:
    """Hypotheses whose last tokens are to be computed: rows of a batch beside streams' own. ``counts[i]`` of them are
    of records[i], in its beam's first slots."""

    records: list[Record]
    slots: list[int]
    counts: list[int]
    frames: list[Float32]

    @staticmethod
    def of(records: Sequence[Record], room: int) -> tuple[Ahead, Sequence[Record]]:
        """Those of the first streams, about as many as there is room for, and the streams that are left."""
        ahead = Ahead([], [], [], [])
        for i, record in enumerate(records):
            beam = record.beam
            assert beam is not None
            count = len(beam.scores)
            if ahead.slots and len(ahead.slots) + count > room:
                return ahead, records[i:]
            ahead.records.append(record)
            ahead.slots += beam.slots[:count]
            ahead.counts.append(count)
            ahead.frames.append(beam.last[:, None].astype(np.float32))
        return ahead, []

    def keep(self, outputs: Mapping[Region, Float32]) -> None:
        """What the model gives behind these tokens, a row of ``outputs`` [n, vocabulary] for each, by the region of
        the stream's head. Where they are not finite, the stream's utterance is lost."""
        end = 0
        for record, count in zip(self.records, self.counts, strict=True):
            start, end = end, end + count
            beam = record.beam
            assert beam is not None
            beam.due = False
            beam.outputs = outputs[record.head.region][start:end].copy()
            if not all_finite(beam.outputs):
                record.lose(DivergedError.at(record.decoder_state.frames + record.queue.count + beam.ahead - 1))


def searching(records: Sequence[Record]) -> list[Record]:
    """Those of the streams whose hypotheses are to be computed beside frames: not those of sources, which look a
    memory up."""
    return [each for each in records if each.beam is not None and each.beam.due and each.writing is None]
