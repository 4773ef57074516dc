"""Many streams of one model at once: input taken in by one batch of the front end, frames computed as one packed
batch. Company changes no bit of a stream's results, and what overflows in one stream (`Stream.fault`) is its own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ostinato.errors import DivergedError, OstinatoError, StreamError
from ostinato.events import Event
from ostinato.pipeline.pieces import each_part, joined, split
from ostinato.streaming.finite import all_finite, finite_parts
from ostinato.streaming.options import BoundedWait
from ostinato.streaming.packed import MAX_ROWS
from ostinato.streaming.utterance import placed

if TYPE_CHECKING:
    from ostinato.streaming.frames import Float32
    from ostinato.streaming.heads import Head
    from ostinato.streaming.stream import Stream


def accept(streams: Sequence[Stream], data: Sequence[Any]) -> list[OstinatoError | None]:
    """`Stream.accept` of checked data for many different streams of one model, their front ends in one batch.

    Returns each stream's error, or None; a stream with an error is as if its data had not come.
    """
    _one_model(streams)
    errors: list[OstinatoError | None] = [None] * len(streams)
    batch: list[tuple[Stream, Any, int]] = []
    for i, (stream, each) in enumerate(zip(streams, data, strict=True)):
        try:
            batch.append((stream, each, stream._admit(each)))
        except StreamError as error:
            errors[i] = error
    if batch:
        front_end = batch[0][0].model.front_end
        made, counts = front_end.step_many([stream._front for stream, _, _ in batch], [each for _, each, _ in batch])
        for (stream, _, units), frames in zip(batch, split(made, counts), strict=True):
            try:
                stream._received(units, frames)
            except Exception as error:
                stream.lose(error)
            if not stream.causal:
                stream._queue.own()  # these may wait; those of causal streams are computed next, by `advance`
    return errors


def push(
    streams: Sequence[Stream], data: Sequence[Any], lengths: Sequence[int], max_frames: int
) -> list[list[Event]]:
    """`accept`, then `advance`, of causal streams in which nothing waits: in one go where nothing is unusual.

    Stream i has the next lengths[i] units of checked ``data``, as `each_part` takes it apart. Returns the events of
    each; those of a stream that refuses its data, or overflows, stop there, and its `Stream.fault` says why. The
    caller sees to it that the streams are different ones of one model, and open."""
    if not all(stream.plain and not stream._queue.count for stream in streams):
        accept(streams, each_part(data, lengths))
        return advance(streams, max_frames)
    model = streams[0].model
    frames, counts = model.front_end.step_many([stream._front for stream in streams], data, lengths)
    if not 0 < min(counts) <= max(counts) <= max_frames or len(frames) > MAX_ROWS:
        for stream, units, part in zip(streams, lengths, split(frames, counts), strict=True):
            stream._received(units, part)
        return advance(streams, max_frames)
    heads = _heads(streams)
    regions = [head.region for head in heads]
    outputs = model.runner.run(model.states.rows, [stream._slot for stream in streams], frames, counts, regions)
    if len(heads) > 1 or not all_finite(outputs[0]):
        parts = split(frames, counts)
        for stream, units, part in zip(streams, lengths, parts, strict=True):
            stream._received(units, part)
            stream._queue.take(len(part))
        return _decode(_alike(streams, counts, heads, outputs), parts)
    decoded = _events(streams, frames, outputs[0], counts)
    for stream, units, count, events in zip(streams, lengths, counts, decoded, strict=True):
        stream.units_in += units
        stream._utterance_units += units
        stream.frames_in += count
        stream.frames_out += count
        if events:
            placed(events, stream.utterance, stream.utterance_ms)
    return decoded


def advance(streams: Sequence[Stream], max_frames: int | None = None) -> list[list[Event]]:
    """Compute what is ready in many different streams of one model, together; the events of each.

    At most ``max_frames`` of each stream, if given, but at least a block with bounded wait. Finished utterances of
    bidirectional streams are computed whole; of what has not ended, what needs no later frame is computed early. The
    events of a stream that overflows end there, and its `Stream.fault` says so."""
    _one_model(streams)
    events: list[list[Event]] = [[] for _ in streams]
    for i, stream in enumerate(streams):
        while run := stream.next_run():
            try:
                while not run.step():
                    pass
            except Exception as error:
                stream.lose(error)
            events[i] += run.events
    todo = [(i, stream, ready) for i, stream in enumerate(streams) if (ready := stream.ready)]
    if max_frames is not None:
        todo = [(i, stream, min(ready, max_frames)) for i, stream, ready in todo]
    if streams and streams[0].causal:
        _advance_frames(todo, events)
        return events
    _advance_frames([each for each in todo if each[1].wait is None], events)
    _advance_blocks([each for each in todo if each[1].wait is not None], events)
    return events


Todo = list[tuple[int, "Stream", int]]
"""Streams by their place among ``events``, and how many frames of each are to be computed."""


def _advance_frames(todo: Todo, events: list[list[Event]]) -> None:
    """Of causal streams: compute and decode so many frames; of whole utterances: compute them early."""
    while todo:
        batch: list[tuple[int, Stream]] = []
        parts: list[Float32] = []
        later: Todo = []
        room = MAX_ROWS
        for i, stream, most in todo:
            if count := min(stream._queue.count, most, room):
                batch.append((i, stream))
                parts.append(stream._queue.take(count))
                room -= count
            if stream._queue.count:
                if most > count:
                    later.append((i, stream, most - count))
                else:
                    stream._queue.own()
        streams, counts = [stream for _, stream in batch], [len(each) for each in parts]
        model = streams[0].model
        slots = [stream._slot for stream in streams]
        frames = joined(parts, model.front_end.frame_size)
        if streams[0].causal:
            heads = _heads(streams)
            regions = [head.region for head in heads]
            outputs = model.runner.run(model.states.rows, slots, frames, counts, regions)
            decoded = _decode(_alike(streams, counts, heads, outputs), parts)
            for (i, _), each in zip(batch, decoded, strict=True):
                events[i] += each
        else:
            early = model.runner.run_early(model.states.rows, slots, frames, counts)
            for stream, rows in zip(streams, split(early, counts), strict=True):
                stream._rows.append(rows)
        todo = [each for each in later if each[1].fault is None]


def _advance_blocks(todo: Todo, events: list[list[Event]]) -> None:
    """Of streams with bounded wait: compute and decode so many frames, a block at least, equal blocks together."""
    while todo:
        equal: dict[BoundedWait, list[tuple[int, Stream]]] = defaultdict(list)
        for i, stream, _ in todo:
            if stream.wait:
                equal[stream.wait].append((i, stream))
        for wait, members in equal.items():
            size = max(1, MAX_ROWS // wait.frames)
            for first in range(0, len(members), size):
                streams = [stream for _, stream in members[first : first + size]]
                frames = [stream._queue.peek(wait.frames) for stream in streams]
                model, heads = streams[0].model, _heads(streams)
                slots, regions = [stream._slot for stream in streams], [head.region for head in heads]
                outputs = model.runner.run_blocks(model.states.rows, slots, frames, wait.block, regions)
                frames = [stream._queue.take(wait.block) for stream in streams]
                decoded = _decode(_alike(streams, [wait.block] * len(streams), heads, outputs), frames)
                for (i, _), each in zip(members[first : first + size], decoded, strict=True):
                    events[i] += each
        todo = [
            (i, s, most - s.wait.block) for i, s, most in todo if s.wait and most > s.wait.block and s.fault is None
        ]


class Alike(NamedTuple):
    """The streams of one head in a batch: their ``places`` in it, how many frames each has, and the ``outputs`` of
    the first, then of the second, …"""

    places: Sequence[int]
    streams: Sequence[Stream]
    counts: Sequence[int]
    outputs: Float32


def _heads(streams: Sequence[Stream]) -> list[Head]:
    """The heads that the streams have."""
    return list(dict.fromkeys([stream.head for stream in streams]))


def _alike(
    streams: Sequence[Stream], counts: Sequence[int], heads: Sequence[Head], outputs: Sequence[Float32]
) -> list[Alike]:
    """The streams of each of these heads. ``outputs`` are those of all streams, counts[i] rows of stream i, from each
    head's region."""
    if len(heads) == 1:
        return [Alike(range(len(streams)), streams, counts, outputs[0])]
    found: list[Alike] = []
    for head, rows in zip(heads, outputs, strict=True):
        places = [place for place, stream in enumerate(streams) if stream.head is head]
        parts = split(rows, counts)
        own = joined([parts[place] for place in places], head.region.size)
        found.append(Alike(places, [streams[i] for i in places], [counts[i] for i in places], own))
    return found


