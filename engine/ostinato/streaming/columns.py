"""Streams of one model that do the usual: what comes is a chunk of each, and most of them decide nothing.

What they count is then kept in rows of a table, and a whole tick's chunks are counted by compiled code. A record is
in the columns, and stale, from `Columns.enter` to `Columns.leave`, which brings it up to date: whoever enters it sees
to that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ostinato.events import Event
from ostinato.kernels import prepare
from ostinato.kernels.columns import COUNTED, KEPT, SKIP, TAIL, decide
from ostinato.streaming.batch import decode_frames, push_frames
from ostinato.streaming.frames import Float32
from ostinato.streaming.pipeline import Pipeline
from ostinato.streaming.record import Record
from ostinato.streaming.utterance import placed

Int64 = npt.NDArray[np.int64]


class Computed(NamedTuple):
    """How many frames of each stream were computed; by position, the events of those that decided something, and of
    those that have left the columns."""

    counts: Int64
    told: dict[int, list[Event]]
    left: dict[int, list[Event]]


class Columns:
    """The rows of a model's streams, by their slots."""

    def __init__(self, model: Pipeline) -> None:
        prepare(decide)
        self._model = model
        self._head = next(iter(model.heads.all.values()))
        self._table = np.zeros((model.max_streams, COUNTED), np.int64)
        self._told = self._head.decoder.resting(self._head.decoder.start())[1]
        self._decisions = np.empty((4, 0), np.int64)

    @staticmethod
    def fit(model: Pipeline) -> bool:
        """Whether streams of the model can be in columns: if its front end keeps no more than samples, and its first
        head's decoder has an index at which it rests."""
        front_end, decoder = model.front_end, next(iter(model.heads.all.values())).decoder
        return front_end.place(front_end.start()) is not None and decoder.resting(decoder.start()) is not None

    def enter(self, record: Record) -> bool:
        """Put a record into the columns, if nothing about it is unusual."""
        usual = record.plain and record.fault is None and record.generating is None and not record.waiting
        if not usual or record.closed or record.sink is not self._head:
            return False
        place = record.model.front_end.place(record.front)
        if place is None:  # another sample rate
            return False
        resting, _ = record.sink.decoder.resting(record.decoder_state)
        self._table[record.slot] = 0, 0, *place, resting, record.decoder_state.frames
        return True

    def leave(self, record: Record) -> None:
        """Bring a record up to date that has been in the columns."""
        units, frames, _, kept, skip, resting, _ = self._table[record.slot].tolist()
        record.computed(units, frames)
        record.sink.decoder.put_back(record.decoder_state, frames, resting)
        record.model.front_end.put_back(record.front, kept, skip)

    def push(
        self, records: Callable[[int], Record], slots: Int64, data: Sequence[Any], lengths: Int64, most: int
    ) -> Computed:
        """`push` of streams that are in the columns, all different: the one at slots[i] has the next lengths[i] units
        of checked ``data``, in pieces as they came; ``records(i)`` is its record. Those that met a fault
        (`Record.fault`) have left the columns."""
        model, table, front_end = self._model, self._table, self._model.front_end
        places = np.ascontiguousarray(table[slots, TAIL : SKIP + 1].T)
        frames, counts = front_end.step_places(places, data, lengths)
        table[slots, KEPT : SKIP + 1] = places[1:].T
        numbers, units = counts.tolist(), lengths.tolist()
        if max(numbers) > most or len(frames) > model.runner.max_rows:
            everybody = [self._up_to_date(records(i)) for i in range(len(numbers))]
            events = push_frames(everybody, units, frames, numbers, most)
            return self._told_or_left(everybody, counts, events)
        outputs = self._run(slots, frames, counts, numbers)
        if self._decisions.shape[1] < len(outputs):
            self._decisions = np.empty((4, len(outputs)), np.int64)
        found = decide(outputs, self._told, counts, lengths, slots, table, self._decisions)
        if found < 0:
            everybody = [self._up_to_date(records(i)) for i in range(len(numbers))]
            events = decode_frames(everybody, units, frames, numbers, [self._head.region], [outputs])
            return self._told_or_left(everybody, counts, events)
        told: dict[int, list[Event]] = {}
        for i, frame, index, row in self._decisions[:, :found].T.tolist():
            event = self._head.decoder.decided(frame, index, float(outputs[row, index]))
            told.setdefault(i, []).append(event)
        for i, mine in told.items():
            record = records(i)
            placed(mine, record.utterance, record.utterance_ms)
        return Computed(counts, told, {})

    def _up_to_date(self, record: Record) -> Record:
        self.leave(record)
        return record

    def _told_or_left(self, records: Sequence[Record], counts: Int64, events: Sequence[list[Event]]) -> Computed:
        """Let those stay of whom nothing is unusual."""
        told, left = dict[int, list[Event]](), dict[int, list[Event]]()
        for i, (record, each) in enumerate(zip(records, events, strict=True)):
            (told if self.enter(record) else left)[i] = each
        return Computed(counts, told, left)

    def _run(self, slots: Int64, frames: Float32, counts: Int64, numbers: list[int]) -> Float32:
        """The outputs of the head for frames of which the stream at slots[i] has counts[i], or none."""
        if not len(frames):
            return np.empty((0, self._head.region.size), np.float32)
        if 0 in numbers:
            slots, numbers = slots[counts > 0], [count for count in numbers if count]
        model = self._model
        return model.runner.run(model.states.rows, slots, frames, numbers, [self._head.region])[0]
