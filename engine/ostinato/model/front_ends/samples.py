"""Audio as it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ostinato.model.front_ends.audio import Audio
from ostinato.model.windows import check_window
from ostinato.model.wire import Wire


@dataclass(frozen=True)
class Samples(Audio):
    """Mono audio as it is: a frame is the last ``size`` samples, once every ``hop`` samples. The first frame ends
    with the first ``hop`` samples; what lies before the audio is zeros.

    What the end leaves incomplete is dropped, or, with ``pad``, filled up with zeros: a last frame.
    """

    sample_rate: int = 16000
    size: int = 512
    hop: int = 512
    pad: bool = False

    kind: ClassVar[str] = "samples"

    @property
    def wire(self) -> Wire:
        """The samples."""
        return Wire(self.size)

    @property
    def frame_ms(self) -> float:
        """Time from one frame to the next, in ms."""
        return self.hop / self.sample_rate * 1000

    def check(self) -> None:
        """Sizes within bounds."""
        self.check_rate()
        check_window("front_end", self.size, self.hop)
