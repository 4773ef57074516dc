"""Frames that wait: what a stream has received and not yet computed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

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

    def all(self) -> Float32:
        """All that wait, [count, size]; they stay."""
        frames = self.take(self.count)
        self.append(frames)
        return frames
