"""Log-mel features of audio."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from ostinato.errors import BadModelFileError
from ostinato.model.front_ends.audio import Audio
from ostinato.model.limits import MOST
from ostinato.model.wire import Weight, Wire, ones, zeros


@dataclass(frozen=True)
class LogMel(Audio):
    """Log-mel filter banks of mono audio.

    ``convention`` "kaldi": compute-fbank-feats with snip-edges, dither 0, Povey window, pre-emphasis, DC removal, HTK
    mel scale, power spectrum, natural logarithm floored at float32 epsilon, samples scaled to the int16 range.
    "slaney": librosa.feature.melspectrogram's defaults (periodic Hann window, Slaney mel scale and area norm, centred
    frames without padding, samples in [-1, 1]), then the natural logarithm of max(power, 1e-10).

    ``stack`` consecutive frames are concatenated, every ``stride``-th such stack becomes a model frame. If
    ``normalise``, weights ``front_end.mean`` and ``front_end.scale`` [mels] turn a value v into (v - mean) * scale,
    before stacking.
    """

    sample_rate: int = 16000
    convention: Literal["kaldi", "slaney"] = "kaldi"
    mels: int = 40
    window_ms: float = 25.0
    hop_ms: float = 10.0
    low_hz: float = 20.0
    high_hz: float = 8000.0
    stack: int = 1
    stride: int = 1
    normalise: bool = False

    kind: ClassVar[str] = "log-mel"

    @property
    def wire(self) -> Wire:
        """A stack of mel bands."""
        return Wire(self.mels * self.stack)

    @property
    def frame_ms(self) -> float:
        """Time from one model frame to the next, in ms."""
        return self.hop_ms * self.stride

    def weights(self) -> Mapping[str, Weight]:
        """What normalises; it starts as nothing."""
        shape = (self.mels,)
        return {"mean": Weight(shape, zeros), "scale": Weight(shape, ones)} if self.normalise else {}

    def check(self) -> None:
        """Sizes within bounds, frequencies in order, a window of two samples or more."""
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
