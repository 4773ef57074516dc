"""What every kind of front end says of itself: settings of what turns a stream's input into frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from ostinato.model.strict_json import Strict
from ostinato.model.wire import Weight, Wire


@dataclass(frozen=True)
class FrontEnd(Strict):
    """A kind's settings. What it does is `ostinato.pipeline`'s."""

    kind: ClassVar[str]
    """The kind's name in model files."""
    counted_in: ClassVar[Literal["sample", "character", "frame"]] = "sample"
    """What input is counted in."""

    @property
    def wire(self) -> Wire:
        """What the first nodes read."""
        raise NotImplementedError

    @property
    def frame_size(self) -> int:
        """Values in one frame."""
        return self.wire.size

    @property
    def frame_ms(self) -> float:
        """Time from one frame to the next, in ms; for text, 1 a token."""
        raise NotImplementedError

    @property
    def units_per_ms(self) -> float:
        """Input units (samples at the model's own rate, frames, tokens) in 1 ms. A token counts as 1 ms."""
        return 1 / self.frame_ms

    def weights(self) -> Mapping[str, Weight]:
        """Its weights, by the last part of their name."""
        return {}
