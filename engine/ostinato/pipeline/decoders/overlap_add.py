"""Frames in time, added up."""

from __future__ import annotations

import numpy as np

from ostinato.lanes import padded
from ostinato.model.decoders import OverlapAdd
from ostinato.pipeline.decoders.decoder import F32
from ostinato.pipeline.decoders.overlapping import LOUDEST, OverlappingDecoder


class OverlapAddDecoder(OverlappingDecoder[OverlapAdd]):
    """Outputs times a window, added up."""

    def __init__(self, settings: OverlapAdd, frame_ms: float, latency_ms: float) -> None:
        super().__init__(settings, frame_ms, latency_ms)
        self._window = settings.shape(settings.window).astype(np.float32)

    def windowed(self, outputs: F32) -> F32:
        """Outputs times the window."""
        size = self.settings.size
        frames = np.zeros((len(outputs), padded(size)), np.float32)
        np.multiply(np.clip(outputs, -LOUDEST, LOUDEST), self._window, out=frames[:, :size])
        return frames
