"""The kinds of front ends, a file each, and the table of them all."""

from ostinato.model.front_ends.audio import Audio
from ostinato.model.front_ends.filtered_spectrogram import FilteredSpectrogram
from ostinato.model.front_ends.frames import Frames
from ostinato.model.front_ends.front_end import FrontEnd
from ostinato.model.front_ends.log_mel import LogMel
from ostinato.model.front_ends.mel_bands import MelBands
from ostinato.model.front_ends.mfcc import Mfcc
from ostinato.model.front_ends.rnnoise_features import RnnoiseFeatures
from ostinato.model.front_ends.samples import Samples
from ostinato.model.front_ends.spectrum import Spectrum
from ostinato.model.front_ends.tokens import Tokens

FRONT_ENDS: dict[str, type[FrontEnd]] = {
    kind.kind: kind
    for kind in (LogMel, Mfcc, FilteredSpectrogram, Samples, Spectrum, RnnoiseFeatures, Tokens, Frames)
}
"""All kinds, by their name in model files."""

__all__ = [
    "FRONT_ENDS", "FrontEnd", "Audio", "MelBands", "LogMel", "Mfcc", "FilteredSpectrogram", "Samples", "Spectrum",
    "RnnoiseFeatures", "Tokens", "Frames",
]  # fmt: skip
