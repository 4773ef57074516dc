"""What RNNoise's network reads, and beside it what its gains are for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ostinato.model.front_ends.audio import Audio
from ostinato.model.rnnoise import FRAME, HOP
from ostinato.model.wire import Wire


@dataclass(frozen=True)
class RnnoiseFeatures(Audio):
    """The analysis of RNNoise 0.2: frames of 480 samples, in windows of 960 (Vorbis), through a high-pass filter.

    A frame is, one after the other (`model.rnnoise` has the numbers):

    - 65 features: the cosine transform of the logarithms of the energies in 32 bands; that of the correlations, band
      by band, with what was a period of pitch before; 0.01 * (the period in samples - 300);
    - 1 where there is digital silence, and then all features are 0; else 0;
    - the analysis that `decoders.RnnoiseSynthesis` takes with the gains: spectra, energies and correlations.

    The audio is followed by silence until all of it can have come out. At another ``sample_rate`` than 48000, for
    which the published network was trained, all frequencies scale.
    """

    sample_rate: int = 48000

    kind: ClassVar[str] = "rnnoise-features"

    @property
    def wire(self) -> Wire:
        """Features, silence, analysis."""
        return Wire(FRAME)

    @property
    def frame_ms(self) -> float:
        """Time from one frame to the next, in ms."""
        return HOP / self.sample_rate * 1000

    def check(self) -> None:
        """A rate that audio has."""
        self.check_rate()
