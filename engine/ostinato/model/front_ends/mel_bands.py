"""What front ends of mel bands have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ostinato.errors import BadModelFileError
from ostinato.model.front_ends.audio import Audio
from ostinato.model.limits import MOST
from ostinato.model.wire import Weight, Wire, ones, zeros


@dataclass(frozen=True)
class MelBands(Audio):
    """Mel filter banks of mono audio, and their logarithms.

    ``convention`` "kaldi": compute-fbank-feats with snip-edges, dither 0, Povey window, pre-emphasis, DC removal, HTK
    mel scale, at least float32 epsilon, samples scaled to the int16 range. "slaney": librosa.feature.melspectrogram's
    defaults (periodic Hann window, Slaney mel scale and area norm, samples in [-1, 1]), at least 1e-10. "htk":
    torchaudio.transforms.MelSpectrogram's defaults: as "slaney" with the HTK mel scale and bands of height 1.

    Bands sum ``power`` 2, the power spectrum, or 1, magnitudes; a sum x becomes the logarithm of max(``floor``, x +
    ``add``) (None: the convention's floor). ``log`` "natural", "log10", or "db": 10 log10 of power, 20 log10 of
    magnitudes. What looks at the whole recording is not done: librosa's and torchaudio's ``top_db``, Whisper's
    maximum - 8.

    ``origin`` "start": windows lie wholly inside the audio. "centre": window i is around sample i * hop, for each
    that the audio has, and outside the audio is silence (librosa's center=True, pad_mode="constant", which has one
    frame more where the audio ends with a hop): a frame waits for half a window.

    ``stack`` consecutive frames are concatenated, every ``stride``-th such stack becomes a model frame. If
    ``normalise``, weights ``front_end.mean`` and ``front_end.scale`` [values] turn a value v into (v - mean) * scale,
    before stacking.
    """

    sample_rate: int = 16000
    convention: Literal["kaldi", "slaney", "htk"] = "kaldi"
    mels: int = 40
    window_ms: float = 25.0
    hop_ms: float = 10.0
    low_hz: float = 20.0
    high_hz: float = 8000.0
    power: int = 2
    log: Literal["natural", "log10", "db"] = "natural"
    floor: float | None = None
    add: float = 0.0
    origin: Literal["start", "centre"] = "start"
    stack: int = 1
    stride: int = 1
    normalise: bool = False

    @property
    def values(self) -> int:
        """Values of a window."""
        raise NotImplementedError

    @property
    def wire(self) -> Wire:
        """A stack of the values of windows."""
        return Wire(self.values * self.stack)

    @property
    def frame_ms(self) -> float:
        """Time from one model frame to the next, in ms."""
        return self.hop_ms * self.stride

    def weights(self) -> Mapping[str, Weight]:
        """What normalises; it starts as nothing."""
        shape = (self.values,)
        return {"mean": Weight(shape, zeros), "scale": Weight(shape, ones)} if self.normalise else {}

    def check(self) -> None:
        """Sizes within bounds, frequencies in order, a window of two samples or more, logarithms of what is above
        0."""
        positive = (self.sample_rate, self.mels, self.window_ms, self.hop_ms, self.stack, self.stride)
        if min(positive) <= 0 or not 0 <= self.low_hz < self.high_hz <= self.sample_rate / 2:
            raise BadModelFileError("front_end: sizes must be positive and 0 <= low_hz < high_hz <= sample_rate / 2")
        window, hop = (int(self.sample_rate * 0.001 * ms) for ms in (self.window_ms, self.hop_ms))
        if window < 2 or hop < 1:
            raise BadModelFileError("front_end: window_ms and hop_ms must last at least two samples and one")
        if max(window, hop) > MOST or self.mels > 512 or max(self.frame_size, self.stack, self.stride) > MOST:
            raise BadModelFileError(
                f"front_end: a window or hop has at most {MOST} samples, a frame 512 mels and {MOST} values"
            )
        if self.power not in (1, 2):
            raise BadModelFileError(f"front_end: power = {self.power} is neither 1 (magnitudes) nor 2")
        if self.add < 0 or (self.floor is not None and not self.floor >= 1e-30):
            raise BadModelFileError("front_end: add must be at least 0 and floor at least 1e-30")
