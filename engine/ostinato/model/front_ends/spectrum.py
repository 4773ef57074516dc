"""Short-time Fourier transform of audio."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from ostinato.errors import BadModelFileError
from ostinato.model.front_ends.audio import Audio
from ostinato.model.limits import MOST
from ostinato.model.windows import Place, WindowShape, check_window, transform_size
from ostinato.model.wire import Wire

Part = Literal["real", "imaginary", "magnitude", "power", "log-power"]


@dataclass(frozen=True)
class Spectrum(Audio):
    """Short-time Fourier transform of mono audio: of ``size`` samples every ``hop``, times a ``window``, X[0 …
    fft_size / 2] (``fft_size`` None: ``size``), as numpy.fft.rfft and torch.stft give it.

    A frame is each of ``outputs`` of all bins, one after the other. Power is |X|^2 + ``epsilon``, magnitude its
    square root, log-power log10(max(power, floor)). Windows are periodic, as is usual for transforms, unless
    ``symmetric`` (povey always is). A window shorter than the transform has its ``place`` at the start, zeros behind
    it (Kaldi, scipy), or in the middle (torch, librosa).

    ``padding`` says where windows lie:

    - ``causal``: each ends where the next hop does, the first with the first ``hop`` samples; before the audio are
      zeros. What real-time models do. With ``pad``, zeros after the audio too, as many as complete all windows that
      begin within it.
    - ``none``: wholly inside the audio (torch.stft with center=False).
    - ``reflect``, ``constant``: frame n is centred on sample n * hop (center=True); beyond either end the audio is
      mirrored, or zeros. It looks fft_size / 2 ahead.
    """

    sample_rate: int = 16000
    size: int = 512
    hop: int = 256
    fft_size: int | None = None
    window: WindowShape = "hann"
    symmetric: bool = False
    place: Place = "start"
    padding: Literal["causal", "none", "reflect", "constant"] = "causal"
    pad: bool = False
    outputs: tuple[Part, ...] = ("real", "imaginary")
    epsilon: float = 0.0
    floor: float = 1e-12

    kind: ClassVar[str] = "spectrum"

    @property
    def bins(self) -> int:
        """Bins of a transform."""
        return transform_size(self.size, self.fft_size) // 2 + 1

    @property
    def wire(self) -> Wire:
        """What is asked of all bins."""
        return Wire(self.bins * len(self.outputs))

    @property
    def frame_ms(self) -> float:
        """Time from one frame to the next, in ms."""
        return self.hop / self.sample_rate * 1000

    def check(self) -> None:
        """Sizes within bounds, outputs that are named once, logarithms that are finite."""
        self.check_rate()
        check_window("front_end", self.size, self.hop, self.fft_size)
        if not self.outputs or len(set(self.outputs)) < len(self.outputs):
            raise BadModelFileError("front_end: outputs must name one part at least, and none twice")
        if self.frame_size > MOST:
            raise BadModelFileError(f"front_end: a frame has {self.frame_size} values, over the limit of {MOST}")
        if not (self.floor >= 1e-30 and self.epsilon >= 0):
            raise BadModelFileError("front_end: floor must be at least 1e-30, epsilon at least 0")
        if self.pad and self.padding != "causal":
            raise BadModelFileError("front_end: pad is for padding 'causal': centred frames are padded as it is")
