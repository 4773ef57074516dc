"""Where speech ends."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ostinato.events import Event
from ostinato.model.decoders import EndOfSpeech
from ostinato.pipeline import state as snapshots
from ostinato.pipeline.decoders.decoder import F32, Decoder, counted, whole_frames


@dataclass(slots=True)
class EndOfSpeechState:
    """``speech``: frames of the present run of speech. ``silence``: frames since speech was last heard. ``spoken``:
    whether a run of speech was long enough."""

    frames: int = 0
    speech: int = 0
    silence: int = 0
    spoken: bool = False


class EndOfSpeechDecoder(Decoder[EndOfSpeech, EndOfSpeechState]):
    """End of speech from a probability of speech per frame.

    Speech counts once a run of frames at or above ``threshold`` has lasted ``min_speech_ms`` (each limit rounds up to
    whole frames). Then ``silence_ms`` without such a frame ends it: one ``end-of-speech`` event, whose ``time_ms`` is
    where the last frame of speech ended and whose ``frame`` is the one that decided. After it the decoder waits for
    speech anew. `flush` ends speech that is going on, so that each stretch of speech has exactly one end.
    """

    def __init__(self, settings: EndOfSpeech, frame_ms: float, latency_ms: float) -> None:
        super().__init__(settings, frame_ms, latency_ms)
        self._min_speech = whole_frames(settings.min_speech_ms, frame_ms)
        self._silence = whole_frames(settings.silence_ms, frame_ms)

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
        state = counted(snapshots.unpack(EndOfSpeechState, packed))
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
