"""Decoders: a model's outputs, frame by frame, to events.

Each is immutable settings with a small state, `step` and `flush`. However the outputs are cut into steps, the events
are the same. ``event.frame`` counts the model's frames from 0, and ``event.time_ms`` is where that frame ends in the
audio:

    time_ms(frame) = (frame + 1) * frame_ms + latency_ms

where frame_ms is the time between model frames and latency_ms what a frame covers beyond that (see
`LogMelFrontEnd.latency_ms`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from ostinato.events import Event
from ostinato.model import decoders as specified
from ostinato.pipeline import state as snapshots

F32 = npt.NDArray[np.float32]


@dataclass(slots=True)
class FrameCount:
    """State of `OutputsDecoder` and `LabelsDecoder`: the number of frames so far."""

    frames: int = 0


@dataclass(slots=True)
class CtcState:
    """``previous``: the index on the best path at the frame before; -1 before the first."""

    frames: int = 0
    previous: int = -1


@dataclass(slots=True)
class SequenceClassState:
    """``total``: the last frame's probabilities, or their sum over the frames, float64 [labels]."""

    total: snapshots.F64Vector
    frames: int = 0


@dataclass(slots=True)
class EndOfSpeechState:
    """``speech``: frames of the present run of speech. ``silence``: frames since speech was last heard. ``spoken``:
    whether a run of speech was long enough."""

    frames: int = 0
    speech: int = 0
    silence: int = 0
    spoken: bool = False


S = TypeVar("S")
D = TypeVar("D")


class _Decoder(Generic[D]):
    """What all decoders share: settings and the time axis."""

    def __init__(self, settings: D, frame_ms: float, latency_ms: float) -> None:
        self.settings = settings
        self.frame_ms = frame_ms
        self.latency_ms = latency_ms

    def time_ms(self, frame: int) -> float:
        """Where frame number ``frame`` ends in the audio, in ms (for tokens: how many were consumed)."""
        return (frame + 1) * self.frame_ms + self.latency_ms

    def step(self, state: Any, outputs: F32) -> list[Event]:
        """The events that the rows of ``outputs`` [n, size] decide."""
        raise NotImplementedError

    def step_many(self, states: Sequence[Any], outputs: F32, counts: Sequence[int]) -> Iterator[list[Event]]:
        """`step` for many streams: stream i has the next ``counts[i]`` rows of ``outputs``."""
        for state, count, end in zip(states, counts, accumulate(counts), strict=True):
            yield self.step(state, outputs[end - count : end])


class OutputsDecoder(_Decoder[specified.Outputs]):
    """Each frame's raw outputs: one ``output`` event per frame."""

    def start(self) -> FrameCount:
        """A fresh state."""
        return FrameCount()

    def step(self, state: FrameCount, outputs: F32) -> list[Event]:
        """One event per row of ``outputs`` [n, size]."""
        first, state.frames = state.frames, state.frames + len(outputs)
        copy = outputs.copy()  # the caller's rows are reused in the next tick
        return [Event("output", i, self.time_ms(i), values=row) for i, row in enumerate(copy, first)]

    def flush(self, state: FrameCount) -> list[Event]:
        """Nothing: no event is ever held back."""
        return []

    def restore(self, packed: object) -> FrameCount:
        """The state that `state.pack` packed. Raises SnapshotError."""
        return _counted(snapshots.unpack(FrameCount, packed))


class LabelsDecoder(_Decoder[specified.Labels]):
    """Each frame's most probable label: one ``label`` event per frame; the lowest index wins a tie."""

    def start(self) -> FrameCount:
        """A fresh state."""
        return FrameCount()

    def step(self, state: FrameCount, outputs: F32) -> list[Event]:
        """One event per row of ``outputs`` [n, labels]."""
        first, state.frames = state.frames, state.frames + len(outputs)
        labels = self.settings.labels
        return [
            Event("label", i, self.time_ms(i), labels[k], k, float(outputs[i - first, k]))
            for i, k in enumerate(outputs.argmax(axis=1).tolist(), first)
        ]

    def flush(self, state: FrameCount) -> list[Event]:
        """Nothing: no event is ever held back."""
        return []

    def restore(self, packed: object) -> FrameCount:
        """The state that `state.pack` packed. Raises SnapshotError."""
        return _counted(snapshots.unpack(FrameCount, packed))


