"""Front ends: audio, text or frames to model frames. A file each, and the table of them all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ostinato.pipeline.front_ends.audio import AudioFrontEnd
from ostinato.pipeline.front_ends.filtered_spectrogram import FilteredSpectrogramFrontEnd
from ostinato.pipeline.front_ends.frames import FramesFrontEnd
from ostinato.pipeline.front_ends.front_end import F32, FrontEnd
from ostinato.pipeline.front_ends.log_mel import LogMelFrontEnd
from ostinato.pipeline.front_ends.mfcc import MfccFrontEnd
from ostinato.pipeline.front_ends.rnnoise_features import RnnoiseFeaturesFrontEnd
from ostinato.pipeline.front_ends.samples import SamplesFrontEnd
from ostinato.pipeline.front_ends.spectrum import SpectrumFrontEnd
from ostinato.pipeline.front_ends.tokens import TokensFrontEnd

FRONT_ENDS: dict[str, Callable[[Any, Mapping[str, F32]], FrontEnd[Any]]] = {
    "log-mel": LogMelFrontEnd,
    "mfcc": MfccFrontEnd,
    "filtered-spectrogram": FilteredSpectrogramFrontEnd,
    "samples": SamplesFrontEnd,
    "spectrum": SpectrumFrontEnd,
    "rnnoise-features": RnnoiseFeaturesFrontEnd,
    "tokens": TokensFrontEnd,
    "frames": FramesFrontEnd,
}
"""All kinds, by their name in model files: made of their settings and weights."""

__all__ = ["FRONT_ENDS", "AudioFrontEnd", "FrontEnd", "LogMelFrontEnd"]
