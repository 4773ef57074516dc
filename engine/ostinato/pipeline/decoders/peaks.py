"""Peaks of activations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ostinato.errors import BadModelFileError
from ostinato.events import Event
from ostinato.kernels import prepare
from ostinato.kernels.peaks import peaks
from ostinato.model import decoders as specified
from ostinato.pipeline import state as snapshots
from ostinato.pipeline.decoders.decoder import Decoder, counted

F32 = npt.NDArray[np.float32]

MAX_KEPT = 1 << 18
"""The most values that a stream's state has."""
NEVER = -float(1 << 53)
GOES_ON = 1 << 62
"""Beyond the last frame, while nobody knows which that is."""


@dataclass(slots=True)
class PeaksState:
    """``recent``, ``smoothed``, ``candidates``: values of the last frames as `kernels.peaks` keeps them.
    ``last``: the frame of each output's last peak."""

    recent: snapshots.F32Matrix
    smoothed: snapshots.F64Matrix
    candidates: snapshots.F64Matrix
    last: snapshots.F64Vector
    frames: int = 0


class PeaksDecoder(Decoder[specified.Peaks, PeaksState]):
    """A ``peak`` event for each, as `specified.Peaks` says, in the order of frames, then of outputs.

    ``event.frame`` is the frame that made it known, ``time_ms`` where the peak is, ``probability`` its height,
    at most 1.
    """

    def __init__(self, settings: specified.Peaks, frame_ms: float, latency_ms: float) -> None:
        """Raises BadModelFileError if the times are too many frames to keep."""
        super().__init__(settings, frame_ms, latency_ms)
        prepare(peaks)
        taps = max(1, self._frames(settings.smooth_ms))
        pre_avg, self._post_avg = self._frames(settings.pre_avg_ms), self._frames(settings.post_avg_ms)
        pre_max, self._post_max = self._frames(settings.pre_max_ms), self._frames(settings.post_max_ms)
        self._sizes = taps, pre_avg + self._post_avg + 1, pre_max + self._post_max + 1
        self._apart = int(settings.combine_ms / frame_ms + 1e-9)
        self._wait = (taps - 1) // 2 + self._post_avg + self._post_max
        self.delay = self._wait
        self._columns = np.flatnonzero([label != "" for label in settings.labels])
        if sum(self._sizes) * len(self._columns) > MAX_KEPT:
            raise BadModelFileError(
                f"decoder: peaks of {len(self._columns)} outputs would keep {sum(self._sizes)} frames of "
                f"{frame_ms:g} ms: make its times shorter"
            )
        # To the precision of float32: cosines differ in the last bits of float64 from host to host.
        self._smoothing = np.hamming(taps).astype(np.float32).astype(np.float64)

    def _frames(self, ms: float) -> int:
        return round(ms / self.frame_ms)

    def start(self) -> PeaksState:
        """A fresh state: before the first frame all is 0."""
        columns = len(self._columns)
        recent, smoothed, candidates = (np.zeros((size, columns)) for size in self._sizes)
        return PeaksState(recent.astype(np.float32), smoothed, candidates, np.full(columns, NEVER))

    def step(self, state: PeaksState, outputs: F32) -> list[Event]:
        """The peaks that the rows of ``outputs`` [n, outputs] make known."""
        events = self._peaks(state, np.ascontiguousarray(outputs[:, self._columns]), GOES_ON)
        state.frames += len(outputs)
        return events

    def flush(self, state: PeaksState) -> list[Event]:
        """Those that waited for frames after them."""
        return self._peaks(state, np.zeros((self._wait, len(self._columns)), np.float32), state.frames)

    def restore(self, packed: object) -> PeaksState:
        """The state that `state.pack` packed. Raises SnapshotError."""
        state = counted(snapshots.unpack(PeaksState, packed))
        columns = len(self._columns)
        shapes = [state.recent.shape, state.smoothed.shape, state.candidates.shape]
        fits = shapes == [(size, columns) for size in self._sizes]
        snapshots.expect(fits and len(state.last) == columns, "the state of peaks is not of the model's size")
        return state

    def _peaks(self, state: PeaksState, values: F32, end: int) -> list[Event]:
        if not len(values):
            return []
        places, heights = np.empty((values.size, 2), np.int64), np.empty(values.size)
        found = peaks(
            values, state.frames, end, self._smoothing, self._post_avg, self._post_max, self.settings.threshold,
            state.recent, state.smoothed, state.candidates, places, heights,
        )  # fmt: skip
        events = []
        for (frame, column), height in zip(places[:found].tolist(), heights[:found].tolist(), strict=True):
            if frame - state.last[column] > self._apart:
                state.last[column] = frame
                index = int(self._columns[column])
                decided = min(frame + self._wait, end - 1)
                time_ms = self.time_ms(frame) + self.settings.delay_ms
                events.append(Event("peak", decided, time_ms, self.settings.labels[index], index, min(height, 1.0)))
        return events
