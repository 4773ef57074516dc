"""Banks of filters over a window's spectrum: what front ends that speak of bands are made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from ostinato.kernels.compiler import entry, prepare
from ostinato.kernels.fourier import Plan, work_size
from ostinato.kernels.spectrum import log_bands
from ostinato.lanes import padded

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class FilterBank:
    """Settings of `kernels.spectrum.log_bands`, and its constants.

    Samples in [-1, 1] times ``gain``, less the window's mean if ``remove_mean``, pre-emphasised, times ``window``,
    padded with zeros to as many as ``plan`` transforms; the sum of the power spectrum, or of magnitudes, in each
    band, times ``factor``, plus ``addend``, at least ``floor``; its natural logarithm. If ``energy``, the window's
    energy before pre-emphasis and window is one column more. Band m weighs the bins from ``first[m]`` on by
    ``weights[offset[m] : offset[m + 1]]``; all others do not belong to it.
    """

    window: F32
    plan: Plan
    first: I64
    offset: I64
    weights: F32
    floor: float
    gain: float = 1.0
    remove_mean: bool = False
    preemphasis: float = 0.0
    magnitude: bool = False
    factor: float = 1.0
    addend: float = 0.0
    energy: bool = False

    def __post_init__(self) -> None:
        _compiled()

    @property
    def columns(self) -> int:
        """Values of a window: the bands, and the energy."""
        return len(self.first) + self.energy

    def scaling(self, mean: npt.ArrayLike = 0.0, scale: npt.ArrayLike = 1.0) -> F32:
        """What `logarithms` makes of a value v, (v - mean) * scale, as it takes it."""
        made = np.zeros((2, padded(self.columns)), np.float32)
        made[:, : self.columns] = np.broadcast_to(mean, self.columns), np.broadcast_to(scale, self.columns)
        return made

    def logarithms(self, samples: F32, starts: I64, scaling: F32) -> F32:
        """Of the windows that begin at ``starts`` in ``samples``, whose last is followed by 16 more values: float32
        [windows, columns]."""
        mean, scale = scaling
        out = np.empty((len(starts), len(mean)), np.float32)
        work = np.empty(work_size(len(self.window), self.plan.size, len(mean)), np.float32)
        _compiled()(
            samples, starts, self.gain, self.remove_mean, self.preemphasis, self.window, self.plan.permutation,
            self.plan.passes, self.plan.roots, self.magnitude, self.first, self.offset, self.weights, self.factor,
            self.addend, self.floor, self.energy, mean, scale, work, out,
        )  # fmt: skip
        return out[:, : self.columns]

    def white_noise(self, rms: float) -> F64:
        """What the bands hold of white noise, on average before the logarithm: natural logarithms [bands]."""
        turns = np.exp(-2j * np.pi * np.arange(self.plan.size // 2 + 1) / self.plan.size)
        power = (self.gain * rms) ** 2 * np.sum(self.window**2) * np.abs(1 - self.preemphasis * turns) ** 2
        level = np.sqrt(np.pi / 4 * power) if self.magnitude else power  # the mean of a Rayleigh distribution
        runs = zip(self.first, self.offset[:-1], self.offset[1:], strict=True)
        sums = np.array([self.weights[start:end] @ level[first : first + end - start] for first, start, end in runs])
        return np.log(np.maximum(self.factor * sums + self.addend, self.floor))


@cache
def _compiled() -> Callable[..., None]:
    prepare(log_bands)
    return entry(log_bands)


def sparse(matrix: F64) -> tuple[I64, I64, F32]:
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
