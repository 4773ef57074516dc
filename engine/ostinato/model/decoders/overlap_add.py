"""Frames in time, added up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ostinato.model import windows
from ostinato.model.decoders.overlapping import F64, Overlapping
from ostinato.model.windows import WindowShape


@dataclass(frozen=True)
class OverlapAdd(Overlapping):
    """Outputs that are ``size`` samples, one frame every ``hop``: their sum, each times a window (see
    `Overlapping`)."""

    size: int
    hop: int
    window: WindowShape = "rect"
    analysis: WindowShape | None = None
    symmetric: bool = False
    normalise: bool = False
    trim_start: int = 0
    trim_end: int = 0
    block: int | None = None

    kind: ClassVar[str] = "overlap-add"

    @property
    def outputs(self) -> int:
        """The samples."""
        return self.size

    @property
    def covered(self) -> int:
        """The same."""
        return self.size

    def shape(self, which: WindowShape) -> F64:
        """The window as it is."""
        return windows.window(which, self.size, self.symmetric)

    def check(self) -> None:
        """Sizes within bounds, windows that leave nothing out."""
        self.check_overlap()
