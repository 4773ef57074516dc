"""The front end of models that work on spectra: any sample rate in, short-time Fourier transforms out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ostinato.kernels import prepare
from ostinato.kernels.fourier import Plan, work_size
from ostinato.kernels.stft import IMAGINARY, LOG_POWER, MAGNITUDE, POWER, REAL, analyse
from ostinato.lanes import LANES
from ostinato.model import front_ends as specified
from ostinato.model.windows import placed, transform_size, window
from ostinato.pipeline import state as snapshots
from ostinato.pipeline.front_ends.audio import I64, AudioFrontEnd, AudioState, Samples, in_unit
from ostinato.pipeline.front_ends.front_end import F32
from ostinato.pipeline.pieces import each_part

PARTS = {"real": REAL, "imaginary": IMAGINARY, "magnitude": MAGNITUDE, "power": POWER, "log-power": LOG_POWER}


@dataclass(slots=True)
class SpectrumState(AudioState):
    """``taken``: how many samples have come, counted up to half a transform and one more: so many a mirror at the
    start needs. Until they are there, they are all that the tail holds."""

    taken: int = field(kw_only=True, default=0)


class SpectrumFrontEnd(AudioFrontEnd[SpectrumState]):
    """Mono audio to frames float32 [n, outputs * bins] of its short-time Fourier transform: see `specified.Spectrum`.

    Frame j covers the samples from j * hop - before on, as many as its window has, or its transform where it is
    centred or the window lies in the middle; ``before`` is 0, half a transform if it is centred, or, if it is causal,
    what it covers less the hop. So frame j ends, in samples,

        j * hop - before + covered = (j + 1) * frame_ms + latency_ms
    """

    state = SpectrumState

    def __init__(self, settings: specified.Spectrum, weights: Mapping[str, F32]) -> None:
        """``weights``: there are none."""
        prepare(analyse)
        self.settings = settings
        hop, fft_size = settings.hop, transform_size(settings.size, settings.fft_size)
        centred = settings.padding in ("reflect", "constant")
        shape = placed(window(settings.window, settings.size, settings.symmetric), settings.place, fft_size)
        shape = np.pad(shape, (0, fft_size - len(shape) if centred else 0))
        covered = len(shape)
        self._half = fft_size // 2
        before = self._half if centred else covered - hop if settings.padding == "causal" else 0
        self._mirrored = settings.padding == "reflect"
        # What a mirror at the end needs must not have been dropped: windows begin early enough, if need be.
        self._lead = max(0, hop + 1 + self._half - covered) if self._mirrored else 0
        super().__init__(settings.sample_rate, self._lead + covered, hop, 0 if self._mirrored else before)
        self.frame_size = settings.frame_size
        self.frame_ms = settings.frame_ms
        self.latency_ms = self.in_ms(covered - before - hop)
        self._shape = shape.astype(np.float32)
        self._plan = Plan(fft_size)
        self._parts = np.array([PARTS[part] for part in settings.outputs], np.int64)

    def advance(
        self, states: Sequence[SpectrumState], data: Sequence[Samples], lengths: Sequence[int] | None
    ) -> tuple[F32, list[int]]:
        """As of all audio; a mirror is put before what has just become enough for it."""
        counts = [len(samples) for samples in data] if lengths is None else lengths
        if self._mirrored and any(state.taken <= self._half for state in states):
            parts = zip(states, each_part(data, lengths), strict=True)
            data = [self._begun(state, samples) for state, samples in parts]
            lengths = None
        for state, count in zip(states, counts, strict=True):
            state.taken = min(state.taken + count, self._half + 1)
        return super().advance(states, data, lengths)

    def after(self, state: SpectrumState) -> F32:
        """Zeros or a mirror, as the settings say; nothing follows what has not begun."""
        half, kept, padding = self._half, state.kept, self.settings.padding
        if not state.taken or padding == "none" or (padding == "causal" and not self.settings.pad):
            return np.empty(0, np.float32)
        if padding == "causal":
            left = kept - self.before
            return np.zeros(-(-kept // self.hop) * self.hop - left, np.float32)
        if padding == "constant":
            return np.zeros(half, np.float32)
        if state.taken > half:
            return state.tail[kept - 1 - half : kept - 1][::-1].copy()
        everything = np.pad(state.tail[:kept], half, "reflect")
        return self._from_the_start(state, everything)

    def expect(self, state: SpectrumState) -> None:
        """What a mirror needs is there."""
        half, expect = self._half, snapshots.expect
        expect(0 <= state.taken <= half + 1, "state.taken is out of range")
        if self._mirrored:
            fits = state.kept == state.taken if state.taken <= half else state.kept > half
            expect(fits, "state.kept does not fit state.taken")

    def from_windows(
        self, states: Sequence[SpectrumState], samples: F32, starts: I64, counts: list[int]
    ) -> tuple[F32, list[int]]:
        """Their transforms."""
        plan, size = self._plan, self.frame_size
        out = np.empty((len(starts), size + LANES), np.float32)
        work = np.empty(work_size(len(self._shape), plan.size, plan.size + 3 * LANES), np.float32)
        analyse(
            samples, starts + self._lead, self._shape, plan.permutation, plan.passes, plan.roots, self._parts,
            self.settings.epsilon, self.settings.floor, work, out,
        )  # fmt: skip
        return out[:, :size], counts

    def _begun(self, state: SpectrumState, samples: Samples) -> F32:
        """The samples that `advance` goes on with: none until there are enough for a mirror, then those and all."""
        fresh = in_unit(samples)
        if state.taken > self._half:
            return fresh
        held = np.concatenate((state.tail[: state.kept], fresh))
        if len(held) > self._half:
            return self._from_the_start(state, np.concatenate((held[self._half : 0 : -1], held)))
        state.tail[: len(held)] = held
        state.kept = len(held)
        return fresh[:0]

    def _from_the_start(self, state: SpectrumState, samples: F32) -> F32:
        """All of them, in place of what the tail holds, from where the first window begins."""
        state.tail[:] = 0
        state.kept, state.taken = 0, self._half + 1
        return np.concatenate((np.zeros(self._lead, np.float32), samples))
