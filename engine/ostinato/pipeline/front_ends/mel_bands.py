"""What front ends of mel bands share: any sample rate in, frames of what is made of mel bands out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ostinato.model import front_ends as specified
from ostinato.pipeline import state as snapshots
from ostinato.pipeline.front_ends.audio import AudioFrontEnd, AudioState, Loudness
from ostinato.pipeline.mel import filter_bank, logarithm_unit, samples_in
from ostinato.pipeline.pieces import joined, split

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]


@dataclass(slots=True)
class MelBandsState(AudioState):
    """``rows``: what is there of the next stack. ``skip_rows``: how many to drop before it (a stride longer than its
    stack)."""

    rows: snapshots.F32Matrix = field(kw_only=True)
    skip_rows: int = field(kw_only=True, default=0)


class MelBandsFrontEnd(AudioFrontEnd[MelBandsState]):
    """Mono audio, one-dimensional int16 or float32 in [-1, 1], to frames float32 [n, values * stack].

    The conventions are those of `specified.MelBands`. If windows lie wholly inside the audio, n samples give 1 + (n -
    window) // hop filter-bank frames, else ceil(n / hop). Model frame j stacks those from j * stride to j * stride +
    stack - 1; an incomplete window or stack at the end is dropped. Frame j ends, in ms,

        ((j * stride + stack - 1) * hop + window - before) / sample_rate * 1000 = (j + 1) * frame_ms + latency_ms

    after the utterance's first sample. The same bits come out however the audio is cut, and whatever else is in the
    batch.
    """

    state = MelBandsState

    def __init__(self, settings: specified.MelBands, weights: Mapping[str, F32], energy: bool = False) -> None:
        """``weights``: ``front_end.mean`` and ``front_end.scale``, a value each for the values of a window, if the
        settings ask for normalisation. ``energy``: the bank has a column of it."""
        self.settings = settings
        self.bank = bank = filter_bank(settings, energy)
        window = len(bank.window)
        before = window // 2 if settings.origin == "centre" else 0
        super().__init__(settings.sample_rate, window, samples_in(settings, settings.hop_ms), before)
        self.frame_size = settings.frame_size
        self.frame_ms = self.in_ms(self.hop * settings.stride)
        self.latency_ms = self.in_ms(window - before + (settings.stack - 1 - settings.stride) * self.hop)
        self.mean, self.scale = np.zeros(settings.values), np.ones(settings.values)
        if settings.normalise:
            self.mean = weights["front_end.mean"].astype(np.float64)
            self.scale = weights["front_end.scale"].astype(np.float64)
        self.unit = logarithm_unit(settings)
        self.windows_alone = settings.stack == settings.stride == 1

    def values(self, samples: F32, starts: I64) -> F32:
        """Of the windows at ``starts``, normalised: float32 [windows, settings.values]."""
        raise NotImplementedError

    def mean_logarithm(self) -> tuple[F64, float]:
        """The weights [settings.values] by which a window's values, not normalised, make the natural logarithm of its
        bands' sums, on average; and what that is for white noise as quiet as `QUIET`."""
        raise NotImplementedError

    def loudness(self) -> Loudness | None:
        """Of frames, on average over bands. None with ``add``, which makes it another function of them."""
        if self.settings.add:
            return None
        share, quiet = self.mean_logarithm()
        in_db = 20 / self.settings.power / math.log(10)
        back = np.divide(share, self.scale, out=np.zeros_like(share), where=self.scale != 0)
        stack = self.settings.stack
        return Loudness(in_db * np.tile(back / stack, stack), in_db * float(share @ self.mean), in_db * quiet)

    def fresh(self, sample_rate: int, tail: F32) -> MelBandsState:
        """A fresh state: no frame waits for its stack."""
        return MelBandsState(sample_rate, tail, rows=np.empty((0, self.settings.values), np.float32))

    def expect(self, state: MelBandsState) -> None:
        """What is left of a stack is less than one."""
        stack, stride, expect = self.settings.stack, self.settings.stride, snapshots.expect
        expect(len(state.rows) < stack, "state.rows is too long")
        expect(state.rows.shape[1] == self.settings.values, "state.rows has another number of values")
        expect(0 <= state.skip_rows <= max(0, stride - stack), "state.skip_rows is out of range")

    def from_windows(
        self, states: Sequence[MelBandsState], samples: F32, starts: I64, counts: list[int]
    ) -> tuple[F32, list[int]]:
        """Stacks of the windows' values."""
        frames = self.values(samples, starts)
        if self.windows_alone:
            return frames, counts
        stacks = [self._stack(*each) for each in zip(states, split(frames, counts), strict=True)]
        return joined(stacks, self.frame_size), [len(each) for each in stacks]

    def _stack(self, state: MelBandsState, rows: F32) -> F32:
        stack, stride = self.settings.stack, self.settings.stride
        skipped = min(state.skip_rows, len(rows))
        state.skip_rows -= skipped
        rows = np.concatenate((state.rows, rows[skipped:]))
        count = max(0, (len(rows) - stack) // stride + 1)
        drop = count * stride
        state.rows = rows[drop:].copy()
        state.skip_rows += max(0, drop - len(rows))
        pick = np.arange(count)[:, None] * stride + np.arange(stack)
        return np.reshape(rows[pick], (count, self.frame_size))
