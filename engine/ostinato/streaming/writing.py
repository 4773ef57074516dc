"""Texts that are made of a source: an encoder keeps what it makes of that in a memory, and each token is drawn from
what the tokens before it and a look at the memory give.

    source ──> [encoder] ──> memory          all of it, or with wait-k as much as the token may see
                               │ looked up
    start ──> [frame] ──> outputs ──> draw ──> token event
                 ▲                      │
                 └──────── token ───────┘

Unlike a stream that goes on with its own text (`generation`), one has not taken its last token in between two steps:
that waits for more of the source.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import compress
from typing import NamedTuple

import numpy as np

from ostinato.errors import DivergedError
from ostinato.events import Event
from ostinato.kernels.finite import all_finite
from ostinato.model.decoders import Generation
from ostinato.pipeline import sampling as pipeline
from ostinato.sampling import MAX_BEAMS, Sampling
from ostinato.streaming.frames import Float32
from ostinato.streaming.generation import said
from ostinato.streaming.heads import Head
from ostinato.streaming.record import Record
from ostinato.streaming.snapshot import Generating, Writing
from ostinato.streaming.utterance import placed
from ostinato.streaming.writer import Writer


class _Due(NamedTuple):
    """A stream by its ``position``, whose next token sees so many frames of its memory."""

    position: int
    record: Record
    writing: Writing
    going: Generating
    seen: int


def write(records: Sequence[Record]) -> list[tuple[int, list[Event]]]:
    """Draw a token for each stream that has what it is drawn from: by its position, the events."""
    if not records or records[0].model.writer is None:
        return []
    due = list(_due(records))
    found = [(each.position, _ended(each)) for each in due if not each.seen or not each.going.left]
    due = [each for each in due if each.seen and each.going.left]
    most = records[0].model.writer.runner.max_rows
    for first in range(0, len(due), most):
        found += _step(records[0].model.writer, due[first : first + most])
    growing = [record for record in records if record.beam is not None and record.beam.due]
    for first in range(0, len(growing), max(1, most // MAX_BEAMS)):
        _grow(records[0].model.writer, growing[first : first + max(1, most // MAX_BEAMS)])
    return found


def _due(records: Sequence[Record]) -> Iterator[_Due]:
    for i, record in enumerate(records):
        if record.beam is not None and record.beam.begun:
            continue  # its hypotheses go on from what they have
        seen, writing, going = record.sees, record.writing, record.going
        if seen is not None and writing is not None and going is not None:
            yield _Due(i, record, writing, going, seen)


def _ended(due: _Due) -> list[Event]:
    """Of a source without a frame nothing is made; and a text that reached its bound before its source ended, ends
    behind its last token, as it does that reaches it later."""
    record, frame, time_ms = due.record, 0, 0.0
    if due.seen:
        wait_k, frame = record.options.wait_k or 0, due.writing.count - 1
        time_ms = record.sink.decoder.time_ms(min(frame + wait_k, record.decoder_state.frames) - 1)
    record.end_generation()
    return placed([Event("end-of-generation", frame, time_ms)], record.utterance, record.utterance_ms)


def _step(writer: Writer, due: Sequence[_Due]) -> list[tuple[int, list[Event]]]:
    """One token of each of these streams."""
    memories = [each.record.decoder_state.memory for each in due]
    by_head: dict[Head, list[int]] = defaultdict(list)
    for number, (each, memory) in enumerate(zip(due, memories, strict=True)):
        by_head[each.record.head].append(number)
        if not each.writing.count:
            writer.begin(each.record.pen, memory.frames[each.seen - 1])
    outputs = writer.step(
        [each.record.pen for each in due],
        [each.writing.token for each in due],
        memories,
        [each.seen for each in due],
        [head.region for head in by_head],
    )
    found: list[tuple[int, list[Event]]] = []
    for (head, numbers), rows in zip(by_head.items(), outputs, strict=True):
        found += _draw([due[number] for number in numbers], head, rows[numbers])
    return found


def _grow(writer: Writer, records: Sequence[Record]) -> None:
    """What the model gives behind the last tokens of all hypotheses of these streams."""
    rows = [
        (record, writing, beam)
        for record in records
        if (beam := record.beam) is not None and (writing := record.writing) is not None
    ]
    counts = [len(beam.scores) for _, _, beam in rows]
    memories = [record.decoder_state.memory for record in records]
    heads = list(dict.fromkeys([record.head for record in records]))
    outputs = writer.step(
        [slot for (_, _, beam), count in zip(rows, counts, strict=True) for slot in beam.slots[:count]],
        [token for _, _, beam in rows for token in beam.last.tolist()],
        [memory for memory, count in zip(memories, counts, strict=True) for _ in range(count)],
        [memory.count for memory, count in zip(memories, counts, strict=True) for _ in range(count)],
        [head.region for head in heads],
    )
    given, end = dict(zip(heads, outputs, strict=True)), 0
    for (record, writing, beam), count in zip(rows, counts, strict=True):
        start, end = end, end + count
        beam.due, beam.outputs = False, given[record.head][start:end].copy()
        if not all_finite(beam.outputs):
            record.lose(DivergedError.at(writing.count + beam.ahead - 1))


def _draw(due: list[_Due], head: Head, outputs: Float32) -> list[tuple[int, list[Event]]]:
    """`_step` for streams of one head, whose ``outputs`` are a row each."""
    if not all_finite(outputs):
        good = np.asarray(np.isfinite(outputs).all(axis=1))
        for each in compress(due, ~good):
            each.record.lose(DivergedError.at(each.writing.count))
        due, outputs = list(compress(due, good)), outputs[good]
    early = [_before_the_end(each) for each in due]
    for each, row, waits in zip(due, outputs, early, strict=True):
        if (beam := each.record.beam) is not None and not waits:  # its search begins
            beam.begin(each.record.written, row)
    drawn = [each.record.beam is None or waits for each, waits in zip(due, early, strict=True)]
    due, early, outputs = list(compress(due, drawn)), list(compress(early, drawn)), outputs[drawn]
    settings = head.settings
    assert isinstance(settings, Generation)
    if not due:
        return []
    if settings.end is not None:
        outputs[early, settings.end] = 0.0 if head.probabilities else -np.inf
    samplings, counts = [_sampling(each) for each in due], [each.writing.count for each in due]
    found: list[tuple[int, list[Event]]] = []
    for each, token, chance in zip(due, *pipeline.draw(outputs, head.probabilities, samplings, counts), strict=True):
        writing, time_ms = each.writing, each.record.sink.decoder.time_ms(each.seen - 1)
        found.append((each.position, said(each.record, token, chance, writing.count, time_ms)))
        writing.token = token
        writing.count += 1
    return found


def _sampling(due: _Due) -> Sampling:
    """How the token is drawn: before a search begins, as the stream was opened."""
    return due.going.sampling if due.record.beam is None else due.record.options.sampling or Sampling()


def _before_the_end(due: _Due) -> bool:
    """Whether the token might see more of the source than it does: no text ends there. It depends on the source
    alone, not on whether its end is known by now."""
    wait_k = due.record.options.wait_k
    return wait_k is not None and due.writing.count + wait_k <= due.record.decoder_state.frames
