"""What decoders share that add overlapping frames up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from ostinato.events import Event
from ostinato.kernels import prepare
from ostinato.kernels.audio import overlap_add
from ostinato.lanes import LANES, padded
from ostinato.model.decoders import Overlapping
from ostinato.model.decoders.overlapping import LEAST_SUM
from ostinato.pipeline import state as snapshots
from ostinato.pipeline.decoders.audio_output import AudioOutputDecoder, AudioOutputState
from ostinato.pipeline.decoders.decoder import F32

LOUDEST = np.float32(1e20)
"""Outputs beyond this, which are no sound, count as it: so that no sum overflows, and every state can be kept."""


@dataclass(slots=True)
class OverlappingState(AudioOutputState):
    """``tail``: the sums that later frames go on with, zeros behind them. The kernel knows it by its ``address``, so
    it is never replaced."""

    tail: snapshots.F32Vector = field(kw_only=True)
    address: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.address = self.tail.ctypes.data


def tail_size(covered: int, hop: int) -> int:
    """Values of a tail, where frames cover so many samples."""
    return padded(covered) + padded(hop)


def added_up(
    states: Sequence[OverlappingState], frames: F32, counts: Sequence[int], covered: int, hop: int, weights: F32
) -> F32:
    """What the rows of ``frames``, stream after stream, complete, a hop for each, and LANES values more; tails move
    on. What row n completes is multiplied by row min(n, last) of ``weights``, whole vectors."""
    samples = np.empty(len(frames) * hop + LANES, np.float32)
    streams = np.array([[s.address for s in states], counts, [s.frames for s in states]], np.int64)
    if len(frames):
        overlap_add(frames, streams, covered, hop, weights, samples)
    return samples


def expect_sums(state: OverlappingState, covered: int, hop: int) -> None:
    """Raise SnapshotError unless `added_up` can have left the tail behind."""
    tail, summed = state.tail, covered - hop
    snapshots.expect(len(tail) == tail_size(covered, hop), "state.tail is not of the model's size")
    small = bool((np.abs(tail) < 1e6 * LOUDEST).all())
    snapshots.expect(small and not tail[summed:].any(), "state.tail holds what no sum leaves behind")


D = TypeVar("D", bound=Overlapping)


class OverlappingDecoder(AudioOutputDecoder[D, OverlappingState]):
    """Frames times a window, added up: see `model.decoders.Overlapping`. Each sum takes its frames in their order, so
    the bits do not depend on how they come."""

    def __init__(self, settings: D, frame_ms: float, latency_ms: float) -> None:
        super().__init__(settings, frame_ms, latency_ms)
        prepare(overlap_add)
        self._products = settings.products()
        sums = np.cumsum(self._products, axis=0) if settings.trim_start else self._products.sum(axis=0)[None]
        self._weights = np.pad(self._reciprocal(sums), ((0, 0), (0, -self.hop % LANES)))

    def windowed(self, outputs: F32) -> F32:
        """What the frames of ``outputs`` add, [n, covered] rounded up to whole vectors, whatever is in those."""
        raise NotImplementedError

    def start(self) -> OverlappingState:
        """A fresh state."""
        return OverlappingState(tail=np.zeros(tail_size(self.covered, self.hop), np.float32))

    def step(self, state: OverlappingState, outputs: F32) -> list[Event]:
        """The events that the rows of ``outputs`` [n, outputs] complete."""
        (events,) = self.step_many([state], outputs, [len(outputs)])
        return events

    def step_many(
        self, states: Sequence[OverlappingState], outputs: F32, counts: Sequence[int]
    ) -> Iterator[list[Event]]:
        """`step` for many streams: their frames are transformed as one batch."""
        frames = self.windowed(outputs) if len(outputs) else np.empty((0, self.covered), np.float32)
        samples = added_up(states, frames, counts, self.covered, self.hop, self._weights)
        return self.hops(states, samples, counts)

    def flush(self, state: OverlappingState) -> list[Event]:
        """What only waited for later frames."""
        if not state.frames:
            return []
        settings = self.settings
        before, count = state.frames * self.hop, self.covered - self.hop
        rest = state.tail[:count] * self._last_weights(state.frames).ravel()[:count]
        skipped = max(0, settings.trim_start - before)
        rest = rest[skipped : max(skipped, count - settings.trim_end)]
        return self.events(state, rest, before + count - settings.trim_end, ended=True)

    def restore(self, packed: object) -> OverlappingState:
        """The state that `state.pack` packed. Raises SnapshotError."""
        state = snapshots.unpack(OverlappingState, packed)
        self.expect(state)
        return state

    def expect(self, state: OverlappingState) -> None:
        """The sums, besides."""
        super().expect(state)
        expect_sums(state, self.covered, self.hop)

    def _last_weights(self, frames: int) -> F32:
        """What normalises samples beyond those that ``frames`` frames complete, [chunks, step]."""
        products, settings = self._products, self.settings
        sums = np.zeros_like(products)
        for chunk in range(len(products)):
            first = chunk + 1 if settings.trim_end else 0
            last = frames + chunk if settings.trim_start else len(products)
            sums[chunk] = products[first : last + 1].sum(axis=0)
        return self._reciprocal(sums)

    def _reciprocal(self, sums: npt.NDArray[np.float64]) -> F32:
        """What normalises by sums of windows: 1 if the settings do not."""
        if not self.settings.normalise:
            return np.ones(sums.shape, np.float32)
        return np.divide(1, sums, out=np.ones(sums.shape), where=sums > LEAST_SUM).astype(np.float32)
