"""Inverse transforms, windowed: what decoders of spectra share."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ostinato.kernels import prepare
from ostinato.kernels.fourier import Plan, work_size
from ostinato.kernels.stft import synthesise
from ostinato.lanes import LANES, padded
from ostinato.pipeline.decoders.decoder import F32
from ostinato.pipeline.decoders.overlapping import LOUDEST


class Inverse:
    """Spectra, real parts, then imaginary ones, to ``size`` values that numpy.fft.irfft gives, times a window as long
    as it is."""

    def __init__(self, size: int, window: npt.NDArray[np.float64]) -> None:
        prepare(synthesise)
        self._plan = Plan(size)
        self._window = (window / size).astype(np.float32)
        if size % 2 == 0:
            self._window[1::2] *= -1  # as the kernel takes it

    def windowed(self, outputs: F32) -> F32:
        """Of the rows of ``outputs``; whole vectors, whatever is behind the window."""
        plan, covered = self._plan, len(self._window)
        spectra = np.empty(outputs.size + LANES, np.float32)
        np.clip(outputs, -LOUDEST, LOUDEST, out=spectra[:-LANES].reshape(outputs.shape))
        frames = np.empty((len(outputs), padded(covered)), np.float32)
        work = np.empty(work_size(covered, plan.size, outputs.shape[1] + LANES), np.float32)
        synthesise(spectra, self._window, plan.permutation, plan.passes, plan.roots, work, frames)
        return frames
