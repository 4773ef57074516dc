"""A front end whose frames go through a network's lower stages at once, as if they were part of it: what streams
keep, cut, batch and snapshot are the frames of the last stage."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.kernels.stages import Stages, StagesRunner
from ostinato.pipeline.pieces import joined
from ostinato.pipeline.state import F32Vector, expect, unpack
from ostinato.streaming.packed import most_rows

F32 = npt.NDArray[np.float32]


@dataclass(slots=True)
class _Row:
    row: F32Vector


class Reframing:
    """The front end ``below``, and ``stages`` above it, which give ``rate`` frames for each of its own."""

    def __init__(self, below: Any, stages: Stages, rate: Fraction) -> None:
        self.below = below
        self.frame_size = stages.frame_size
        self.frame_ms: float = below.frame_ms / float(rate)
        self.latency_ms: float = below.latency_ms
        self._stages = stages
        self._runner = StagesRunner(stages)
        self._most = most_rows(stages.values)
        """Frames of the front end that are taken in one call."""
        self._lock = threading.Lock()
        self._state: Any = dataclasses.make_dataclass(
            "ReframingState", [("below", type(below.start())), ("row", F32Vector)], slots=True
        )

    def start(self, sample_rate: int | None = None) -> Any:
        """A fresh state. Raises InputError for a sample rate that cannot be."""
        return self._state(self.below.start(sample_rate), self._stages.new_state())

    def check(self, data: object) -> Any:
        """As the front end below."""
        return self.below.check(data)

    def units(self, data: Any) -> int:
        """As the front end below."""
        units: int = self.below.units(data)
        return units

    def step(self, state: Any, data: Any) -> F32:
        """The frames that checked data completes, [n, frame_size]."""
        return self._advance([state], self.below.step(state.below, data))[0]

    def step_many(
        self, states: Sequence[Any], data: Sequence[Any], lengths: Sequence[int] | None = None
    ) -> tuple[F32, list[int]]:
        """`step` for many streams, as `pipeline.FrontEnd.step_many`."""
        frames, counts = self.below.step_many([state.below for state in states], data, lengths)
        return self._advance(states, frames, counts)

    def place(self, state: Any) -> None:
        """There are the stages' states besides."""

    def flush(self, state: Any) -> F32:
        """What is still held back: the end lets each window see how far its padding reaches."""
        return self._advance([state], self.below.flush(state.below), ended=True)[0]

    def restore(self, packed: object) -> Any:
        """The state that `pack` packed. Raises SnapshotError."""
        expect(
            isinstance(packed, dict) and packed.keys() == {"below", "row"}, "a front end's state lacks its two parts"
        )
        assert isinstance(packed, dict)
        row = unpack(_Row, {"row": packed["row"]}).row
        counter = row[:2].astype(np.int64)
        fits = row.size == self._stages.state_size and bool((counter == row[:2]).all()) and 0 <= counter[0] < 1 << 24
        expect(fits and 0 <= counter[1] < 1 << 24, "a network's state is not of the model's size, or has no counter")
        return self._state(self.below.restore(packed["below"]), row)

    def _advance(
        self, states: Sequence[Any], frames: F32, counts: Sequence[int] | None = None, ended: bool = False
    ) -> tuple[F32, list[int]]:
        """Frames through the stages, so many at a time that rows stay near the processor."""
        left = np.array([len(frames)] if counts is None else counts, np.int64)
        if len(states) > self._most:
            return self._in_groups(states, frames, left, ended)
        most = self._most // len(states)
        with self._lock:
            rows = states[0].row[None] if len(states) == 1 else np.stack([state.row for state in states])
            if int(left.max(initial=0)) <= most:
                made, new = self._runner.advance(rows, frames, left, ended)
                found = new.tolist()
            else:
                made, found = self._in_pieces(rows, frames, left, most, ended)
            if len(states) > 1:
                for state, row in zip(states, rows, strict=True):
                    state.row[:] = row
        return made, found

    def _in_groups(
        self, states: Sequence[Any], frames: F32, counts: npt.NDArray[np.int64], ended: bool
    ) -> tuple[F32, list[int]]:
        ends = np.cumsum(counts)
        found, new = [], list[int]()
        for first in range(0, len(states), self._most):
            group = slice(first, first + self._most)
            start = ends[first] - counts[first]
            some, more = self._advance(states[group], frames[start : ends[group][-1]], counts[group].tolist(), ended)
            found.append(some)
            new += more
        return joined(found, self.frame_size), new

    def _in_pieces(
        self, rows: F32, frames: F32, left: npt.NDArray[np.int64], most: int, ended: bool
    ) -> tuple[F32, list[int]]:
        starts = np.cumsum(left) - left
        parts: list[list[F32]] = [[] for _ in left]
        done = np.zeros_like(left)
        while True:
            counts = np.minimum(left - done, most)
            last = bool((done + counts == left).all())
            pieces = [frames[a + d : a + d + n] for a, d, n in zip(starts, done, counts, strict=True)]
            made, new = self._runner.advance(rows, np.concatenate(pieces), counts, ended and last)
            for part, end, count in zip(parts, np.cumsum(new), new, strict=True):
                part.append(made[end - count : end])
            done += counts
            if last:
                return joined([joined(part, self.frame_size) for part in parts], self.frame_size), [
                    sum(map(len, part)) for part in parts
                ]
