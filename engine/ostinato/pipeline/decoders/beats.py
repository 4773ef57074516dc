"""Beats of music."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ostinato.errors import BadModelFileError
from ostinato.events import Event
from ostinato.kernels import prepare
from ostinato.kernels.arrays import log
from ostinato.kernels.beats import LEAST, best_paths, forward
from ostinato.model import decoders as specified
from ostinato.pipeline import state as snapshots
from ostinato.pipeline.decoders.decoder import Decoder, counted
from ostinato.pipeline.decoders.undecided import Undecided

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

MAX_STATES, MAX_INTERVALS = 1 << 16, 1024
UNLIKELY = 2.0**-52
"""Changes of tempo that are less likely than this are impossible."""
IMPOSSIBLE = -1e9
"""The logarithm of a probability of 0."""
MAX_KEPT = 1 << 20
"""The most changes of tempo that a stream keeps: frames times intervals."""


@dataclass(slots=True)
class BeatsState:
    """``paths``: of each state its probability, or the logarithm of that of the best path to it, less the largest.
    ``back``, ``outputs``: of frames that are not decided yet, the changes of tempo and the output. ``last``: the
    frame of the last beat, or 0."""

    paths: snapshots.F64Vector
    back: snapshots.U16Matrix
    outputs: snapshots.F32Vector
    last: int = 0
    frames: int = 0


class BeatsDecoder(Decoder[specified.Beats, BeatsState]):
    """A ``beat`` event for each, as `specified.Beats` says.

    ``event.frame`` is the frame that decided it, ``time_ms`` where the beat is, ``probability`` the output there, and
    ``values`` [1] the tempo in beats a minute.
    """

    def __init__(self, settings: specified.Beats, frame_ms: float, latency_ms: float) -> None:
        """Raises BadModelFileError if there is no tempo to be told apart in such frames, or too many."""
        super().__init__(settings, frame_ms, latency_ms)
        prepare(best_paths, forward)
        self.intervals = _intervals(settings, frame_ms)
        if len(self.intervals) > MAX_INTERVALS or self.intervals.sum() > MAX_STATES or self.intervals[0] < 2:
            raise BadModelFileError(
                f"decoder: beats from {settings.min_bpm:g} to {settings.max_bpm:g} bpm are {self.intervals[0]} to "
                f"{self.intervals[-1]} frames of {frame_ms:g} ms apart: 2 are the least, and {MAX_INTERVALS} "
                f"intervals of together {MAX_STATES} frames the most"
            )
        self._firsts = np.cumsum(self.intervals) - self.intervals
        self._heard = np.ceil(self.intervals / settings.observation_lambda).astype(np.int64)
        places = np.arange(self.intervals.sum()) - np.repeat(self._firsts, self.intervals)
        self._interval_of = np.repeat(np.arange(len(self.intervals)), self.intervals)
        self._is_heard = places < self._heard[self._interval_of]
        self._changes = _changes(self.intervals, settings.transition_lambda)
        half = MAX_KEPT // len(self.intervals) // 2
        self._undecided = Undecided(half, half)
        if settings.method == "viterbi":
            self.delay = None
            with np.errstate(divide="ignore"):
                self._changes = _designed(np.maximum(np.log(self._changes), IMPOSSIBLE))

    @property
    def state_bytes(self) -> int:
        """With all that is undecided at most."""
        undecided = self._undecided.most if self.settings.method == "viterbi" else 0
        return 8 * int(self.intervals.sum()) + undecided * (2 * len(self.intervals) + 4)

    def start(self) -> BeatsState:
        """A fresh state: any place in a beat of any tempo is as likely as another."""
        states = int(self.intervals.sum())
        paths = np.zeros(states) if self.settings.method == "viterbi" else np.full(states, 1 / states)
        return BeatsState(paths, np.empty((0, len(self.intervals)), np.uint16), np.empty(0, np.float32))

    def step(self, state: BeatsState, outputs: F32) -> list[Event]:
        """The beats that the rows of ``outputs`` [n, size] decide."""
        if not len(outputs):
            return []
        values = np.ascontiguousarray(outputs[:, self.settings.index])
        return self._forward(state, values) if self.settings.method == "forward" else self._viterbi(state, values)

    def flush(self, state: BeatsState) -> list[Event]:
        """The beats of what is undecided."""
        if self.settings.method == "forward" or not state.frames:
            return []
        return self._trace(state, self._undecided.decided(state.frames), state.frames)

    def restore(self, packed: object) -> BeatsState:
        """The state that `state.pack` packed. Raises SnapshotError."""
        state = counted(snapshots.unpack(BeatsState, packed))
        rows = self._undecided.rows(state.frames) if self.settings.method == "viterbi" else 0
        shapes = [state.paths.shape, state.back.shape, state.outputs.shape]
        fits = shapes == [(int(self.intervals.sum()),), (rows, len(self.intervals)), (rows,)]
        snapshots.expect(fits, "the state of beats is not of the model's size")
        snapshots.expect(int(state.back.max(initial=0)) < len(self.intervals), "state.back holds no interval")
        snapshots.expect(0 <= state.last <= state.frames, "state.last is out of range")
        if self.settings.method == "forward":
            snapshots.expect(bool((state.paths >= 0).all() and state.paths.sum() > 0.5), "state.paths are no chances")
        return state

    def _forward(self, state: BeatsState, values: F32) -> list[Event]:
        likeliest = np.empty(len(values), np.int64)
        forward(
            values, self._firsts, self.intervals, self._heard, self._changes, self.settings.observation_lambda,
            state.paths, np.empty((2, len(self.intervals))), likeliest,
        )  # fmt: skip
        first, state.frames = state.frames, state.frames + len(values)
        events = []
        for r in np.flatnonzero(self._is_heard[likeliest]).tolist():
            if (first + r - state.last) * self.frame_ms + 1e-6 >= 60_000 / self.settings.max_bpm:
                state.last = first + r
                interval = int(self._interval_of[likeliest[r]])
                events.append(self._event(first + r, first + r, interval, float(values[r])))
        return events

    def _viterbi(self, state: BeatsState, values: F32) -> list[Event]:
        """In runs that each end where a batch is decided, so that however frames come the decisions are the same."""
        events, at = list[Event](), 0
        while at < len(values):
            undecided = self._undecided
            decided = undecided.decided(state.frames)
            run = values[at : at + decided + undecided.most - state.frames]
            first, state.frames, at = state.frames, state.frames + len(run), at + len(run)
            if (more := undecided.rows(state.frames) - len(state.back)) > 0:
                state.back = np.concatenate((state.back, np.zeros((more, len(self.intervals)), np.uint16)))
                state.outputs = np.concatenate((state.outputs, np.zeros(more, np.float32)))
            state.outputs[np.arange(first, state.frames) % undecided.most] = run
            likely = np.clip(run.astype(np.float64), LEAST, 1 - LEAST)
            other = (1 - likely) / (self.settings.observation_lambda - 1)
            best_paths(
                first, self._firsts, self.intervals, self._heard, self._changes,
                _logarithms(likely, other), state.paths, np.empty(len(self.intervals)), state.back, undecided.most,
            )  # fmt: skip
            if state.frames == decided + undecided.most:
                events += self._trace(state, decided, decided + undecided.batch)
        return events

    def _trace(self, state: BeatsState, decided: int, until: int) -> list[Event]:
        """The beats of the best path that begin with frames ``decided`` to ``until`` - 1."""
        found, at, place = list[Event](), state.frames - 1, int(state.paths.argmax())
        kept = self._undecided.most
        while at >= decided:
            interval = int(self._interval_of[place])
            began = at - (place - int(self._firsts[interval]))
            heard = np.arange(max(began, 0), min(began + int(self._heard[interval]), state.frames))
            if len(heard) and decided <= heard[0] < until:
                outputs = state.outputs[heard % kept]
                peak = int(outputs.argmax())
                found.append(self._event(int(heard[peak]), state.frames - 1, interval, float(outputs[peak])))
            if began <= decided:
                break
            before = int(state.back[began % kept, interval])
            at, place = began - 1, int(self._firsts[before] + self.intervals[before] - 1)
        return found[::-1]

    def _event(self, frame: int, decided: int, interval: int, output: float) -> Event:
        bpm = np.array([60_000 / (self.frame_ms * self.intervals[interval])], np.float32)
        time_ms = self.time_ms(frame) + self.settings.delay_ms
        return Event("beat", decided, time_ms, "beat", self.settings.index, output, bpm)


def _intervals(settings: specified.Beats, frame_ms: float) -> I64:
    """The lengths of beats in frames, ascending."""
    shortest, longest = (60_000 / (frame_ms * bpm) for bpm in (settings.max_bpm, settings.min_bpm))
    if longest > MAX_STATES:
        return np.array([round(shortest), round(longest)])
    every = np.arange(round(shortest), round(longest) + 1)
    if settings.tempi is None or settings.tempi >= len(every):
        return every
    count = settings.tempi
    while len(chosen := np.unique(np.round(np.geomspace(shortest, longest, count)))) < settings.tempi:
        count += 1
    return chosen.astype(np.int64)


def _changes(intervals: I64, transition_lambda: float) -> F64:
    """Probabilities of intervals after each other [from, to]."""
    ratio = intervals / intervals[:, None]
    chances = np.exp(-transition_lambda * np.abs(ratio - 1))
    chances[chances <= UNLIKELY] = 0
    return _designed(chances / chances.sum(axis=1, keepdims=True))


def _designed(constants: F64) -> F64:
    """To the precision of float32, as other constants are: libraries' functions differ in the last bits of float64
    from host to host."""
    return constants.astype(np.float32).astype(np.float64)


def _logarithms(*columns: F64) -> F64:
    """Natural logarithms, the same bits on every host: [n, columns]."""
    return np.stack([log(column) for column in columns], axis=1).astype(np.float64)
