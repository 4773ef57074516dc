"""Spectra, turned back into audio."""

from __future__ import annotations

from ostinato.model.decoders import InverseSpectrum
from ostinato.pipeline.decoders.decoder import F32
from ostinato.pipeline.decoders.inverse import Inverse
from ostinato.pipeline.decoders.overlapping import OverlappingDecoder


class InverseSpectrumDecoder(OverlappingDecoder[InverseSpectrum]):
    """Inverse transforms times a window, added up."""

    def __init__(self, settings: InverseSpectrum, frame_ms: float, latency_ms: float) -> None:
        super().__init__(settings, frame_ms, latency_ms)
        self._inverse = Inverse(settings.transformed, settings.shape(settings.window))

    def windowed(self, outputs: F32) -> F32:
        """Inverse transforms times the window."""
        return self._inverse.windowed(outputs)
