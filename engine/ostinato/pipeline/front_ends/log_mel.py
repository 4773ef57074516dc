"""The front end for audio: any sample rate in, log-mel frames out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ostinato.model import front_ends as specified
from ostinato.pipeline import state as snapshots
from ostinato.pipeline.front_ends.audio import AudioFrontEnd, AudioState
from ostinato.pipeline.mel import filter_bank, samples_in
from ostinato.pipeline.pieces import joined, split

F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]


@dataclass(slots=True)
class LogMelState(AudioState):
    """``rows``: what is there of the next stack. ``skip_rows``: how many to drop before it (a stride longer than its
    stack)."""

    rows: snapshots.F32Matrix = field(kw_only=True)
    skip_rows: int = field(kw_only=True, default=0)


class LogMelFrontEnd(AudioFrontEnd[LogMelState]):
    """Mono audio, one-dimensional int16 or float32 in [-1, 1], to log-mel frames float32 [n, mels * stack].

    The conventions are those of `specified.LogMel`. Windows lie wholly inside the audio (snip-edges): n samples
    give 1 + (n - window) // hop filter-bank frames, and model frame j stacks those from j * stride to j * stride +
    stack - 1; an incomplete window or stack at the end is dropped. Frame j ends, in ms,

        ((j * stride + stack - 1) * hop + window) / sample_rate * 1000 = (j + 1) * frame_ms + latency_ms

    after the utterance's first sample. The same bits come out however the audio is cut, and whatever else is in the
    batch.
    """

    state = LogMelState

    def __init__(self, settings: specified.LogMel, weights: Mapping[str, F32]) -> None:
        """``weights``: ``front_end.mean`` and ``front_end.scale`` [mels], if the settings ask for normalisation."""
        self.settings = settings
        self.bank = bank = filter_bank(settings)
        super().__init__(settings.sample_rate, len(bank.window), samples_in(settings, settings.hop_ms))
        self.frame_size = settings.frame_size
        self.frame_ms = self.in_ms(self.hop * settings.stride)
        self.latency_ms = self.in_ms(self.window + (settings.stack - 1 - settings.stride) * self.hop)
        self._scaling = bank.scaling()
        if settings.normalise:
            self._scaling = bank.scaling(weights["front_end.mean"], weights["front_end.scale"])

    def fresh(self, sample_rate: int, tail: F32) -> LogMelState:
        """A fresh state: no frame waits for its stack."""
        return LogMelState(sample_rate, tail, rows=np.empty((0, self.bank.columns), np.float32))

    def expect(self, state: LogMelState) -> None:
        """What is left of a stack is less than one."""
        stack, stride, expect = self.settings.stack, self.settings.stride, snapshots.expect
        expect(len(state.rows) < stack, "state.rows is too long")
        expect(state.rows.shape[1] == self.bank.columns, "state.rows has another number of mel bands")
        expect(0 <= state.skip_rows <= max(0, stride - stack), "state.skip_rows is out of range")

    def from_windows(
        self, states: Sequence[LogMelState], samples: F32, starts: I64, counts: list[int]
    ) -> tuple[F32, list[int]]:
        """Stacks of the windows' normalised log-mel values."""
        frames = self.bank.logarithms(samples, starts, self._scaling)
        if self.settings.stack == self.settings.stride == 1:
            return frames, counts
        stacks = [self._stack(*each) for each in zip(states, split(frames, counts), strict=True)]
        return joined(stacks, self.frame_size), [len(each) for each in stacks]

    def _stack(self, state: LogMelState, rows: F32) -> F32:
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
