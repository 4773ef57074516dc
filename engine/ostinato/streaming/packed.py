"""Running a program over the waiting frames of many streams, packed as docs/architecture.md says."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ostinato.kernels.program import Program, Workspace, advance, advance_slice

Float32 = npt.NDArray[np.float32]
Int64 = npt.NDArray[np.int64]
MAX_ROWS = 1024
"""Frames in one call of the kernel: bounds the memory for rows, and keeps them near the processor."""


class Runner:
    """A program and its scratch memory. One call at a time: a lock makes others wait."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._rows = program.new_rows(16)
        self._workspace = Workspace()
        self._lock = threading.Lock()

    def run(self, states: Float32, slots: Sequence[int], frames: Sequence[Float32]) -> Float32:
        """Advance the streams in ``slots`` of ``states`` by their ``frames`` ([n, size] each, n >= 1).

        Returns the outputs of the first stream's frames, then of the second's, …: [sum of n, output_size]. The
        frames of all together should be at most MAX_ROWS.
        """
        size, region, output = frames[0].shape[1], self.program.input, self.program.output
        slots_sorted, batch_sizes, index = (
            _single(slots[0], len(frames[0])) if len(frames) == 1 else _pack(slots, [len(each) for each in frames])
        )
        total = int(batch_sizes.sum())
        with self._lock:
            if len(self._rows) < total:
                self._rows = self.program.new_rows(total)
            rows = self._rows[:total]
            rows[index, region.offset : region.offset + size] = (
                frames[0] if len(frames) == 1 else np.concatenate(frames)
            )
            advance(self.program, states, slots_sorted, batch_sizes, rows, self._workspace)
            return rows[index, output.offset : output.offset + output.size].copy()

    def run_operation(self, operation: int, state: Float32, rows: Float32) -> None:
        """Run one operation over consecutive frames of one stream: ``state`` [1, state_size], ``rows`` [n,
        row_size]."""
        slots, batch_sizes, _ = _single(0, len(rows))
        with self._lock:
            advance_slice(self.program, operation, operation + 1, state, slots, batch_sizes, rows, self._workspace)


def _single(slot: int, count: int) -> tuple[Int64, Int64, slice]:
    return np.array([slot], np.int64), np.ones(count, np.int64), slice(count)


def _pack(slots: Sequence[int], counts: Sequence[int]) -> tuple[Int64, Int64, Int64]:
    """The slots, longest stream first; how many streams have a frame at step t; and the row of each stream's each
    frame."""
    lengths = np.array(counts, np.int64)
    order = np.argsort(-lengths, kind="stable")
    batch_sizes = np.searchsorted(-lengths[order], -np.arange(lengths.max())).astype(np.int64)
    first = np.cumsum(batch_sizes) - batch_sizes
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    steps = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return np.array(slots, np.int64)[order], batch_sizes, first[steps] + np.repeat(place, lengths)
