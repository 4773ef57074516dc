"""What the rows of a stream look up besides themselves: frames that another program has made, an encoder's for one.

Each stream's are one piece of memory, frame after frame, so that a kernel needs two numbers to find them. A call has
a table of them, in the order of its slots, and how many frames each stream may see of what is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.kernels.aligned import zeros

Floats = npt.NDArray[np.float32]
_FEWEST = 16
"""Frames that there is room for beyond those that are there, and a quarter of them, whenever more is needed."""


class Memory:
    """Frames [count, size] of one stream, float32, of whom each takes ``pitch`` values; behind each one's values lie
    zeros."""

    __slots__ = ("_rows", "address", "count")

    def __init__(self, pitch: int) -> None:
        self._rows = zeros(0, pitch)
        self.address = 0
        """Where the first frame is, until more are added."""
        self.count = 0
        """Frames that are there."""

    @property
    def pitch(self) -> int:
        """Values from one frame to the next."""
        return int(self._rows.shape[1])

    @property
    def frames(self) -> Floats:
        """All that are there, [count, pitch]: a view."""
        return self._rows[: self.count]

    @property
    def nbytes(self) -> int:
        """Bytes that it takes."""
        return self._rows.nbytes

    @staticmethod
    def bytes_for(count: int, pitch: int) -> int:
        """Bytes that it takes with so many frames in it, at most."""
        return 4 * pitch * (_FEWEST + count + count // 4)

    def append(self, frames: Floats) -> None:
        """Add ``frames`` [n, size] at the end. What was there may move."""
        count = self.count + len(frames)
        if count > len(self._rows):
            rows = zeros(_FEWEST + count + count // 4, self.pitch)
            rows[: self.count] = self.frames
            self._rows, self.address = rows, int(rows.ctypes.data)
        self._rows[self.count : count, : frames.shape[1]] = frames
        self.count = count


@dataclass(frozen=True)
class Memories:
    """Those of the streams of one call, in the order of its slots: ``seen[b]`` frames of ``held[b]``, from 1 up.

    Raises ValueError if they are not as many, of different pitches, or a stream is to see more than is there."""

    held: Sequence[Memory]
    seen: Sequence[int]
    pitch: int = field(init=False)
    table: npt.NDArray[np.int64] = field(init=False)
    """[streams, 2]: where the first frame is, and how many are seen."""
    longest: int = field(init=False)
    _kept: Any = field(init=False)

    def __post_init__(self) -> None:
        pitches = {each.pitch for each in self.held}
        if len(pitches) != 1 or len(self.held) != len(self.seen):
            raise ValueError(f"{len(self.held)} memories, of pitches {sorted(pitches)}, for {len(self.seen)} streams")
        for memory, seen in zip(self.held, self.seen, strict=True):
            if not 1 <= seen <= memory.count:
                raise ValueError(f"a stream sees {seen} frames of {memory.count}")
        set_ = object.__setattr__
        set_(self, "pitch", pitches.pop())
        set_(self, "table", np.array([(m.address, n) for m, n in zip(self.held, self.seen, strict=True)], np.int64))
        set_(self, "longest", max(self.seen))
        set_(self, "_kept", [memory.frames for memory in self.held])  # what moves later on stays here for this call
