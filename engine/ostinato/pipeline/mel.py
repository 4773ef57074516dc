"""What the two log-mel conventions are made of: windows and mel filter banks, designed in float64."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ostinato.kernels.spectrum import Plan
from ostinato.model import front_ends as specified
from ostinato.pipeline.filter_bank import FilterBank, sparse

F64 = npt.NDArray[np.float64]

PREEMPHASIS = 0.97


def filter_bank(settings: specified.LogMel) -> FilterBank:
    """The filter bank of a log-mel front end."""
    window = samples_in(settings, settings.window_ms)
    if settings.convention == "kaldi":
        fft_size = 1 << (window - 1).bit_length()
        bands = sparse(kaldi_bands(settings, fft_size))
        return FilterBank(
            povey_window(window).astype(np.float32), Plan(fft_size), *bands,
            float(np.finfo(np.float32).eps), gain=32768.0, remove_mean=True, preemphasis=PREEMPHASIS,
        )  # fmt: skip
    bands = sparse(slaney_bands(settings, window))
    return FilterBank(hann_window(window).astype(np.float32), Plan(window), *bands, 1e-10)


def samples_in(settings: specified.LogMel, ms: float) -> int:
    """How many whole samples last so long."""
    return int(settings.sample_rate * 0.001 * ms)


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
