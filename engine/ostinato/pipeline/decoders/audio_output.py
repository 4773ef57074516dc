"""What decoders that give audio share: samples, however they come, as events of equal length."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from ostinato.events import Event
from ostinato.model.decoders import AudioOutput
from ostinato.pipeline import state as snapshots
from ostinato.pipeline.decoders.decoder import F32, Decoder


def _none() -> F32:
    return np.empty(0, np.float32)


@dataclass(slots=True)
class AudioOutputState:
    """``pending``: samples that make no whole event yet."""

    frames: int = 0
    pending: snapshots.F32Vector = field(default_factory=_none)


D = TypeVar("D", bound=AudioOutput)
S = TypeVar("S", bound=AudioOutputState)


class AudioOutputDecoder(Decoder[D, S]):
    """``audio`` events of ``block`` samples each; the last of an utterance may have fewer.

    Frame j covers ``covered`` samples from j * step on; the last of them ends in the input's time where the frame
    does. An event's ``time_ms`` is where its last sample ends, and ``frame`` the one that completed it. Where frames
    overlap, their last samples wait for later ones: they come (covered - step) samples later.
    """

    def __init__(self, settings: D, frame_ms: float, latency_ms: float) -> None:
        super().__init__(settings, frame_ms, latency_ms)
        self.sample_rate = settings.sample_rate(frame_ms)
        self.block, self.hop, self.covered = settings.block_size, settings.step, settings.covered
        self._sample_ms = frame_ms / self.hop
        self._start_ms = frame_ms + latency_ms - self.covered * self._sample_ms
        common = math.gcd(self.hop, self.block)
        into = self.hop - common + settings.skipped % common  # the furthest into a frame that an event begins
        self.delay = -(-(self.covered - self.hop) // self.hop) + (into + self.block - 1) // self.hop

    @property
    def state_bytes(self) -> int:
        """With an event that lacks a sample."""
        return snapshots.held_bytes(self.start()) + 4 * (self.block - 1)

    def events(self, state: S, samples: F32, end: int, ended: bool = False) -> list[Event]:
        """The events that further samples complete, up to sample number ``end``; all that are left, if the utterance
        has ``ended``. The state has counted the frames that they are of."""
        block, hop = self.block, self.hop
        pending = np.concatenate((state.pending, samples)) if len(state.pending) else samples
        whole = len(pending) if ended else len(pending) // block * block
        at = end - len(pending)
        made = []
        for start in range(0, whole, block):
            values = pending[start : start + block].copy()  # nothing else is kept alive by an event
            at += len(values)
            frame = min(-(-at // hop), state.frames) - 1
            made.append(Event("audio", frame, self._start_ms + at * self._sample_ms, values=values))
        if whole < len(pending) or len(state.pending):
            state.pending = pending[whole:].copy()
        return made

    def hops(self, states: Sequence[S], samples: F32, counts: Sequence[int]) -> Iterator[list[Event]]:
        """The events of many streams, whose frames completed a hop each of ``samples``: stream i has the next
        ``counts[i]`` hops, but for what is skipped at the start of an utterance."""
        skipped, first = self.settings.skipped, 0
        for state, count in zip(states, counts, strict=True):
            before = state.frames * self.hop
            state.frames += count
            last = first + count * self.hop
            own = samples[min(first + max(0, skipped - before), last) : last]
            yield self.events(state, own, before + last - first)
            first = last

    def expect(self, state: S) -> None:
        """Raise SnapshotError unless `events` can have left ``state`` behind."""
        snapshots.expect(state.frames >= 0, "state.frames is negative")
        snapshots.expect(len(state.pending) < self.block, "state.pending is as long as an event")
