"""What the kinds of decoders that add overlapping frames up say of themselves."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ostinato.errors import BadModelFileError
from ostinato.model.decoders.audio_output import AudioOutput
from ostinato.model.windows import WindowShape, check_window

F64 = npt.NDArray[np.float64]

LEAST_SUM = 1e-11
"""Sums of windows below this are nothing to divide by, as torch.istft has it."""


class Overlapping(AudioOutput):
    """Frames of ``size`` samples, one every ``hop`` samples, each times a window, and their sum.

    If ``normalise``, the sum is divided by that of the products of both windows, so that what was analysed by one
    comes back as it was: ``window`` and ``analysis`` (None: the same), as torch.istft and librosa.istft do.

    ``trim_start`` and ``trim_end`` samples are left out at either end of an utterance, where fewer frames overlap: of
    centred frames half a transform. What is left of such an end is divided by the windows of those frames that are
    there. An end that is not trimmed is divided as if there were more: it fades, so that nothing clicks.
    """

    size: int
    hop: int
    window: WindowShape
    analysis: WindowShape | None
    symmetric: bool
    normalise: bool
    trim_start: int
    trim_end: int

    @property
    def step(self) -> int:
        """The hop."""
        return self.hop

    @property
    def skipped(self) -> int:
        """What is trimmed."""
        return self.trim_start

    def shape(self, which: WindowShape) -> F64:
        """A window as it lies over what a frame covers."""
        raise NotImplementedError

    def products(self) -> F64:
        """Of both windows, [chunks, hop]: those of a frame with the first hop of samples that it covers, with the
        next, …, zeros at the end. What normalises is the sum over those that are there."""
        product = self.shape(self.window) * self.shape(self.analysis or self.window)
        return np.pad(product, (0, -len(product) % self.hop)).reshape(-1, self.hop)

    def check_overlap(self, fft_size: int | None = None) -> None:
        """Raise BadModelFileError for sizes that cannot be, or windows that leave something out."""
        check_window("decoder", self.size, self.hop, fft_size)
        self.check_block()
        most = self.covered - self.hop
        if not (0 <= self.trim_start <= self.covered and 0 <= self.trim_end <= most):
            raise BadModelFileError(
                f"decoder: trim_start must be from 0 to {self.covered}, trim_end from 0 to {most}"
            )
        if self.normalise and not self.products().sum(axis=0).min() > LEAST_SUM:
            raise BadModelFileError(
                f"decoder: windows {self.window!r} of {self.size} samples every {self.hop} leave some out: "
                "take a smaller hop, or another window"
            )
