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
from ostinato.kernels.columns import COUNTED, DECIDED, decide, moved, places
from ostinato.kernels.compiler import entry, prepare
from ostinato.streaming.batch import decode_frames, push_frames
from ostinato.streaming.frames import Float32
from ostinato.streaming.pipeline import Pipeline
from ostinato.streaming.record import Record

Int64 = npt.NDArray[np.int64]


class Computed(NamedTuple):
    """How many frames of each stream were computed, and what they decided (`kernels.columns.DECIDED`); or, of streams
    that all have left the columns, the events of each."""

    counts: Int64
    decisions: Int64
    left: list[list[Event]] | None = None


class Columns:
    """The rows of a model's streams, by their slots. ``head`` is where their outputs go."""

    def __init__(self, model: Pipeline) -> None:
        prepare(decide, moved, places)
        self._places, self._moved, self._decide = entry(places), entry(moved), entry(decide)
        self._model = model
        self.head = next(iter(model.heads.all.values()))
        self._table = np.zeros((model.max_streams, COUNTED), np.int64)
        self._told = self.head.decoder.resting(self.head.decoder.start())[1]
        self._decisions = np.empty((0, DECIDED), np.int64)

    @staticmethod
    def fit(model: Pipeline) -> bool:
        """Whether streams of the model can be in columns: if its front end keeps no more than samples, and its first
        head's decoder has an index at which it rests."""
        front_end, decoder = model.front_end, next(iter(model.heads.all.values())).decoder
        return front_end.place(front_end.start()) is not None and decoder.resting(decoder.start()) is not None

    def enter(self, record: Record) -> bool:
        """Put a record into the columns, if nothing about it is unusual."""
        usual = record.plain and record.fault is None and record.generating is None and not record.waiting
        if not usual or record.closed or record.sink is not self.head:
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
        self, slots: Int64, data: Sequence[Any], lengths: Int64, most: int, leave: Callable[[], Sequence[Record]]
    ) -> Computed:
        """`push` of streams that are in the columns, all different: the one at slots[i] has the next lengths[i] units
        of checked ``data``, in pieces as they came. If there is anything unusual about it, all leave the columns by
        ``leave()``, which returns their records; those that met a fault say so (`Record.fault`)."""
        model, table = self._model, self._table
        given = np.empty((4, len(slots)), np.int64)
        self._places(table, slots, lengths, given)
        frames = model.front_end.step_places(given, data)
        steps, counts = self._moved(table, slots, given), given[3]
        if len(frames) > model.runner.max_rows or (steps if steps >= 0 else counts.max()) > most:
            left = push_frames(leave(), lengths.tolist(), frames, counts.tolist(), most)
            return Computed(counts, self._decisions[:0], left)
        if steps > 0:
            outputs = model.runner.run_together(model.states.rows, slots, frames, self.head.region)
        else:
            outputs = self._run(slots, frames, counts)
        if len(self._decisions) < len(outputs):
            self._decisions = np.empty((len(outputs), DECIDED), np.int64)
        found = self._decide(outputs, self._told, counts, lengths, slots, table, self._decisions)
        if found < 0:
            left = decode_frames(leave(), lengths.tolist(), frames, counts.tolist(), [self.head.region], [outputs])
            return Computed(counts, self._decisions[:0], left)
        return Computed(counts, self._decisions[:found].copy())

    def _run(self, slots: Int64, frames: Float32, counts: Int64) -> Float32:
        """The outputs of the head for frames of which the stream at slots[i] has counts[i], or none."""
        if not len(frames):
            return np.empty((0, self.head.region.size), np.float32)
        if not counts.all():
            slots, counts = slots[counts > 0], counts[counts > 0]
        model = self._model
        return model.runner.run(model.states.rows, slots, frames, counts, [self.head.region])[0]
