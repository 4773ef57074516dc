"""What decoders keep of frames whose path is not decided yet."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Undecided:
    """Whenever ``lag`` + ``batch`` frames are undecided, the first ``batch`` of them are decided. What is kept of
    frame t is in row t modulo `most`."""

    lag: int
    batch: int

    @property
    def most(self) -> int:
        """Frames that are kept at most."""
        return self.lag + self.batch

    def decided(self, frames: int) -> int:
        """Of how many frames the path was decided after so many."""
        return self.batch * max(0, (frames - self.lag) // self.batch)

    def rows(self, frames: int) -> int:
        """How many rows there are after so many: powers of two, up to all."""
        return min(self.most, 1 << max(0, frames - 1).bit_length()) if frames else 0
