"""What the two log-mel conventions are made of: windows and mel filter banks, designed in float64."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ostinato.kernels.spectrum import Plan
from ostinato.model import front_ends as specified

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

PREEMPHASIS = 0.97


@dataclass(frozen=True)
class FilterBank:
    """Settings of the feature kernels, in samples, and their constants.

    Samples in [-1, 1] times ``gain``, less the window's mean if ``remove_mean``, pre-emphasised, times ``window``,
    padded with zeros to ``fft_size``; the power spectrum's sum in each mel band, at least ``floor``; its natural
    logarithm. Band m weighs the bins from ``first[m]`` on by ``weights[offset[m] : offset[m + 1]]``; all others do
    not belong to it. ``plan`` is how windows are transformed.
    """

    hop: int
    fft_size: int
    gain: float
    remove_mean: bool
    preemphasis: float
    floor: float
    window: F32
    first: I64
    offset: I64
    weights: F32
    plan: Plan

    @property
    def bands(self) -> int:
        """Number of mel bands."""
        return len(self.first)

    def white_noise(self, rms: float) -> F64:
        """What the bands hold of white noise, on average before the logarithm: natural logarithms [bands]."""
        turns = np.exp(-2j * np.pi * np.arange(self.fft_size // 2 + 1) / self.fft_size)
        power = (self.gain * rms) ** 2 * np.sum(self.window**2) * np.abs(1 - self.preemphasis * turns) ** 2
        runs = zip(self.first, self.offset[:-1], self.offset[1:], strict=True)
        sums = [self.weights[start:end] @ power[first : first + end - start] for first, start, end in runs]
        return np.log(np.maximum(sums, self.floor))


def filter_bank(settings: specified.LogMel) -> FilterBank:
    """The filter bank of a log-mel front end."""
    window = int(settings.sample_rate * 0.001 * settings.window_ms)
    hop = int(settings.sample_rate * 0.001 * settings.hop_ms)
    if settings.convention == "kaldi":
        fft_size = 1 << (window - 1).bit_length()
        shape, matrix = povey_window(window), kaldi_bands(settings, fft_size)
        style = (32768.0, True, PREEMPHASIS, float(np.finfo(np.float32).eps))
    else:
        fft_size = window
        shape, matrix = hann_window(window), slaney_bands(settings, fft_size)
        style = (1.0, False, 0.0, 1e-10)
    first, offset, weights = _sparse(matrix)
    return FilterBank(hop, fft_size, *style, shape.astype(np.float32), first, offset, weights, Plan(fft_size))


def povey_window(size: int) -> F64:
    """Kaldi's default window: the symmetric Hann window to the power of 0.85."""
    return np.asarray((0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / (size - 1))) ** 0.85)


def hann_window(size: int) -> F64:
    """The periodic Hann window, as scipy.signal.get_window("hann") and torch.hann_window give it."""
    return np.asarray(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size))


def kaldi_bands(settings: specified.LogMel, fft_size: int) -> F64:
    """Triangles on the HTK mel scale 1127 ln(1 + f / 700), their sides straight in mel; the Nyquist bin is left out.

    [mels, fft_size / 2]. Source: Kaldi's feat/mel-computations.cc.
    """

    def mel(hz: npt.ArrayLike) -> F64:
        return np.asarray(1127.0 * np.log1p(np.asarray(hz) / 700.0))

    edges = np.linspace(mel(settings.low_hz), mel(settings.high_hz), settings.mels + 2)
    bins = mel(np.arange(fft_size // 2) * settings.sample_rate / fft_size)
    return _triangles(edges, bins)


def slaney_bands(settings: specified.LogMel, fft_size: int) -> F64:
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


def _sparse(matrix: F64) -> tuple[I64, I64, F32]:
    """The first column of each row that is not zero, where its weights begin in the third array, and the weights of
    all rows one after the other."""
    first, offset, weights = [], [0], []
    for row in matrix:
        columns = np.flatnonzero(row)
        start, size = (columns[0], columns[-1] + 1 - columns[0]) if len(columns) else (0, 0)
        first.append(start)
        offset.append(offset[-1] + size)
        weights.append(row[start : start + size])
    return np.array(first, np.int64), np.array(offset, np.int64), np.concatenate(weights).astype(np.float32)
