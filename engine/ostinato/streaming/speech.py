"""A stream's watch for the end of speech: an energy score per frame, and the decoder that wants silence after
speech."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ostinato.events import Event
from ostinato.model import specification
from ostinato.pipeline.decoders import EndOfSpeech, EndOfSpeechState
from ostinato.pipeline.speech import SpeechEnergyState
from ostinato.pipeline.state import expect

if TYPE_CHECKING:
    from ostinato.streaming.model import Model

PREROLL_MS = 400.0
"""Kept before the start of speech: its soft beginning, and context for the backward direction."""


@dataclass(slots=True)
class SpeechState:
    """``energy`` goes through the whole stream between two flushes, ``end`` through one utterance."""

    energy: SpeechEnergyState
    end: EndOfSpeechState


class SpeechWatch:
    """Tells a stream where speech ends; for model frames of audio."""

    __slots__ = ("_end", "_energy", "_preroll", "state")

    def __init__(self, model: Model, silence_ms: float) -> None:
        front_end = model.front_end
        self._energy = model.speech_energy
        self._end = EndOfSpeech(
            specification.EndOfSpeech(silence_ms=silence_ms), front_end.frame_ms, front_end.latency_ms
        )
        self._preroll = round(PREROLL_MS / front_end.frame_ms)
        self.restart()

    def restart(self) -> None:
        """Forget everything."""
        self.state = SpeechState(self._energy.start(), self._end.start())

    def next_utterance(self) -> None:
        """Count frames from 0 again; the background is the same."""
        self.state.end = self._end.start()

    def step(self, frames: npt.NDArray[np.float32]) -> list[Event]:
        """The ends of speech that ``frames`` [n, frame_size] decide."""
        return self._end.step(self.state.end, self._energy.step(self.state.energy, frames))

    def flush(self) -> list[Event]:
        """The end of speech that was going on."""
        return self._end.flush(self.state.end)

    @property
    def spoken(self) -> bool:
        """Whether the utterance has begun to speak: from then on nothing of it is dropped."""
        return self.state.end.spoken

    def drop_before_speech(self, kept: int) -> int:
        """How many of the ``kept`` frames of the utterance so far can be forgotten: those well before any speech.

        The utterance then starts after them.
        """
        end = self.state.end
        count = 0 if end.spoken else max(0, kept - end.speech - self._preroll)
        end.frames -= count
        return count

    def restore(self, packed: object) -> None:
        """Go on from a packed state. Raises SnapshotError."""
        fields = packed if isinstance(packed, dict) else {}
        expect(fields.keys() == {"energy", "end"}, "the speech state lacks its two parts")
        self.state = SpeechState(self._energy.restore(fields["energy"]), self._end.restore(fields["end"]))
