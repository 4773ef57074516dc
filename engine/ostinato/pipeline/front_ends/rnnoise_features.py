"""RNNoise's front end: audio at any sample rate in, features and the analysis behind them out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ostinato.kernels import prepare
from ostinato.kernels.fourier import Plan, work_size
from ostinato.kernels.pitch import kept_size, pitches
from ostinato.kernels.pitch import work_size as pitch_work_size
from ostinato.kernels.rnnoise import features
from ostinato.kernels.stft import IMAGINARY, REAL, analyse
from ostinato.lanes import LANES
from ostinato.model import front_ends as specified
from ostinato.model.rnnoise import BANDS, BINS, HOP, LONGEST, SHORTEST, WINDOW
from ostinato.model.windows import window
from ostinato.pipeline import state as snapshots
from ostinato.pipeline.front_ends.audio import I64, AudioFrontEnd, AudioState, Samples
from ostinato.pipeline.front_ends.front_end import F32
from ostinato.pipeline.rnnoise import COSINES, EDGES_OF_BANDS, SHARES

BEFORE = LONGEST + HOP
"""Samples before a frame that are kept."""
LOUDEST = 1e8
"""No sample of 8 or less, times 32768, comes out of the high-pass filter as large."""


@dataclass(slots=True)
class RnnoiseFeaturesState(AudioState):
    """``history``: filtered samples before the next frame, two values of the filter, the last period and how strong
    it was. The kernel knows it by its ``history_address``, so it is never replaced. ``begun``: whether a
    sample came."""

    history: snapshots.F32Vector = field(kw_only=True)
    begun: bool = field(kw_only=True, default=False)
    history_address: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        AudioState.__post_init__(self)
        self.history_address = self.history.ctypes.data


class RnnoiseFeaturesFrontEnd(AudioFrontEnd[RnnoiseFeaturesState]):
    """Mono audio to frames float32 [n, 1924], as `specified.RnnoiseFeatures` says.

    Frame j needs the samples up to (j + 1) * 480. Of audio of n samples there are ceil(n / 480) + 2: the last
    ones, of silence, come at `flush`.
    """

    state = RnnoiseFeaturesState

    def __init__(self, settings: specified.RnnoiseFeatures, weights: Mapping[str, F32]) -> None:
        """``weights``: there are none."""
        prepare(pitches, features, analyse)
        super().__init__(settings.sample_rate, HOP, HOP)
        self.frame_size = settings.frame_size
        self.frame_ms = settings.frame_ms
        self.latency_ms = 0.0
        self._size = kept_size(HOP, LONGEST)
        self._window = (window("vorbis", WINDOW) / WINDOW).astype(np.float32)
        self._plan = Plan(WINDOW)
        self._parts = np.array([REAL, IMAGINARY], np.int64)

    def fresh(self, sample_rate: int, tail: F32) -> RnnoiseFeaturesState:
        """A fresh state: silence was before."""
        return RnnoiseFeaturesState(sample_rate, tail, history=np.zeros(self._size, np.float32))

    def expect(self, state: RnnoiseFeaturesState) -> None:
        """What is kept can be."""
        expect, history = snapshots.expect, state.history
        expect(len(history) == self._size, "state.history is not of the model's size")
        expect(bool((np.abs(history[: BEFORE + 2]) < LOUDEST).all()), "state.history is too loud")
        period, strength = history[BEFORE + 2 : BEFORE + 4]
        expect(period == 0 or SHORTEST <= period < LONGEST, "state.history has no period of pitch")
        expect(period == int(period) and strength <= 1, "state.history has no period of pitch")

    def after(self, state: RnnoiseFeaturesState) -> F32:
        """The silence in which all of the audio comes out."""
        return np.zeros(-state.kept % HOP + WINDOW if state.begun else 0, np.float32)

    def advance(
        self, states: Sequence[RnnoiseFeaturesState], data: Sequence[Samples], lengths: Sequence[int] | None
    ) -> tuple[F32, list[int]]:
        """As of all audio; whether any came is kept."""
        for state, count in zip(states, map(len, data) if lengths is None else lengths, strict=True):
            state.begun = state.begun or count > 0
        return super().advance(states, data, lengths)

    def from_windows(
        self, states: Sequence[RnnoiseFeaturesState], samples: F32, starts: I64, counts: list[int]
    ) -> tuple[F32, list[int]]:
        """A frame for each window: its pitch first, then both spectra of all, then what is made of them."""
        count, plan = len(starts), self._plan
        frames = np.empty((count, self.frame_size), np.float32)
        if not count:
            return frames, counts
        streams = np.array([[state.history_address for state in states], counts], np.int64)
        filtered = np.empty(count * HOP + len(states) * BEFORE + LANES, np.float32)
        periods = np.empty(count, np.int64)
        work = np.empty(pitch_work_size(HOP, LONGEST), np.float32)
        pitches(samples, starts, streams, HOP, SHORTEST, LONGEST, work, filtered, periods)
        first = np.repeat(np.arange(len(states)) * BEFORE, counts) + np.arange(count) * HOP
        windows = np.concatenate([first + LONGEST, first + LONGEST - periods])
        spectra = np.empty((len(windows), 2 * BINS + LANES), np.float32)
        work = np.empty(work_size(WINDOW, WINDOW, WINDOW + 3 * LANES), np.float32)
        analyse(
            filtered, windows, self._window, plan.permutation, plan.passes, plan.roots, self._parts, 0.0, 0.0, work,
            spectra,
        )  # fmt: skip
        features(spectra, periods, EDGES_OF_BANDS, SHARES, COSINES, work[: BANDS + 2], frames)
        return frames, counts