class CtcDecoder(_Decoder[specified.Ctc]):
    """Greedy CTC (best path; Graves et al. 2006): at each frame the most probable symbol; repeats collapse, blanks
    go.

    A symbol is emitted at the first frame of its run on the best path, which is when the path decides it;
    ``probability`` is its probability there.
    """

    def start(self) -> CtcState:
        """A fresh state."""
        return CtcState()

    def step(self, state: CtcState, outputs: F32) -> list[Event]:
        """The symbols that the rows of ``outputs`` [n, symbols] decide."""
        (events,) = self.step_many([state], outputs, [len(outputs)])
        return events

    def step_many(self, states: Sequence[CtcState], outputs: F32, counts: Sequence[int]) -> Iterator[list[Event]]:
        """`step` for many streams: the best paths of all together; most frames decide nothing."""
        blank, symbols = self.settings.blank, self.settings.symbols
        path = outputs.argmax(axis=1).tolist() if len(outputs) else []
        start = 0
        for state, count in zip(states, counts, strict=True):
            events: list[Event] = []
            previous, first, end = state.previous, state.frames - start, start + count
            if path[start:end].count(previous) < count:  # nearly always the path stays where it was
                for row in range(start, end):
                    k = path[row]
                    if k != previous and k != blank:
                        at = first + row
                        events.append(Event("symbol", at, self.time_ms(at), symbols[k], k, float(outputs[row, k])))
                    previous = k
                state.previous = previous
            state.frames += count
            start = end
            yield events

    def flush(self, state: CtcState) -> list[Event]:
        """Nothing: no symbol is ever held back."""
        return []

    def restore(self, packed: object) -> CtcState:
        """The state that `state.pack` packed. Raises SnapshotError."""
        state = _counted(snapshots.unpack(CtcState, packed))
        snapshots.expect(-1 <= state.previous < len(self.settings.symbols), "state.previous is no symbol")
        return state


class SequenceClassDecoder(_Decoder[specified.SequenceClass]):
    """The class of the whole sequence, one ``class`` event at flush (none for a sequence without frames).

    The mean is a sum in float64, frame after frame, so that its bits do not depend on how the frames come.
    """

    def start(self) -> SequenceClassState:
        """A fresh state."""
        return SequenceClassState(np.zeros(len(self.settings.labels)))

    def step(self, state: SequenceClassState, outputs: F32) -> list[Event]:
        """Take the rows of ``outputs`` [n, labels] in; nothing is known before the end."""
        if len(outputs) and self.settings.pool == "last":
            state.total = outputs[-1].astype(np.float64)
        elif len(outputs):
            # accumulate, not sum: it alone promises to add in order.
            state.total = np.add.accumulate(np.concatenate((state.total[None], outputs)), axis=0)[-1].copy()
        state.frames += len(outputs)
        return []

    def flush(self, state: SequenceClassState) -> list[Event]:
        """The class, and all probabilities in ``values``."""
        if not state.frames:
            return []
        count = state.frames if self.settings.pool == "mean" else 1
        values = (state.total / count).astype(np.float32)
        k, last = int(values.argmax()), state.frames - 1
        return [Event("class", last, self.time_ms(last), self.settings.labels[k], k, float(values[k]), values)]

    def restore(self, packed: object) -> SequenceClassState:
        """The state that `state.pack` packed. Raises SnapshotError."""
        state = _counted(snapshots.unpack(SequenceClassState, packed))
        snapshots.expect(len(state.total) == len(self.settings.labels), "state.total is not one value per label")
        return state