def _decode(alike: Sequence[Alike], frames: Sequence[Float32]) -> list[list[Event]]:
    """The events of all streams of a batch, of which stream i has ``frames[i]``."""
    decoded: list[list[Event]] = [[] for _ in frames]
    for each in alike:
        mine = [frames[place] for place in each.places]
        for place, events in zip(each.places, _decode_alike(each.streams, mine, each.outputs), strict=True):
            decoded[place] = events
    return decoded


def _decode_alike(streams: Sequence[Stream], frames: Sequence[Float32], outputs: Float32) -> list[list[Event]]:
    """`_decode` for streams of one head."""
    if not all_finite(outputs):
        return _decode_finite(streams, frames, outputs)
    decoded = _events(streams, frames, outputs, [len(each) for each in frames])
    for i, (stream, each) in enumerate(zip(streams, frames, strict=True)):
        try:
            decoded[i] = stream._decoded(each, decoded[i])
        except Exception as error:
            stream.lose(error, each)
    return decoded


def _events(
    streams: Sequence[Stream], frames: Float32 | Sequence[Float32], outputs: Float32, counts: Sequence[int]
) -> list[list[Event]]:
    """What the decoder of these streams' head makes of each one's outputs. A fault that it meets in one of them is
    that stream's alone."""
    states = [stream._decoder_state for stream in streams]
    decoded: list[list[Event]] = []
    try:
        decoded.extend(streams[0].head.decoder.step_many(states, outputs, counts))
    except Exception as error:
        at, parts = len(decoded), frames if isinstance(frames, Sequence) else split(frames, counts)
        streams[at].lose(error, parts[at])
        decoded.append([])
        for stream, each, part in list(zip(streams, parts, split(outputs, counts), strict=True))[at + 1 :]:
            decoded += _events([stream], [each], part, [len(each)])
    return decoded


def _decode_finite(streams: Sequence[Stream], frames: Sequence[Float32], outputs: Float32) -> list[list[Event]]:
    """`_decode_alike` up to the first outputs of each stream that are not finite, where its utterance is lost."""
    finite, kept = finite_parts(outputs, [len(each) for each in frames])
    decoded = _decode_alike(streams, [each[:count] for each, count in zip(frames, finite, strict=True)], kept)
    for stream, each, count in zip(streams, frames, finite, strict=True):
        if count < len(each):
            stream.lose(DivergedError.at(stream._decoder_state.frames), each[count:])
    return decoded


def _one_model(streams: Sequence[Stream]) -> None:
    if len({id(stream.model) for stream in streams}) > 1 or len({id(stream) for stream in streams}) < len(streams):
        raise ValueError("the streams must be different ones of one model")
