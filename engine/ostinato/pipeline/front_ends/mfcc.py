"""The front end for audio: any sample rate in, mel-frequency cepstral coefficients out."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from ostinato.kernels.arrays import multiply, pack_matrix
from ostinato.model import front_ends as specified
from ostinato.pipeline.front_ends.audio import QUIET
from ostinato.pipeline.front_ends.mel_bands import MelBandsFrontEnd

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]


class MfccFrontEnd(MelBandsFrontEnd):
    """Mono audio, one-dimensional int16 or float32 in [-1, 1], to frames float32 [n, coefficients * stack]."""

    settings: specified.Mfcc

    def __init__(self, settings: specified.Mfcc, weights: Mapping[str, F32]) -> None:
        """``weights``: ``front_end.mean`` and ``front_end.scale`` [coefficients], if the settings ask for
        normalisation."""
        super().__init__(settings, weights, settings.energy)
        self._cepstrum = cepstrum(settings)
        self._matrix = pack_matrix(self._cepstrum * self.scale, -self.mean * self.scale)
        self._scaling = self.bank.scaling(scale=self.unit)

    def values(self, samples: F32, starts: I64) -> F32:
        """Normalised coefficients."""
        return multiply(self._matrix, self.bank.logarithms(samples, starts, self._scaling))

    def mean_logarithm(self) -> tuple[F64, float]:
        """The first coefficient is the bands' mean but for a factor, or the window's energy."""
        share = np.zeros(self.settings.values)
        if self.settings.energy:
            share[0] = 1.0
            return share, float(np.log(len(self.bank.window) * (self.bank.gain * QUIET) ** 2))
        share[0] = 1 / (self._cepstrum[0, 0] * self.settings.mels * self.unit)
        return share, float(self.bank.white_noise(QUIET).mean())


def cepstrum(settings: specified.Mfcc) -> F64:
    """What makes coefficients of the logarithms of bands, and of the window's energy if it is asked for: [columns,
    coefficients]."""
    mels, number = settings.mels, np.arange(settings.coefficients)
    matrix = np.sqrt(2 / mels) * np.cos(np.pi * (np.arange(mels)[:, None] + 0.5) * number / mels)
    matrix[:, 0] = np.sqrt(1 / mels)
    if settings.lifter:
        place = number if settings.convention == "kaldi" else number + 1
        matrix *= 1 + settings.lifter / 2 * np.sin(np.pi * place / settings.lifter)
    if settings.energy:
        matrix[:, 0] = 0
        matrix = np.vstack((matrix, number == 0))
    return np.asarray(matrix)
