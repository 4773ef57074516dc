"""Streams that feed themselves: a token is drawn from what the last frame gave, and is the next frame.

    prompt ──> [frame] ──> outputs ──> draw ──> token event
                  ▲                      │
                  └──────── token ───────┘

Between two steps a stream has taken in all that it said, and its decoder keeps the outputs that the next token is
drawn from. So a generation may be paused, kept, forked, given other settings or ended between any two tokens.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from ostinato.errors import InputError
from ostinato.events import Event
from ostinato.model.decoders import Generation
from ostinato.model.front_ends import Tokens
from ostinato.pipeline import sampling as pipeline
from ostinato.pipeline.state import expect
from ostinato.sampling import MAX_LONGEST, Sampling
from ostinato.streaming.frames import Float32
from ostinato.streaming.heads import Head
from ostinato.streaming.record import Record, told_again
from ostinato.streaming.snapshot import Generating
from ostinato.streaming.utterance import placed


def begin(record: Record, sampling: Sampling | None, longest: int | None) -> None:
    """Let a stream generate; one that does already goes on with what is given instead, and the rest as it was.

    Raises InputError if it has no head that does, nothing to begin with, or ``longest`` is out of range;
    StreamClosedError, and the fault of an utterance that is lost. The stream is then as before."""
    record.need_open()
    settings = _settings(record)
    if longest is not None and (type(longest) is not int or not 1 <= longest <= MAX_LONGEST):
        raise InputError(f"longest = {longest!r} is not a whole number of tokens from 1 to {MAX_LONGEST}")
    if record.fault is not None:
        raise told_again(record.fault)
    going = record.generating
    if going is None:
        record.receive(0, record.model.front_end.flush(record.front))  # the prompt's last word is complete
        if not record.decoder_state.frames + record.queue.count:
            if settings.start is None:
                raise InputError(
                    f"there is nothing to begin with: push a prompt first (head {record.head.name!r} of "
                    f"{record.model.name!r} has no start token)"
                )
            _feed(record, settings.start)
        going = Generating(Sampling(), settings.longest)
    record.generating = Generating(sampling or going.sampling, longest or going.left)


def check_restored(record: Record) -> None:
    """Raise SnapshotError unless a stream that is just restored can generate, if it does."""
    settings, state = record.head.settings, record.decoder_state
    if isinstance(settings, Generation):
        expect(len(state.outputs) in (0, record.head.region.size), "the last outputs are not of the model's size")
    if (going := record.generating) is not None:
        expect(isinstance(settings, Generation), "a stream generates that has no head for it")
        expect(1 <= going.left <= MAX_LONGEST, "the tokens that are left are out of range")
        expect(bool(state.frames + record.queue.count), "a stream generates from nothing")


def draw(records: Sequence[Record]) -> list[tuple[int, list[Event]]]:
    """Draw a token for each stream that generates and has no other frame to compute: by its position, the events. The
    token waits to be computed as its next frame."""
    by_head: dict[Head, list[int]] = defaultdict(list)
    for i, record in enumerate(records):
        if record.generating is not None and record.fault is None and not record.queue.count:
            by_head[record.head].append(i)
    return [each for head, positions in by_head.items() for each in _draw(head, positions, records)]


def _draw(head: Head, positions: list[int], records: Sequence[Record]) -> list[tuple[int, list[Event]]]:
    states = [records[i].decoder_state for i in positions]
    going = [records[i].generating for i in positions]
    samplings = [each.sampling for each in going if each is not None]
    tokens, chances = pipeline.draw(
        np.stack([state.outputs for state in states]),
        head.probabilities,
        samplings,
        [state.frames - 1 for state in states],
    )
    return [
        (i, _taken(records[i], token, chance)) for i, token, chance in zip(positions, tokens, chances, strict=True)
    ]


def _taken(record: Record, token: int, chance: float) -> list[Event]:
    """What a stream says by a token that was drawn, which becomes its next frame."""
    going, settings = record.generating, _settings(record)
    assert going is not None
    last = record.decoder_state.frames - 1
    time_ms = record.head.decoder.time_ms(last)
    end = Event("end-of-generation", last, time_ms)
    if token == settings.end:
        record.generating = None
        end.index, end.probability = token, chance
        events = [end]
    else:
        front_end = record.model.network.specification.front_end
        assert isinstance(front_end, Tokens)
        events = [Event("token", last, time_ms, front_end.vocabulary[token], token, chance)]
        going.left -= 1
        if not going.left:
            record.generating = None
            events.append(end)
    _feed(record, token)
    return placed(events, record.utterance, record.utterance_ms)


def _feed(record: Record, token: int) -> None:
    frame: Float32 = np.array([[token]], np.float32)
    record.receive(0, frame)


def _settings(record: Record) -> Generation:
    """Those of the stream's head. Raises InputError if it does not generate."""
    settings = record.head.settings
    if isinstance(settings, Generation):
        return settings
    heads = record.model.heads.all.values()
    able = [repr(head.name) for head in heads if isinstance(head.settings, Generation)]
    if able and record.options.decoder:
        cure = "open the stream without a decoder of its own"
    elif able:
        cure = f"open the stream with head {' or '.join(able)}"
    else:
        cure = (
            "only a language model does, whose head has the decoder 'generation': tokens in, forward layers, and an "
            "output for each entry of the vocabulary"
        )
    raise InputError(f"head {record.head.name!r} of {record.model.name!r} does not generate: {cure}")
