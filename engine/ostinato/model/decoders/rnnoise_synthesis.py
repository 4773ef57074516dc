"""RNNoise's gains, made sound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ostinato.model.decoders.audio_output import AudioOutput
from ostinato.model.rnnoise import ANALYSIS, BANDS, HOP, WINDOW


@dataclass(frozen=True)
class RnnoiseSynthesis(AudioOutput):
    """The synthesis of RNNoise 0.2. Outputs are 32 gains, then all of a frame of `front_ends.RnnoiseFeatures` behind
    its features: whether there is silence, and the analysis.

    The gains are for the frame before. Where a band has less pitch than its gain wants, what was a period before is
    added (the pitch filter); gains fall by at most 0.6 a frame; between the middles of bands they are interpolated;
    and what is above the last band is dropped. A frame before silence is left as it is. Then inverse transforms,
    windowed, are added up. What comes out is aligned with what went in, two frames later.
    """

    block: int | None = None

    kind: ClassVar[str] = "rnnoise-synthesis"

    @property
    def outputs(self) -> int:
        """Gains, silence, analysis."""
        return BANDS + 1 + ANALYSIS

    @property
    def covered(self) -> int:
        """The window of the frame before, and its own hop."""
        return WINDOW + HOP

    @property
    def step(self) -> int:
        """The hop."""
        return HOP

    @property
    def skipped(self) -> int:
        """What lies before the audio."""
        return WINDOW

    def check(self) -> None:
        """Events of a length that can be."""
        self.check_block()
