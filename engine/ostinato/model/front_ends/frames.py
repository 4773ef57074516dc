"""Ready frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from ostinato.errors import BadModelFileError
from ostinato.model.front_ends.front_end import FrontEnd
from ostinato.model.limits import MOST
from ostinato.model.wire import Weight, Wire, ones, zeros


@dataclass(frozen=True)
class Frames(FrontEnd):
    """Ready frames: float32 vectors of ``size`` values, ``frame_ms`` apart. If ``normalise``, weights
    ``front_end.mean`` and ``front_end.scale`` [size] turn a value v into (v - mean) * scale."""

    size: int
    frame_ms: float = 10.0
    normalise: bool = False

    kind: ClassVar[str] = "frames"
    counted_in: ClassVar[Literal["sample", "character", "frame"]] = "frame"

    @property
    def wire(self) -> Wire:
        """The vectors."""
        return Wire(self.size)

    def weights(self) -> Mapping[str, Weight]:
        """What normalises; it starts as nothing."""
        shape = (self.size,)
        return {"mean": Weight(shape, zeros), "scale": Weight(shape, ones)} if self.normalise else {}

    def check(self) -> None:
        """Sizes within bounds."""
        if not 0 < self.size <= MOST or not self.frame_ms >= 1e-3:
            raise BadModelFileError(f"front_end: size must be from 1 to {MOST}, frame_ms at least 0.001")