class EndOfSpeechDecoder(_Decoder[specified.EndOfSpeech]):
    """End of speech from a probability of speech per frame.

    Speech counts once a run of frames at or above ``threshold`` has lasted ``min_speech_ms`` (each limit rounds up to
    whole frames). Then ``silence_ms`` without such a frame ends it: one ``end-of-speech`` event, whose ``time_ms`` is
    where the last frame of speech ended and whose ``frame`` is the one that decided. After it the decoder waits for
    speech anew. `flush` ends speech that is going on, so that each stretch of speech has exactly one end.
    """

    def __init__(self, settings: specified.EndOfSpeech, frame_ms: float, latency_ms: float) -> None:
        super().__init__(settings, frame_ms, latency_ms)
        self._min_speech = _frames(settings.min_speech_ms, frame_ms)
        self._silence = _frames(settings.silence_ms, frame_ms)

    def start(self) -> EndOfSpeechState:
        """A fresh state."""
        return EndOfSpeechState()

    def step(self, state: EndOfSpeechState, outputs: F32) -> list[Event]:
        """The ends of speech that the rows of ``outputs`` [n, size] decide."""
        events = []
        scores = outputs[:, self.settings.index]
        for score, voiced in zip(scores.tolist(), self._voiced(scores), strict=True):
            self._count(state, voiced)
            if state.silence >= self._silence:
                events.append(self._end(state, 1.0 - score))
        return events

    def revise(self, state: EndOfSpeechState, outputs: F32) -> list[Event]:
        """As `step` with the last row of ``outputs`` [n, size], after the n - 1 frames before it turned out to have
        other outputs than those that were given: all those rows are counted, and the others forgotten.

        An end that would have come earlier comes now.
        """
        scores = outputs[:, self.settings.index]
        state.frames -= len(scores) - 1
        state.speech = state.silence = 0
        state.spoken = False
        for voiced in self._voiced(scores):
            self._count(state, voiced)
        return [self._end(state, 1.0 - float(scores[-1]))] if state.silence >= self._silence else []

    def flush(self, state: EndOfSpeechState) -> list[Event]:
        """The end of speech that was going on."""
        return [self._end(state, 1.0)] if state.spoken else []

    def restore(self, packed: object) -> EndOfSpeechState:
        """The state that `state.pack` packed. Raises SnapshotError."""
        state = _counted(snapshots.unpack(EndOfSpeechState, packed))
        inside = 0 <= state.speech <= state.frames and 0 <= state.silence <= min(state.frames, self._silence)
        snapshots.expect(inside, "state.speech or state.silence is out of range")
        return state

    def _voiced(self, scores: F32) -> list[bool]:
        voiced: list[bool] = (scores >= np.float32(self.settings.threshold)).tolist()
        return voiced

    def _count(self, state: EndOfSpeechState, voiced: bool) -> None:
        state.frames += 1
        if voiced:
            state.speech += 1
            state.silence = 0
            state.spoken = state.spoken or state.speech >= self._min_speech
        else:
            state.speech = 0
            state.silence += state.spoken

    def _end(self, state: EndOfSpeechState, probability: float) -> Event:
        last = state.frames - 1
        event = Event("end-of-speech", last, self.time_ms(last - state.silence), probability=probability)
        state.speech = state.silence = 0
        state.spoken = False
        return event


def text(events: Iterable[Event], settings: specified.Decoder) -> str:
    """What the events say, symbols, labels and classes, joined as the decoder says."""
    return settings.separator.join(event.text for event in events if event.text)


C = TypeVar("C", FrameCount, CtcState, SequenceClassState, EndOfSpeechState)


def _counted(state: C) -> C:
    snapshots.expect(state.frames >= 0, "state.frames is negative")
    return state


def _frames(ms: float, frame_ms: float) -> int:
    """The least number of frames, at least one, that last ``ms``."""
    return max(1, int(np.ceil(ms / frame_ms - 1e-9)))
