"""Many streams of one model at once: input taken in by one batch of the front end, frames computed as one packed
batch. Company changes no bit of a stream's results, and what overflows in one stream (`Record.fault`) is its own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

from ostinato.errors import DivergedError, OstinatoError, StreamError
from ostinato.events import Event
from ostinato.kernels.finite import all_finite
from ostinato.kernels.operations import Region
from ostinato.pipeline.pieces import each_part, joined, split
from ostinato.streaming.beam_search import Ahead, search, searching
from ostinato.streaming.finite import finite_parts
from ostinato.streaming.frames import Float32
from ostinato.streaming.generation import draw, step
from ostinato.streaming.heads import Head
from ostinato.streaming.lone import push_frame
from ostinato.streaming.options import BoundedWait
from ostinato.streaming.record import Record
from ostinato.streaming.utterance import placed
from ostinato.streaming.writing import write


def accept(records: Sequence[Record], data: Sequence[Any]) -> list[OstinatoError | None]:
    """`Record.accept` of checked data for many different streams of one model, their front ends in one batch.

    Returns each stream's error, or None; a stream with an error is as if its data had not come.
    """
    _one_model(records)
    errors: list[OstinatoError | None] = [None] * len(records)
    batch: list[tuple[Record, Any, int]] = []
    for i, (record, each) in enumerate(zip(records, data, strict=True)):
        try:
            batch.append((record, each, record.admit(each)))
        except StreamError as error:
            errors[i] = error
    if batch:
        front_end = batch[0][0].model.front_end
        made, counts = front_end.step_many([record.front for record, _, _ in batch], [each for _, each, _ in batch])
        for (record, _, units), frames in zip(batch, split(made, counts), strict=True):
            try:
                record.receive(units, frames)
            except Exception as error:
                record.lose(error)
            if not record.causal:
                record.queue.own()  # these may wait; those of causal streams are computed next, by `advance`
    return errors


def push(
    records: Sequence[Record], data: Sequence[Any], lengths: Sequence[int], max_frames: int | None = None
) -> list[list[Event]]:
    """`accept`, then `advance`, of causal streams in which nothing waits: in one go where nothing is unusual.

    Stream i has the next lengths[i] units of checked ``data``, as `each_part` takes it apart. Returns the events of
    each; those of a stream that refuses its data, or overflows, stop there, and its `Record.fault` says why. The
    caller sees to it that the streams are different ones of one model, open, and generate
    nothing."""
    if not all(record.plain and not record.queue.count for record in records):
        accept(records, each_part(data, lengths))
        return advance(records, max_frames)
    frames, counts = records[0].model.front_end.step_many([record.front for record in records], data, lengths)
    return push_frames(records, lengths, frames, counts, max_frames)


def push_alone(record: Record, data: Any, units: int) -> list[Event]:
    """`push` for one stream, which has so many units of checked ``data``."""
    frames, counts = record.model.front_end.step_many([record.front], [data])
    if len(frames) == 1:
        return push_frame(record, units, frames)
    return push_frames([record], [units], frames, counts, None)[0]


def push_frames(
    records: Sequence[Record], lengths: Sequence[int], frames: Float32, counts: Sequence[int], max_frames: int | None
) -> list[list[Event]]:
    """`push`, of which the front end has made ``frames``, counts[i] of stream i."""
    model = records[0].model
    most = model.runner.max_rows if max_frames is None else max_frames
    if not 0 < min(counts) <= max(counts) <= most or len(frames) > model.runner.max_rows:
        for record, units, part in zip(records, lengths, split(frames, counts), strict=True):
            record.receive(units, part)
        return advance(records, max_frames)
    if len(frames) == 1:
        return [push_frame(records[0], lengths[0], frames)]
    regions = _regions(_heads(records))
    outputs = model.runner.run(model.states.rows, [record.slot for record in records], frames, counts, regions)
    return decode_frames(records, lengths, frames, counts, regions, outputs)


def decode_frames(
    records: Sequence[Record],
    lengths: Sequence[int],
    frames: Float32,
    counts: Sequence[int],
    regions: Sequence[Region],
    outputs: Sequence[Float32],
) -> list[list[Event]]:
    """`push_frames`, which are computed: ``outputs`` is what is in each of these ``regions``."""
    if len(_heads(records)) > 1 or not all_finite(outputs[0]):
        parts = split(frames, counts)
        for record, units, part in zip(records, lengths, parts, strict=True):
            record.receive(units, part)
            record.queue.take(len(part))
        return _decode(_by_head(records, counts, regions, outputs), parts)
    decoded = _events(records, frames, outputs[0], counts)
    for record, units, count, events in zip(records, lengths, counts, decoded, strict=True):
        record.computed(units, count)
        if events:
            placed(events, record.utterance, record.utterance_ms)
    return decoded


def advance(records: Sequence[Record], max_frames: int | None = None) -> list[list[Event]]:
    """Compute what is ready in many different streams of one model, together; the events of each. A stream that
    generates, and has no other frame, draws a token, and that is its frame. One that generates from a source draws a
    token once it has what that is drawn from.

    At most ``max_frames`` of each stream, if given, but at least a block with bounded wait. Finished utterances of
    bidirectional streams are computed whole; of what has not ended, what needs no later frame is computed early. The
    events of a stream that overflows end there, and its `Record.fault` says so."""
    _one_model(records)
    if all(record.draws for record in records) and len(_heads(records)) == 1:
        most = records[0].model.runner.max_rows
        return [events for first in range(0, len(records), most) for events in step(records[first : first + most])]
    events: list[list[Event]] = [[] for _ in records]
    if all(record.searches for record in records):
        for i, tokens in search(records, max_frames):
            events[i] = tokens
        _advance_frames(_todo(records, max_frames), events, searching(records))
        return events
    for i, record in enumerate(records):
        while utterance := record.next_finished():
            try:
                while not utterance.step():
                    pass
            except Exception as error:
                record.lose(error)
            events[i] += utterance.events
    for i, tokens in [*draw(records), *search(records, max_frames)]:
        events[i] += tokens
    todo = _todo(records, max_frames)
    _advance_frames([each for each in todo if each[1].causal], events, searching(records))
    _advance_frames([each for each in todo if not each[1].causal and each[1].wait is None], events)
    _advance_blocks([each for each in todo if each[1].wait is not None], events)
    for i, tokens in write(records):
        events[i] += tokens
    return events


Todo = list[tuple[int, Record, int]]
"""Streams by their position among ``events``, and how many frames of each are to be computed."""


def _todo(records: Sequence[Record], max_frames: int | None) -> Todo:
    """What is ready of these, at most so many frames of each."""
    todo = [(i, record, ready) for i, record in enumerate(records) if (ready := record.ready)]
    return todo if max_frames is None else [(i, record, min(ready, max_frames)) for i, record, ready in todo]


def _advance_frames(todo: Todo, events: list[list[Event]], growing: Sequence[Record] = ()) -> None:
    """Of causal streams: compute and decode so many frames, and compute the hypotheses of those whose beams are
    ``growing``; of whole utterances: compute them early."""
    while growing and not todo:
        ahead, growing = Ahead.of(growing, growing[0].model.runner.max_rows)
        model, regions = ahead.records[0].model, _regions(_heads(ahead.records))
        frames, counts = joined(ahead.frames, model.front_end.frame_size), [1] * len(ahead.slots)
        outputs = model.runner.run(model.states.rows, ahead.slots, frames, counts, regions)
        ahead.keep(dict(zip(regions, outputs, strict=True)))
    while todo or growing:
        batch: list[tuple[int, Record]] = []
        parts: list[Float32] = []
        later: Todo = []
        model = (growing[0] if growing else todo[0][1]).model
        ahead, growing = Ahead.of(growing, model.runner.max_rows)
        room = max(model.runner.max_rows - len(ahead.slots), 0)
        for i, record, most in todo:
            if count := min(record.queue.count, most, room):
                batch.append((i, record))
                parts.append(record.queue.take(count))
                room -= count
            if record.queue.count:
                if most > count:
                    later.append((i, record, most - count))
                else:
                    record.queue.own()
        records, counts = [record for _, record in batch], [len(each) for each in parts]
        slots = [record.slot for record in records]
        frames = joined([*parts, *ahead.frames], model.front_end.frame_size)
        if ahead.records or records[0].causal:
            regions, own = _regions(_heads([*records, *ahead.records])), sum(counts)
            all_slots, all_counts = slots + ahead.slots, counts + [1] * len(ahead.slots)
            outputs = model.runner.run(model.states.rows, all_slots, frames, all_counts, regions)
            decoded = _decode(_by_head(records, counts, regions, [each[:own] for each in outputs]), parts)
            for (i, _), each in zip(batch, decoded, strict=True):
                events[i] += each
            ahead.keep({region: each[own:] for region, each in zip(regions, outputs, strict=True)})
        else:
            early = model.runner.run_early(model.states.rows, slots, frames, counts)
            for record, rows in zip(records, split(early, counts), strict=True):
                record.rows.append(rows)
        todo = [each for each in later if each[1].fault is None]


def _advance_blocks(todo: Todo, events: list[list[Event]]) -> None:
    """Of streams with bounded wait: compute and decode so many frames, a block at least, equal blocks together."""
    while todo:
        equal: dict[BoundedWait, list[tuple[int, Record]]] = defaultdict(list)
        for i, record, _ in todo:
            if record.wait:
                equal[record.wait].append((i, record))
        for wait, members in equal.items():
            size = max(1, members[0][1].model.runner.max_rows // wait.frames)
            for first in range(0, len(members), size):
                records = [record for _, record in members[first : first + size]]
                frames = [record.queue.peek(wait.frames) for record in records]
                model, regions = records[0].model, _regions(_heads(records))
                slots = [record.slot for record in records]
                outputs = model.runner.run_blocks(model.states.rows, slots, frames, wait.block, regions)
                frames = [record.queue.take(wait.block) for record in records]
                decoded = _decode(_by_head(records, [wait.block] * len(records), regions, outputs), frames)
                for (i, _), each in zip(members[first : first + size], decoded, strict=True):
                    events[i] += each
        todo = [
            (i, s, most - s.wait.block) for i, s, most in todo if s.wait and most > s.wait.block and s.fault is None
        ]


class HeadBatch(NamedTuple):
    """The streams of one head in a batch: their ``positions`` in it, how many frames each has, and the ``outputs`` of
    the first, then of the second, …"""

    positions: Sequence[int]
    records: Sequence[Record]
    counts: Sequence[int]
    outputs: Float32


def _heads(records: Sequence[Record]) -> list[Head]:
    """Where the streams' outputs go."""
    return list(dict.fromkeys([record.sink for record in records]))


