"""Streaming resampling from any rate to any rate, with a state that is plain data.

Band-limited interpolation with a Kaiser-windowed sinc (Smith, *Digital Audio Resampling*): output n lies at n * down
/ up of the input, and weighs the samples around it by the filter taken there. The table of filter phases is exact
where it is small; for odd pairs of rates it has 256 phases for each sample of the slower rate, interpolated linearly,
so that no pair of rates needs more than 256 KB. Why not scipy.signal.upfirdn: it is exact only (a filter for 44,101
Hz has 16,000 phases), takes ten times as long because its sums run one after the other, and importing
scipy.signal costs half a second.

The stop band begins at the slower rate's Nyquist frequency, 80 dB down; the pass band ends at 0.895 of it.
"""

from __future__ import annotations

import functools
import math
import weakref
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ostinato.errors import InputError
from ostinato.kernels import prepare
from ostinato.kernels.audio import resample
from ostinato.lanes import LANES
from ostinato.pipeline import state as snapshots

F32 = npt.NDArray[np.float32]

MIN_RATE, MAX_RATE = 8_000, 192_000
STOP_DB = 80.0
CROSSINGS = 48  # of the sinc on each side
TRANSITION = (STOP_DB - 7.95) / (
    2.285 * 2 * CROSSINGS * math.pi
)  # Kaiser's formula, in units of the Nyquist frequency
PHASES = 256
MAX_TABLE = 1 << 16  # values
TABLE_BYTES = 4 * MAX_TABLE
"""The most that a resampler takes."""


@dataclass(slots=True)
class ResamplerState:
    """``tail``: the input from where the next output's window begins. ``position``: where the next output lies after
    that window's begin, in 1 / up of an input sample; less than one sample."""

    tail: snapshots.F32Vector
    position: int = 0


@dataclass(frozen=True, eq=False)
class Resampler:
    """From one rate to another, for any number of streams: up / down = target / source in lowest terms, table [phases
    + 1, taps] (see kernels.audio)."""

    up: int
    down: int
    table: F32

    @property
    def taps(self) -> int:
        """Input samples that one output weighs."""
        return int(self.table.shape[1])

    @property
    def delay(self) -> int:
        """How many input samples after an output's place it needs."""
        return self.taps // 2

    def start(self) -> ResamplerState:
        """A fresh state: silence before the first sample."""
        return ResamplerState(np.zeros(self.delay - 1, np.float32))

    def step(self, state: ResamplerState, samples: F32) -> F32:
        """The outputs that float32 ``samples`` complete."""
        samples = np.concatenate((state.tail, samples))
        last = (len(samples) - self.taps + 1) * self.up  # outputs lie before this
        out = np.empty(max(0, -((state.position - last) // self.down)), np.float32)
        resample(samples, self.table, self.up, self.down, state.position, out)
        done, state.position = divmod(state.position + len(out) * self.down, self.up)
        state.tail = samples[done:].copy()
        return out

    def flush(self, state: ResamplerState) -> F32:
        """The rest: ceil(samples * up / down) outputs in all."""
        return self.step(state, np.zeros(self.delay, np.float32))

    def expect(self, state: ResamplerState) -> None:
        """Raise SnapshotError unless ``step`` can have left ``state`` behind."""
        snapshots.expect(len(state.tail) < self.taps, "the resampler's tail is too long")
        snapshots.expect(0 <= state.position < self.up, "the resampler's position is out of range")


def check_rate(rate: object) -> int:
    """``rate`` if it is a whole number of Hz that can be resampled. Raises InputError."""
    if isinstance(rate, bool) or not isinstance(rate, int | np.integer) or not MIN_RATE <= rate <= MAX_RATE:
        raise InputError(f"a sample rate must be a whole number of Hz from {MIN_RATE} to {MAX_RATE}, not {rate!r}")
    return int(rate)


_in_use: weakref.WeakValueDictionary[tuple[int, int], Resampler] = weakref.WeakValueDictionary()


@functools.lru_cache(maxsize=64)
def resampler(source: int, target: int) -> Resampler:
    """The resampler from ``source`` Hz to ``target`` Hz: the one that others use, whoever keeps it; besides, the last
    ones are kept for those to come."""
    return _in_use.get((source, target)) or _in_use.setdefault((source, target), _make(source, target))


def _make(source: int, target: int) -> Resampler:
    prepare(resample)
    common = math.gcd(source, target)
    up, down = target // common, source // common
    ratio = max(1.0, down / up)
    half = math.ceil(CROSSINGS * ratio / (LANES // 2)) * (LANES // 2)
    phases = up if (up + 1) * 2 * half <= MAX_TABLE else math.ceil(PHASES / ratio)
    # Times, in input samples, of each tap from each phase.
    times = np.arange(2 * half) - (half - 1) - np.arange(phases + 1)[:, None] / phases
    cutoff = (1 - TRANSITION / 2) / ratio
    beta = 0.1102 * (STOP_DB - 8.7)
    table = np.sinc(cutoff * times) * np.i0(beta * np.sqrt(np.maximum(0, 1 - (times / half) ** 2)))
    table /= table.sum(axis=1, keepdims=True)  # a constant stays constant in every phase
    return Resampler(up, down, table.astype(np.float32))
