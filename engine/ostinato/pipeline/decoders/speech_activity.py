"""Where speech starts and ends."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ostinato.events import Event
from ostinato.model.decoders import SpeechActivity
from ostinato.pipeline import state as snapshots
from ostinato.pipeline.decoders.decoder import F32, Decoder, counted, whole_frames


@dataclass(slots=True)
class SpeechActivityState:
    """``start``: the frame that speech began with, ``silence``: the frame from which on it may have ended; -1 where
    there is none. ``told``: whether its start has been."""

    frames: int = 0
    start: int = -1
    silence: int = -1
    told: bool = False


class SpeechActivityDecoder(Decoder[SpeechActivity, SpeechActivityState]):
    """``speech-start`` and ``speech-end`` events by Silero VAD's VADIterator (6.2): one of each in turn.

    ``time_ms`` of a start is where its first frame begins (a hop before its end), less the pad; that of an end where
    the first frame of silence begins, plus the pad. ``frame`` is the one that decided, ``probability`` that of speech
    there, or of silence. `flush` ends speech that is going on.
    """

    def __init__(self, settings: SpeechActivity, frame_ms: float, latency_ms: float) -> None:
        super().__init__(settings, frame_ms, latency_ms)
        self._min_speech = whole_frames(settings.min_speech_ms, frame_ms)
        self.delay = self._min_speech - 1
        self._min_silence = math.ceil(settings.min_silence_ms / frame_ms - 1e-9)

    def start(self) -> SpeechActivityState:
        """A fresh state."""
        return SpeechActivityState()

    def step(self, state: SpeechActivityState, outputs: F32) -> list[Event]:
        """The starts and ends that the rows of ``outputs`` [n, size] decide."""
        settings, events = self.settings, []
        for score in outputs[:, settings.index].tolist():
            frame = state.frames
            state.frames += 1
            if score >= settings.threshold:
                state.silence = -1
                if state.start < 0:
                    state.start = frame
            elif score < settings.silence_below and state.start >= 0:
                if state.silence < 0:
                    state.silence = frame
                if frame - state.silence >= self._min_silence:
                    events += self._end(state, self._begin_ms(state.silence) + settings.speech_pad_ms, 1 - score)
                    continue
            going_on = state.start >= 0 and state.silence < 0
            if going_on and not state.told and state.frames - state.start >= self._min_speech:
                state.told = True
                time_ms = max(0.0, self._begin_ms(state.start) - settings.speech_pad_ms)
                events.append(Event("speech-start", frame, time_ms, probability=score))
        return events

    def flush(self, state: SpeechActivityState) -> list[Event]:
        """The end of speech that is going on: with the utterance, or where silence began."""
        last = self.time_ms(state.frames - 1)
        if state.silence >= 0:
            last = min(last, self._begin_ms(state.silence) + self.settings.speech_pad_ms)
        return self._end(state, last, 1.0)

    def restore(self, packed: object) -> SpeechActivityState:
        """The state that `state.pack` packed. Raises SnapshotError."""
        state = counted(snapshots.unpack(SpeechActivityState, packed))
        speech = -1 <= state.start < state.frames
        silence = state.silence == -1 or 0 <= state.start <= state.silence < state.frames
        snapshots.expect(speech and silence, "state.start or state.silence is out of range")
        snapshots.expect(state.start >= 0 or not state.told, "state.told fits no start")
        return state

    def _begin_ms(self, frame: int) -> float:
        return self.time_ms(frame - 1)

    def _end(self, state: SpeechActivityState, time_ms: float, probability: float) -> list[Event]:
        """The end of speech, if its start was told."""
        ends = [Event("speech-end", state.frames - 1, time_ms, probability=probability)] if state.told else []
        state.start = state.silence = -1
        state.told = False
        return ends
