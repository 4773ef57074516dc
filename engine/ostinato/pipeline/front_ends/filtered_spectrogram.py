"""The front end for music: any sample rate in, logarithmically filtered spectrograms and their rises out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from ostinato.kernels import prepare
from ostinato.kernels.fourier import Plan
from ostinato.kernels.rises import rises
from ostinato.model import front_ends as specified
from ostinato.pipeline import state as snapshots
from ostinato.pipeline.filter_bank import FilterBank, sparse
from ostinato.pipeline.front_ends.audio import AudioFrontEnd, AudioState

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

GAIN = 32768 / 32767
"""Samples are int16 / 32767; here they are int16 / 32768."""
BEFORE = np.finfo(np.float32).max
"""What stands before the first frame: nothing rises above it."""


@dataclass(slots=True)
class FilteredSpectrogramState(AudioState):
    """``spectra``: the last frames' bands, oldest first. The kernel knows them by their ``spectra_address``, so they
    are never replaced."""

    spectra: snapshots.F32Matrix = field(kw_only=True)
    spectra_address: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        AudioState.__post_init__(self)
        self.spectra_address = self.spectra.ctypes.data


class FilteredSpectrogramFrontEnd(AudioFrontEnd[FilteredSpectrogramState]):
    """Mono audio, one-dimensional int16 or float32 in [-1, 1], to frames float32 [n, frame_size], as
    `specified.FilteredSpectrogram` says.

    The windows of a frame are parts of the largest. Of audio of n samples there are ceil(n / hop) frames: those that
    need what lies after it come at `flush`.
    """

    state = FilteredSpectrogramState

    def __init__(self, settings: specified.FilteredSpectrogram, weights: Mapping[str, F32]) -> None:
        """``weights``: it has none."""
        before = [size // 2 + ((size - 1) // 2 if settings.origin == "online" else 0) for size in settings.windows]
        super().__init__(settings.sample_rate, max(settings.windows), settings.hop, max(before))
        self.frame_size = settings.frame_size
        self.frame_ms = self.in_ms(self.hop)
        self.latency_ms = self.in_ms(self.window - self.before - self.hop)
        self._inset = [self.before - each for each in before]
        prepare(rises)
        self._banks = [
            _bank(settings, *each) for each in zip(settings.windows, settings.bands_per_octave, strict=True)
        ]
        self._scalings = [bank.scaling(scale=1 / np.log(10)) for bank in self._banks]
        columns = [bank.columns for bank in self._banks]
        lags = [] if settings.diff_ratio is None else [_lag(settings, size) for size in settings.windows]
        firsts = accumulate([0, *columns[:-1]])
        self._groups = np.array(list(zip(firsts, columns, lags, strict=False)), np.int64)
        self._kept = max(lags, default=0), sum(columns)

    def fresh(self, sample_rate: int, tail: F32) -> FilteredSpectrogramState:
        """A fresh state: nothing was before."""
        return FilteredSpectrogramState(sample_rate, tail, spectra=np.full(self._kept, BEFORE, np.float32))

    def expect(self, state: FilteredSpectrogramState) -> None:
        """As many frames are kept as rises need."""
        snapshots.expect(state.spectra.shape == self._kept, "state.spectra is not of the model's size")

    def from_windows(
        self, states: Sequence[FilteredSpectrogramState], samples: F32, starts: I64, counts: list[int]
    ) -> tuple[F32, list[int]]:
        """A frame for each window."""
        parts = zip(self._banks, self._inset, self._scalings, strict=True)
        spectra = np.concatenate(
            [bank.logarithms(samples, starts + inset, scaling) for bank, inset, scaling in parts], axis=1
        )
        if not len(self._groups):
            return spectra, counts
        frames = np.empty((len(spectra), self.frame_size), np.float32)
        histories = np.array([state.spectra_address for state in states], np.int64)
        rises(spectra, np.array(counts, np.int64), histories, self._kept[0], self._groups, frames)
        return frames, counts


def _bank(settings: specified.FilteredSpectrogram, window: int, bands_per_octave: int) -> FilterBank:
    bins = settings.bins(window, bands_per_octave)
    bands = sparse(_triangles(bins, window // 2, settings.norm_filters))
    return FilterBank(
        np.hanning(window).astype(np.float32), Plan(window), *bands, float(np.finfo(np.float32).tiny), gain=GAIN,
        magnitude=True, factor=settings.mul, addend=settings.add,
    )  # fmt: skip


def _triangles(bins: I64, count: int, norm: bool) -> F64:
    """Band i rises from bin i to one at bin i + 1 of ``bins`` and falls to bin i + 2. [bands,
    count]."""
    matrix = np.zeros((len(bins) - 2, count))
    for row, left, centre, right in zip(matrix, bins, bins[1:], bins[2:], strict=False):
        row[left:centre] = np.arange(centre - left) / (centre - left)
        row[centre:right] = 1 - np.arange(right - centre) / (right - centre)
        if norm:
            row /= row.sum()
    return matrix


def _lag(settings: specified.FilteredSpectrogram, window: int) -> int:
    """How many frames before the middle of this window was where the window rises above ``diff_ratio``."""
    shape = np.hanning(window)
    risen = int(np.argmax(shape > settings.diff_ratio * shape.max()))
    return max(1, round((window / 2 - risen) / settings.hop))
