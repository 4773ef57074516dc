"""The front end for audio: any sample rate in, log-mel frames out."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from ostinato.model import front_ends as specified
from ostinato.pipeline.front_ends.audio import QUIET
from ostinato.pipeline.front_ends.mel_bands import MelBandsFrontEnd

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]


class LogMelFrontEnd(MelBandsFrontEnd):
    """Mono audio, one-dimensional int16 or float32 in [-1, 1], to log-mel frames float32 [n, mels * stack]."""

    def __init__(self, settings: specified.LogMel, weights: Mapping[str, F32]) -> None:
        """``weights``: ``front_end.mean`` and ``front_end.scale`` [mels], if the settings ask for normalisation."""
        super().__init__(settings, weights)
        self._scaling = self.bank.scaling(self.mean / self.unit, self.scale * self.unit)

    def values(self, samples: F32, starts: I64) -> F32:
        """Normalised bands."""
        return self.bank.logarithms(samples, starts, self._scaling)

    def mean_logarithm(self) -> tuple[F64, float]:
        """The mean of the bands."""
        bands = self.settings.values
        return np.full(bands, 1 / (bands * self.unit)), float(self.bank.white_noise(QUIET).mean())
