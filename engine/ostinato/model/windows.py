"""Windows of analysis and synthesis, by their names in the field, in float64."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from ostinato.errors import BadModelFileError
from ostinato.model.limits import MOST

WindowShape = Literal["rect", "hann", "sqrt-hann", "hamming", "blackman", "povey", "vorbis"]
Place = Literal["start", "middle"]
F64 = npt.NDArray[np.float64]


def window(shape: WindowShape, size: int, symmetric: bool = False) -> F64:
    """``size`` values of a window.

    Periodic ones are those of torch and of scipy.signal.get_window; symmetric ones end as they begin, as
    numpy.hanning does. "sqrt-hann" is the square root of Hann's; "povey", Kaldi's, the symmetric Hann window to the
    power of 0.85; "vorbis" is sin(pi / 2 sin^2(pi (n + 1/2) / size)), symmetric always.
    """
    n = np.arange(size)
    if shape == "rect":
        return np.ones(size)
    if shape == "vorbis":
        return np.asarray(np.sin(np.pi / 2 * np.sin(np.pi * (n + 0.5) / size) ** 2))
    turns = 2 * np.pi * n / max(1, size - (symmetric or shape == "povey"))
    if size == 1:
        return np.ones(1)
    if shape == "hamming":
        return np.asarray(0.54 - 0.46 * np.cos(turns))
    if shape == "blackman":
        return np.asarray(0.42 - 0.5 * np.cos(turns) + 0.08 * np.cos(2 * turns))
    power = {"hann": 1.0, "sqrt-hann": 0.5, "povey": 0.85}[shape]
    return np.asarray((0.5 - 0.5 * np.cos(turns)) ** power)


def placed(values: F64, place: Place, fft_size: int) -> F64:
    """A window as it lies in a transform: at its start as it is, in its middle between zeros."""
    if place == "start":
        return values
    before = (fft_size - len(values)) // 2
    return np.pad(values, (before, fft_size - len(values) - before))


def transform_size(size: int, fft_size: int | None) -> int:
    """``fft_size``, or the window's size where none is said."""
    return size if fft_size is None else fft_size


def check_window(where: str, size: int, hop: int, fft_size: int | None = None) -> None:
    """Raise BadModelFileError for sizes that cannot be."""
    if not 0 < hop <= size <= transform_size(size, fft_size) <= MOST:
        raise BadModelFileError(f"{where}: 0 < hop <= size <= fft_size <= {MOST} must hold, in samples")
