"""What front ends and decoders of spectra say of windows."""

from __future__ import annotations

from typing import Literal

from ostinato.errors import BadModelFileError
from ostinato.model.limits import MOST

WindowShape = Literal["rect", "hann", "sqrt-hann", "hamming", "blackman", "povey", "vorbis"]
Place = Literal["start", "middle"]


def transform_size(size: int, fft_size: int | None) -> int:
    """``fft_size``, or the window's size where none is said."""
    return size if fft_size is None else fft_size


def check_window(where: str, size: int, hop: int, fft_size: int | None) -> None:
    """Raise BadModelFileError for sizes that cannot be."""
    if not 0 < hop <= size <= transform_size(size, fft_size) <= MOST:
        raise BadModelFileError(f"{where}: 0 < hop <= size <= fft_size <= {MOST} must hold, in samples")
