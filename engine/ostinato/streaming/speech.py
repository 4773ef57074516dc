"""A stream's watch for the end of speech: an energy score per frame, and the decoder that wants silence after
speech."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ostinato.events import Event
from ostinato.model import decoders as specified
from ostinato.pipeline.decoders import EndOfSpeechDecoder, EndOfSpeechState
from ostinato.pipeline.speech import BACKGROUND_MS, SpeechEnergyState
from ostinato.pipeline.state import expect
from ostinato.streaming.pipeline import Pipeline

PREROLL_MS = 400.0
"""Kept before the start of speech: its soft beginning, and context for the backward direction. Until the background
is known, everything is kept, as it may turn out to have been speech."""


def frames_before_speech(frame_ms: float) -> int:
    """The most frames of a stream that wait before its speech is sure."""
    return round(max(BACKGROUND_MS, PREROLL_MS) / frame_ms) + 1


@dataclass(slots=True)
class SpeechState:
    """``energy`` goes through the whole stream between two flushes, ``end`` through one utterance."""

    energy: SpeechEnergyState
    end: EndOfSpeechState


class SpeechWatch:
    """Tells a stream where speech ends; for model frames of audio."""

    __slots__ = ("_end", "_energy", "_preroll", "state")

    def __init__(self, model: Pipeline, silence_ms: float) -> None:
        front_end = model.front_end
        self._energy = model.speech_energy
        self._end = EndOfSpeechDecoder(
            specified.EndOfSpeech(silence_ms=silence_ms), front_end.frame_ms, front_end.latency_ms
        )
        self._preroll = round(PREROLL_MS / front_end.frame_ms)
        self.restart()

    def restart(self) -> None:
        """Forget everything."""
        self.state = SpeechState(self._energy.start(), self._end.start())

    def next_utterance(self) -> None:
        """Count frames from 0 again; the background is the same."""
        self.state.end = self._end.start()
        self._energy.forget(self.state.energy)

    def step(self, frames: npt.NDArray[np.float32]) -> list[Event]:
        """The ends of speech that ``frames`` [n, frame_size] decide."""
        if self._energy.known(self.state.energy):
            return self._end.step(self.state.end, self._energy.step(self.state.energy, frames))
        return [event for frame in frames[:, None] for event in self._step_early(frame)]

    def _step_early(self, frame: npt.NDArray[np.float32]) -> list[Event]:
        """`step` for one frame [1, frame_size] while the background is not known: once it falls, frames that were
        taken for background may have been speech."""
        energy, end = self.state.energy, self.state.end
        before = self._energy.background(energy)
        scores = self._energy.step(energy, frame)
        fell = self._energy.background(energy) < before and not self._energy.known(energy)
        ends = self._end.revise(end, self._energy.again(energy)) if fell else self._end.step(end, scores)
        if ends:
            self._energy.forget(energy)
        return ends

    def flush(self) -> list[Event]:
        """The end of speech that was going on."""
        return self._end.flush(self.state.end)

    @property
    def spoken(self) -> bool:
        """Whether the utterance has begun to speak: from then on nothing of it is dropped."""
        return self.state.end.spoken

    def drop_before_speech(self, kept: int, limit: int) -> int:
        """How many of the ``kept`` frames of the utterance so far can be forgotten: those well before any speech, and
        those that leave no room for another of at most ``limit``.

        The utterance then starts after them.
        """
        energy, end = self.state.energy, self.state.end
        if end.spoken:
            return 0
        wanted = end.speech + self._preroll if self._energy.known(energy) else kept
        count = max(0, kept - max(end.speech, min(wanted, limit - 1)))
        if count:
            end.frames -= count
            self._energy.forget(energy, kept - count)
        return count

    def restore(self, packed: object) -> None:
        """Go on from a packed state. Raises SnapshotError."""
        fields = packed if isinstance(packed, dict) else {}
        expect(fields.keys() == {"energy", "end"}, "the speech state lacks its two parts")
        state = SpeechState(self._energy.restore(fields["energy"]), self._end.restore(fields["end"]))
        expect(len(state.energy.levels) <= state.end.frames, "state.levels is longer than the utterance")
        self.state = state
