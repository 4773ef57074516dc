"""Spectra, turned back into audio."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ostinato.model import windows
from ostinato.model.decoders.overlapping import F64, Overlapping
from ostinato.model.windows import Place, WindowShape, transform_size


@dataclass(frozen=True)
class InverseSpectrum(Overlapping):
    """Outputs that are spectra, the real parts of X[0 … fft_size / 2], then the imaginary ones: their inverse
    transforms, as numpy.fft.irfft gives them, times a window of ``size`` samples, one every ``hop``, added up (see
    `Overlapping`). ``fft_size`` and ``place`` are those of `front_ends.Spectrum`."""

    size: int
    hop: int
    fft_size: int | None = None
    window: WindowShape = "hann"
    analysis: WindowShape | None = None
    symmetric: bool = False
    place: Place = "start"
    normalise: bool = True
    trim_start: int = 0
    trim_end: int = 0
    block: int | None = None

    kind: ClassVar[str] = "inverse-spectrum"

    @property
    def transformed(self) -> int:
        """Values of an inverse transform."""
        return transform_size(self.size, self.fft_size)

    @property
    def outputs(self) -> int:
        """Real and imaginary parts of all bins."""
        return 2 * (self.transformed // 2 + 1)

    @property
    def covered(self) -> int:
        """The window, or the whole transform if it lies in its middle."""
        return self.size if self.place == "start" else self.transformed

    def shape(self, which: WindowShape) -> F64:
        """The window, in its place."""
        return windows.placed(windows.window(which, self.size, self.symmetric), self.place, self.transformed)

    def check(self) -> None:
        """Sizes within bounds, windows that leave nothing out."""
        self.check_overlap(self.fft_size)