def _regions(heads: Sequence[Head]) -> list[Region]:
    """Where in a row the outputs of these heads are, each place once: heads that expect other words share theirs."""
    return list(dict.fromkeys([head.region for head in heads]))


def _by_head(
    records: Sequence[Record], counts: Sequence[int], regions: Sequence[Region], outputs: Sequence[Float32]
) -> list[HeadBatch]:
    """The streams of each head. ``outputs`` are those of all streams, counts[i] rows of stream i, in each of these
    regions."""
    found: dict[Head, list[int]] = {}
    for position, record in enumerate(records):
        found.setdefault(record.sink, []).append(position)
    rows = dict(zip(regions, outputs, strict=True))
    if len(found) == 1:
        return [HeadBatch(range(len(records)), records, counts, rows[records[0].sink.region])]
    parts = {region: split(rows[region], counts) for region in regions}
    return [
        HeadBatch(
            positions,
            [records[i] for i in positions],
            [counts[i] for i in positions],
            joined([parts[head.region][i] for i in positions], head.region.size),
        )
        for head, positions in found.items()
    ]


def _decode(batches: Sequence[HeadBatch], frames: Sequence[Float32]) -> list[list[Event]]:
    """The events of all streams of a batch, of which stream i has ``frames[i]``."""
    decoded: list[list[Event]] = [[] for _ in frames]
    for each in batches:
        mine = [frames[position] for position in each.positions]
        for position, events in zip(each.positions, _decode_head(each.records, mine, each.outputs), strict=True):
            decoded[position] = events
    return decoded


