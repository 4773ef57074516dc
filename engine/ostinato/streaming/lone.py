"""A frame that comes alone, as those of a stream in real time do.

Between two of them the network's weights have been read, and have driven most else out of the nearer caches: so what
is done around the network costs less by how long it takes than by how much code and data it touches.
"""

from __future__ import annotations

from typing import Any

from ostinato.errors import DivergedError
from ostinato.events import Event
from ostinato.pipeline.front_ends.frames import FramesFrontEnd
from ostinato.streaming.frames import Float32
from ostinato.streaming.record import Record
from ostinato.streaming.utterance import placed


def push_frame(record: Record, units: int, frame: Float32) -> list[Event]:
    """One frame [1, size] of a causal stream in which nothing waits, which the front end made of so many units,
    computed and decoded."""
    model = record.model
    outputs, finite = model.runner.run_alone(model.states.rows, record.slot, frame, record.sink.region)
    return _decoded(record, units, frame, outputs, finite)


class Lone:
    """The shortest way of a stream's input that is a frame already, of a front end that passes frames on as they
    are."""

    __slots__ = ("_take",)

    def __init__(self, record: Record) -> None:
        self._take = record.model.runner.alone(record.model.states.rows).into(record.sink.region)

    @staticmethod
    def of(record: Record) -> Lone | None:
        """That of a stream, if there is one for it."""
        front_end = record.model.front_end
        passes = isinstance(front_end, FramesFrontEnd) and not front_end.normalise
        return Lone(record) if passes and record.plain and record.writing is None else None

    def push(self, record: Record, data: Any) -> list[Event] | None:
        """The events of unchecked ``data``; None, and nothing is done, if it is not one frame, or the stream does not
        take it at once: the usual way says why."""
        if record.closed or record.fault is not None or record.generating is not None or record.queue.count:
            return None
        if (found := self._take(record.slot, data)) is None:
            return None
        outputs, finite = found
        return _decoded(record, 1, data, outputs, finite)


def _decoded(record: Record, units: int, frame: Float32, outputs: Float32, finite: bool) -> list[Event]:
    """The events of a frame, [1, size] or [size], that is computed."""
    if not finite:
        frame = frame.reshape(1, -1)
        record.receive(units, frame)
        record.queue.take(1)
        record.lose(DivergedError.at(record.decoder_state.frames), frame)
        return []
    events: list[Event]
    try:
        events = record.sink.decoder.step(record.decoder_state, outputs)
    except Exception as error:
        record.lose(error, frame.reshape(1, -1))
        events = []
    record.computed(units, 1)
    return placed(events, record.utterance, record.utterance_ms) if events else events
