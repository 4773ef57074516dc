"""Spectra, turned back into audio."""

from __future__ import annotations

import numpy as np

from ostinato.kernels import prepare
from ostinato.kernels.fourier import Plan, work_size
from ostinato.kernels.stft import synthesise
from ostinato.lanes import LANES, padded
from ostinato.model.decoders import InverseSpectrum
from ostinato.pipeline.decoders.decoder import F32
from ostinato.pipeline.decoders.overlapping import LOUDEST, OverlappingDecoder


class InverseSpectrumDecoder(OverlappingDecoder[InverseSpectrum]):
    """Inverse transforms times a window, added up."""

    def __init__(self, settings: InverseSpectrum, frame_ms: float, latency_ms: float) -> None:
        super().__init__(settings, frame_ms, latency_ms)
        prepare(synthesise)
        self._plan = Plan(settings.transformed)
        self._window = (settings.shape(settings.window) / settings.transformed).astype(np.float32)
        if settings.transformed % 2 == 0:
            self._window[1::2] *= -1  # as the kernel takes it

    def windowed(self, outputs: F32) -> F32:
        """Inverse transforms times the window."""
        plan, count = self._plan, len(outputs)
        spectra = np.empty(outputs.size + LANES, np.float32)
        np.clip(outputs, -LOUDEST, LOUDEST, out=spectra[:-LANES].reshape(outputs.shape))
        frames = np.empty((count, padded(self.settings.covered)), np.float32)
        work = np.empty(work_size(self.settings.covered, plan.size, outputs.shape[1] + LANES), np.float32)
        synthesise(spectra, self._window, plan.permutation, plan.passes, plan.roots, work, frames)
        return frames