def _decode_head(records: Sequence[Record], frames: Sequence[Float32], outputs: Float32) -> list[list[Event]]:
    """`_decode` for streams of one head."""
    if not all_finite(outputs):
        return _decode_finite(records, frames, outputs)
    decoded = _events(records, frames, outputs, [len(each) for each in frames])
    for i, (record, each) in enumerate(zip(records, frames, strict=True)):
        try:
            decoded[i] = record.decoded(each, decoded[i])
        except Exception as error:
            record.lose(error, each)
    return decoded


def _events(
    records: Sequence[Record], frames: Float32 | Sequence[Float32], outputs: Float32, counts: Sequence[int]
) -> list[list[Event]]:
    """What the decoder of these streams' head makes of each one's outputs. A fault that it meets in one of them is
    that stream's alone."""
    if len(records) == 1:  # as often, and then what many share is not needed
        try:
            return [records[0].sink.decoder.step(records[0].decoder_state, outputs)]
        except Exception as error:
            records[0].lose(error, frames[0] if isinstance(frames, Sequence) else frames)
            return [[]]
    states = [record.decoder_state for record in records]
    decoded: list[list[Event]] = []
    try:
        decoded.extend(records[0].sink.decoder.step_many(states, outputs, counts))
    except Exception as error:
        at, parts = len(decoded), frames if isinstance(frames, Sequence) else split(frames, counts)
        records[at].lose(error, parts[at])
        decoded.append([])
        for record, each, part in list(zip(records, parts, split(outputs, counts), strict=True))[at + 1 :]:
            decoded += _events([record], [each], part, [len(each)])
    return decoded


def _decode_finite(records: Sequence[Record], frames: Sequence[Float32], outputs: Float32) -> list[list[Event]]:
    """`_decode_head` up to the first outputs of each stream that are not finite, where its utterance is lost."""
    finite, kept = finite_parts(outputs, [len(each) for each in frames])
    decoded = _decode_head(records, [each[:count] for each, count in zip(frames, finite, strict=True)], kept)
    for record, each, count in zip(records, frames, finite, strict=True):
        if count < len(each):
            record.lose(DivergedError.at(record.decoder_state.frames), each[count:])
    return decoded


def _one_model(records: Sequence[Record]) -> None:
    if len(records) == 1:
        return
    if len({id(record.model) for record in records}) > 1 or len({id(record) for record in records}) < len(records):
        raise ValueError("the streams must be different ones of one model")
