"""RNNoise's gains, made sound."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from ostinato.events import Event
from ostinato.kernels import prepare
from ostinato.kernels.audio import overlap_add
from ostinato.kernels.pitch import FULL_SCALE
from ostinato.kernels.rnnoise import LARGEST, suppress
from ostinato.lanes import padded
from ostinato.model.decoders import RnnoiseSynthesis
from ostinato.model.rnnoise import ANALYSIS, BANDS, BINS, HEARD, HOP, WINDOW
from ostinato.model.windows import window
from ostinato.pipeline import state as snapshots
from ostinato.pipeline.decoders.audio_output import AudioOutputDecoder
from ostinato.pipeline.decoders.decoder import F32
from ostinato.pipeline.decoders.inverse import Inverse
from ostinato.pipeline.decoders.overlapping import OverlappingState, added_up, expect_sums, tail_size
from ostinato.pipeline.rnnoise import EDGES_OF_BANDS, SHARES


@dataclass(slots=True)
class RnnoiseSynthesisState(OverlappingState):
    """``before``: the analysis of the frame before, and the last gains; the kernel knows it by its
    ``before_address``, so it is never replaced."""

    before: snapshots.F32Vector = field(kw_only=True)
    before_address: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        OverlappingState.__post_init__(self)
        self.before_address = self.before.ctypes.data


class RnnoiseSynthesisDecoder(AudioOutputDecoder[RnnoiseSynthesis, RnnoiseSynthesisState]):
    """See `model.decoders.RnnoiseSynthesis`. What waits for later frames when an utterance ends lies behind it."""

    def __init__(self, settings: RnnoiseSynthesis, frame_ms: float, latency_ms: float) -> None:
        super().__init__(settings, frame_ms, latency_ms)
        prepare(suppress, overlap_add)
        self._inverse = Inverse(WINDOW, window("vorbis", WINDOW))
        self._ones = np.ones((1, padded(HOP)), np.float32)

    def start(self) -> RnnoiseSynthesisState:
        """A fresh state: silence was before."""
        before, tail = np.zeros(ANALYSIS + BANDS, np.float32), np.zeros(tail_size(WINDOW, HOP), np.float32)
        return RnnoiseSynthesisState(tail=tail, before=before)

    def step(self, state: RnnoiseSynthesisState, outputs: F32) -> list[Event]:
        """The events that the rows of ``outputs`` [n, 1891] complete."""
        (events,) = self.step_many([state], outputs, [len(outputs)])
        return events

    def step_many(
        self, states: Sequence[RnnoiseSynthesisState], outputs: F32, counts: Sequence[int]
    ) -> Iterator[list[Event]]:
        """`step` for many streams: their frames are transformed as one batch."""
        spectra = np.empty((len(outputs), 2 * BINS), np.float32)
        frames = np.empty((0, WINDOW), np.float32)
        if len(outputs):
            streams = np.array([[state.before_address for state in states], counts], np.int64)
            work = np.empty(ANALYSIS + 3 * BANDS + 2 + HEARD, np.float32)
            rows = np.ascontiguousarray(outputs)
            suppress(rows, streams, EDGES_OF_BANDS, SHARES, WINDOW / FULL_SCALE, work, spectra)
            frames = self._inverse.windowed(spectra)
        return self.hops(states, added_up(states, frames, counts, WINDOW, HOP, self._ones), counts)

    def flush(self, state: RnnoiseSynthesisState) -> list[Event]:
        """What makes no whole event."""
        return self.events(state, state.pending[:0], state.frames * HOP, ended=True)

    def restore(self, packed: object) -> RnnoiseSynthesisState:
        """The state that `state.pack` packed. Raises SnapshotError."""
        state, expect = snapshots.unpack(RnnoiseSynthesisState, packed), snapshots.expect
        self.expect(state)
        expect_sums(state, WINDOW, HOP)
        expect(len(state.before) == ANALYSIS + BANDS, "state.before is not of the model's size")
        analysis, gains = np.split(state.before, [ANALYSIS])
        spectra, energies, correlations = np.split(analysis, [ANALYSIS - 3 * BANDS, ANALYSIS - BANDS])
        small = all(bool((np.abs(values) <= LARGEST).all()) for values in (spectra, correlations))
        expect(small, "state.before is too loud")
        expect(bool(((energies >= 0) & (energies <= LARGEST**2)).all()), "state.before has energies that none has")
        expect(bool(((gains >= 0) & (gains <= 1)).all()), "state.before has gains that are not from 0 to 1")
        return state
