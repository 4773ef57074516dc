"""What the conventions of mel bands are made of: windows and mel filter banks, designed in float64."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ostinato.kernels.fourier import Plan
from ostinato.model import front_ends as specified
from ostinato.model.windows import window as window_of
from ostinato.pipeline.filter_bank import FilterBank, sparse

F64 = npt.NDArray[np.float64]

PREEMPHASIS = 0.97


def filter_bank(settings: specified.MelBands, energy: bool = False) -> FilterBank:
    """The filter bank of a front end of mel bands; ``energy``: with a column of the window's energy."""
    window = samples_in(settings, settings.window_ms)
    magnitude, add = settings.power == 1, settings.add
    if settings.convention == "kaldi":
        fft_size = 1 << (window - 1).bit_length()
        bands = sparse(kaldi_bands(settings, fft_size))
        floor = float(np.finfo(np.float32).eps) if settings.floor is None else settings.floor
        return FilterBank(
            window_of("povey", window).astype(np.float32), Plan(fft_size), *bands, floor, gain=32768.0,
            remove_mean=True, preemphasis=PREEMPHASIS, magnitude=magnitude, addend=add, energy=energy,
        )  # fmt: skip
    bands = sparse(slaney_bands(settings, window) if settings.convention == "slaney" else htk_bands(settings, window))
    floor = 1e-10 if settings.floor is None else settings.floor
    shape = window_of("hann", window).astype(np.float32)
    return FilterBank(shape, Plan(window), *bands, floor, magnitude=magnitude, addend=add, energy=energy)


def logarithm_unit(settings: specified.MelBands) -> float:
    """By what a natural logarithm is multiplied to be the one of the settings."""
    if settings.log == "natural":
        return 1.0
    return {"log10": 1.0, "db": 20.0 / settings.power}[settings.log] / math.log(10)


def samples_in(settings: specified.MelBands, ms: float) -> int:
    """How many whole samples last so long."""
    return int(settings.sample_rate * 0.001 * ms)


def kaldi_bands(settings: specified.MelBands, fft_size: int) -> F64:
    """Triangles on the HTK mel scale 1127 ln(1 + f / 700), their sides straight in mel; the Nyquist bin is left out.

    [mels, fft_size / 2]. Source: Kaldi's feat/mel-computations.cc.
    """
    bins = _htk_mel(np.arange(fft_size // 2) * settings.sample_rate / fft_size)
    return _triangles(_htk_edges(settings), bins)


def htk_bands(settings: specified.MelBands, fft_size: int) -> F64:
    """torchaudio.functional.melscale_fbanks's defaults: triangles of height one on the HTK mel scale, their sides
    straight in Hz. [mels, fft_size // 2 + 1]."""
    bins = np.arange(fft_size // 2 + 1) * settings.sample_rate / fft_size
    return _triangles(700.0 * np.expm1(_htk_edges(settings) / 1127.0), bins)


def _htk_mel(hz: npt.ArrayLike) -> F64:
    return np.asarray(1127.0 * np.log1p(np.asarray(hz) / 700.0))


def _htk_edges(settings: specified.MelBands) -> F64:
    return np.linspace(_htk_mel(settings.low_hz), _htk_mel(settings.high_hz), settings.mels + 2)


def slaney_bands(settings: specified.MelBands, fft_size: int) -> F64:
    """librosa.filters.mel(htk=False, norm="slaney"), torchaudio's melscale_fbanks(mel_scale="slaney", norm="slaney"):
    triangles whose sides are straight in Hz, each of area one.

    The scale is linear below 1 kHz (200/3 Hz a mel) and logarithmic above (27 mels per factor 6.4). [mels, fft_size
    // 2 + 1].
    """

    def mel(hz: float) -> float:
        return hz * 3 / 200 if hz < 1000 else 15 + 27 * float(np.log(hz / 1000) / np.log(6.4))

    mels = np.linspace(mel(settings.low_hz), mel(settings.high_hz), settings.mels + 2)
    edges = np.where(mels < 15, mels * 200 / 3, 1000 * 6.4 ** ((mels - 15) / 27))
    bins = np.arange(fft_size // 2 + 1) * settings.sample_rate / fft_size
    areas: F64 = 2 / (edges[2:] - edges[:-2])
    return _triangles(edges, bins) * areas[:, None]


def _triangles(edges: F64, bins: F64) -> F64:
    """Band m rises from edges[m] to one at edges[m + 1] and falls to edges[m + 2]. [len(edges) - 2, len(bins)]."""
    left, centre, right = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising, falling = (bins - left) / (centre - left), (right - bins) / (right - centre)
    return np.asarray(np.maximum(0, np.minimum(rising, falling)))
