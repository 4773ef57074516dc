"""Ready frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ostinato.errors import BadModelFileError
from ostinato.model.front_ends.front_end import FrontEnd
from ostinato.model.limits import MOST
from ostinato.model.wire import Wire


@dataclass(frozen=True)
class Frames(FrontEnd):
    """Ready frames: float32 vectors of ``size`` values, ``frame_ms`` apart."""

    size: int
    frame_ms: float = 10.0

    kind: ClassVar[str] = "frames"

    @property
    def wire(self) -> Wire:
        """The vectors."""
        return Wire(self.size)

    def check(self) -> None:
        """Sizes within bounds."""
        if not 0 < self.size <= MOST or not self.frame_ms >= 1e-3:
            raise BadModelFileError(f"front_end: size must be from 1 to {MOST}, frame_ms at least 0.001")
