"""Running a program over the waiting frames of many streams, packed as docs/architecture.md says."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ostinato.kernels.alone import Alone
from ostinato.kernels.memory import Memories
from ostinato.kernels.operations import Region
from ostinato.kernels.program import Program, Workspace, advance_slice
from ostinato.kernels.schedule import Pass
from ostinato.kernels.together import advance_together

Float32 = npt.NDArray[np.float32]
Int64 = npt.NDArray[np.int64]
MAX_ROWS = 1024
"""Frames in one call of the kernel: keeps their rows near the processor."""
MAX_VALUES = 1 << 24
"""Values in these rows, 64 MiB: of wide ones there are fewer."""


def most_rows(values: int) -> int:
    """How many frames are computed in one call, of so many values each."""
    return max(1, min(MAX_ROWS, MAX_VALUES // max(1, values)))


class ProgramRunner:
    """A program and its scratch memory. One call at a time: a lock makes others wait."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.max_rows = most_rows(program.row_size)
        """Frames that are computed in one call."""
        self._rows = program.new_rows(16)
        self._workspace = Workspace()
        self._lock = threading.Lock()
        self._alone: Alone | None = None

    def run(
        self,
        states: Float32,
        slots: Sequence[int] | Int64,
        frames: Float32,
        counts: Sequence[int] | Int64,
        regions: Sequence[Region],
        memories: Memories | None = None,
    ) -> list[Float32]:
        """Advance the causal streams in ``slots`` of ``states``: by the first counts[0] of ``frames``, then …

        ``frames`` [sum of counts, size], counts from 1 up. Returns what is in each of the ``regions`` of their rows
        then, [sum of counts, its size]. The frames should be at most ``max_rows``. ``memories``: what the streams
        look up, if the program does; all counts are the same then.
        """
        equal = (counts == counts[0]).all() if isinstance(counts, np.ndarray) else min(counts) == max(counts)
        pack = _rectangle if equal else _ragged
        slots_sorted, batch_sizes, index = pack(slots, counts)
        with self._lock:
            rows = self._filled(index, frames)
            last, workspace = self.program.early, self._workspace
            advance_slice(self.program, 0, last, states, slots_sorted, batch_sizes, rows, workspace, memories)
            chosen = [rows[index, region.slice] for region in regions]
            return [each.copy() for each in chosen] if isinstance(index, slice) else chosen  # else they are copies

    def run_alone(self, states: Float32, slot: int, frame: Float32, region: Region) -> tuple[Float32, bool]:
        """`run` for one frame [1, size] of one stream, by a call that stays prepared; and whether what it returns is
        finite."""
        return self.alone(states).run(slot, frame, region)

    def alone(self, states: Float32) -> Alone:
        """That call."""
        found = self._alone
        if found is None or found.states is not states:
            found = self._alone = Alone(self.program, states, self._lock)
        return found

    def run_together(self, states: Float32, slots: Int64, frames: Float32, region: Region) -> Float32:
        """`run` for streams that all have as many frames, of a program that looks nothing up: see
        `kernels.together`."""
        with self._lock:
            rows = self._room(len(frames))
            return advance_together(self.program, states, slots, frames, rows, self._workspace, region)

    def run_early(self, states: Float32, slots: Sequence[int], frames: Float32, counts: Sequence[int]) -> Float32:
        """`run` for streams that wait for later frames. Returns whole rows, [sum of counts, row_size]."""
        return self.run(states, slots, frames, counts, [Region(0, self.program.row_size)])[0]

    def run_blocks(
        self,
        states: Float32,
        slots: Sequence[int],
        frames: Sequence[Float32],
        keep: int,
        regions: Sequence[Region],
    ) -> list[Float32]:
        """Advance the streams by a block of ``keep`` frames each, the rest of their ``frames`` being right context.

        All have the same number of frames, [n, size]. Forward directions go through the context from a copy of the
        state, backward ones start from their initial states at its end. Returns the regions as `run` does, ``keep``
        rows of each stream.
        """
        count, length = len(frames), len(frames[0])
        chosen, sizes, index = _rectangle(slots, [length] * count)
        all_, border = np.arange(count), keep * count
        with self._lock:
            rows = self._filled(index, np.concatenate(frames))
            for each in self.program.passes:
                if not each.backward:
                    self._slice(each, states, chosen, sizes[:keep], rows[:border])
                if each.backward:
                    self._slice(each, states[chosen], all_, sizes, rows)
                elif each.context and keep < length:
                    self._slice(each, states[chosen], all_, sizes[keep:], rows[border:])
            return [
                rows[index, region.slice].reshape(count, length, -1)[:, :keep].reshape(count * keep, -1).copy()
                for region in regions
            ]

    def run_slice(self, each: Pass, state: Float32, rows: Float32) -> None:
        """Run one pass over consecutive frames of one stream: ``state`` [1, state_size], ``rows`` [n, row_size]."""
        slots, batch_sizes, _ = _rectangle([0], [len(rows)])
        with self._lock:
            self._slice(each, state, slots, batch_sizes, rows)

    def _slice(self, each: Pass, states: Float32, slots: Int64, batch_sizes: Int64, rows: Float32) -> None:
        advance_slice(self.program, each.first, each.last, states, slots, batch_sizes, rows, self._workspace)

    def _filled(self, index: Int64 | slice, frames: Float32) -> Float32:
        """Rows whose inputs, at ``index``, are ``frames`` [n, size]."""
        rows, offset = self._room(len(frames)), self.program.input.offset
        rows[index, offset : offset + frames.shape[1]] = frames
        return rows

    def _room(self, count: int) -> Float32:
        """So many rows, to be overwritten."""
        if len(self._rows) < count:
            self._rows = self.program.new_rows(count)
        return self._rows[:count]


def _rectangle(slots: Sequence[int] | Int64, counts: Sequence[int] | Int64) -> tuple[Int64, Int64, Int64 | slice]:
    """`_ragged` where all counts are the same: frame t of stream b is row t * streams + b."""
    return np.array(slots, np.int64), *_layout(len(counts), int(counts[0]))


@lru_cache(maxsize=256)
def _layout(streams: int, steps: int) -> tuple[Int64, Int64 | slice]:
    """Batch sizes and rows of a rectangle; kept and shared, so nobody writes into them."""
    if streams == 1 or steps == 1:
        return np.full(steps, streams), slice(streams * steps)
    index = np.arange(streams * steps).reshape(steps, streams).T.ravel()
    return np.full(steps, streams), index


def _ragged(slots: Sequence[int] | Int64, counts: Sequence[int] | Int64) -> tuple[Int64, Int64, Int64 | slice]:
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
