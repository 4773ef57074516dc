"""Frames that wait, as a stream received them, and rows of an utterance that is being computed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ostinato.kernels.program import Program

Float32 = npt.NDArray[np.float32]


class FrameQueue:
    """First in, first out, in pieces as they came; costs next to nothing while it is empty."""

    __slots__ = ("_parts", "_size", "count")

    def __init__(self, size: int) -> None:
        self._size = size
        self._parts: list[Float32] = []
        self.count = 0
        """Frames that wait."""

    def append(self, frames: Float32) -> None:
        """Add ``frames`` [n, size]. They are not copied: the caller gives them away, or calls `own` in time."""
        if len(frames):
            self._parts.append(frames)
            self.count += len(frames)

    def take(self, count: int) -> Float32:
        """Remove the oldest ``count`` frames, or all if there are fewer: [min(count, self.count), size]."""
        if count >= self.count and len(self._parts) == 1:  # as nearly always
            self.count = 0
            return self._parts.pop()
        wanted = min(count, self.count)
        self.count -= wanted
        taken: list[Float32] = []
        whole = 0
        for part in self._parts:
            if wanted < len(part):
                break
            taken.append(part)
            wanted -= len(part)
            whole += 1
        del self._parts[:whole]
        if wanted:
            taken.append(self._parts[0][:wanted])
            self._parts[0] = self._parts[0][wanted:]
        if len(taken) == 1:
            return taken[0]
        return np.concatenate(taken) if taken else np.empty((0, self._size), np.float32)

    def own(self) -> None:
        """Keep nothing alive but the frames that wait: copy those that are views of a larger array."""
        self._parts = [part if part.base is None else part.copy() for part in self._parts]

    def peek(self, count: int) -> Float32:
        """The oldest ``count`` frames, or all if there are fewer; they stay."""
        frames = self.take(count)
        if len(frames):
            self._parts.insert(0, frames)
            self.count += len(frames)
        return frames


class RowStore:
    """Rows of a program, in pieces that never move: it grows without copying what is there."""

    PIECE = 256
    __slots__ = ("_pieces", "_program", "count")

    def __init__(self, program: Program) -> None:
        self._program = program
        self._pieces: list[Float32] = []
        self.count = 0
        """Rows in use."""

    @property
    def nbytes(self) -> int:
        """Memory held."""
        return self.bytes_for(self.count)

    def bytes_for(self, count: int) -> int:
        """Memory that ``count`` rows take."""
        return -(-count // self.PIECE) * self.PIECE * 4 * self._program.row_size

    def append(self, rows: Float32) -> None:
        """Copy ``rows`` [n, row_size] in."""
        self._append(rows, slice(self._program.row_size))

    def append_frames(self, frames: Float32) -> None:
        """New rows whose input regions begin with ``frames`` [n, size]."""
        self._append(frames, self._inputs(frames.shape[1]))

    def frames(self, size: int) -> Float32:
        """The input frames of all rows, [count, size]."""
        parts = [piece[:, self._inputs(size)] for piece in self._pieces]
        return np.concatenate([np.empty((0, size), np.float32), *parts])[: self.count]

    def head(self, first: int, last: int, most: int) -> Float32:
        """The first of the rows ``first`` … ``last`` - 1: at most ``most``, as far as they lie together."""
        piece, at = divmod(first, self.PIECE)
        return self._pieces[piece][at : at + min(most, last - first)]

    def tail(self, first: int, last: int, most: int) -> Float32:
        """The last of the rows ``first`` … ``last`` - 1, in their order, likewise."""
        piece, at = divmod(last - 1, self.PIECE)
        return self._pieces[piece][max(0, at + 1 - min(most, last - first)) : at + 1]

    def _inputs(self, size: int) -> slice:
        offset = self._program.input.offset
        return slice(offset, offset + size)

    def _append(self, values: Float32, where: slice) -> None:
        first = self.count
        self.count += len(values)
        while len(self._pieces) * self.PIECE < self.count:
            self._pieces.append(self._program.new_rows(self.PIECE))
        while first < self.count:
            rows = self.head(first, self.count, self.PIECE)
            rows[:, where] = values[: len(rows)]
            values = values[len(rows) :]
            first += len(rows)
