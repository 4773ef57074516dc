"""Many streams of one model at once: input taken in by one batch of the front end, frames computed as one packed
batch. Company changes no bit of a stream's results."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ostinato.errors import OstinatoError, StreamError
from ostinato.events import Event
from ostinato.streaming.options import BoundedWait
from ostinato.streaming.packed import MAX_ROWS

if TYPE_CHECKING:
    from ostinato.streaming.frames import Float32
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
        frames = front_end.step_many([stream._front for stream, _, _ in batch], [each for _, each, _ in batch])
        for (stream, _, units), made in zip(batch, frames, strict=True):
            stream._received(units, made)
    return errors


def advance(streams: Sequence[Stream], max_frames: int | None = None) -> list[list[Event]]:
    """Compute what is ready in many different streams of one model, together; the events of each.

    At most ``max_frames`` of each stream, if given, but at least a block with bounded wait. Finished utterances of
    bidirectional streams are computed whole; of what has not ended, what needs no later frame is computed early."""
    _one_model(streams)
    events: list[list[Event]] = [[] for _ in streams]
    for i, stream in enumerate(streams):
        while run := stream.next_run():
            while not run.step():
                pass
            events[i] += run.events
    left = [stream.ready if max_frames is None else min(stream.ready, max_frames) for stream in streams]
    while batch := _next_frames(streams, left):
        _advance_frames(streams, batch, events)
    while blocks := _next_blocks(streams, left):
        for wait, members in blocks.items():
            _advance_blocks(streams, wait, members, events)
    return events


def _next_frames(streams: Sequence[Stream], left: list[int]) -> list[tuple[int, Float32]]:
    """Frames of those streams that need not wait for a block, as many as go into one call of the kernel."""
    batch: list[tuple[int, Float32]] = []
    room = MAX_ROWS
    for i, stream in enumerate(streams):
        if stream.wait is None and (count := min(left[i], room)):
            batch.append((i, stream._queue.take(count)))
            left[i] -= count
            room -= count
    return batch


def _advance_frames(streams: Sequence[Stream], batch: list[tuple[int, Float32]], events: list[list[Event]]) -> None:
    model = streams[0].model
    slots = [streams[i]._slot for i, _ in batch]
    frames = [each for _, each in batch]
    if streams[0].causal:
        for (i, each), out in zip(batch, model.runner.run(model.states.rows, slots, frames), strict=True):
            events[i] += streams[i]._decode(each, out)
    else:
        for (i, _), rows in zip(batch, model.runner.run_early(model.states.rows, slots, frames), strict=True):
            streams[i]._rows.append(rows)


def _next_blocks(streams: Sequence[Stream], left: list[int]) -> dict[BoundedWait, list[int]]:
    """The streams of which a block is ready, by its size: each such batch is a rectangle."""
    groups: dict[BoundedWait, list[int]] = defaultdict(list)
    for i, stream in enumerate(streams):
        if stream.wait and left[i] > 0 and stream.ready:
            groups[stream.wait].append(i)
            left[i] -= stream.wait.block
    return groups


def _advance_blocks(
    streams: Sequence[Stream], wait: BoundedWait, members: list[int], events: list[list[Event]]
) -> None:
    model = streams[0].model
    size = max(1, MAX_ROWS // wait.frames)
    for first in range(0, len(members), size):
        part = members[first : first + size]
        frames = [streams[i]._queue.peek(wait.frames) for i in part]
        slots = [streams[i]._slot for i in part]
        outputs = model.runner.run_blocks(model.states.rows, slots, frames, wait.block)
        for i, out in zip(part, outputs, strict=True):
            events[i] += streams[i]._decode(streams[i]._queue.take(wait.block), out)


def _one_model(streams: Sequence[Stream]) -> None:
    if len({id(stream.model) for stream in streams}) > 1 or len({id(stream) for stream in streams}) < len(streams):
        raise ValueError("the streams must be different ones of one model")
