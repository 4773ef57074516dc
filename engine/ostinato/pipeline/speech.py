"""How much like speech each frame of audio is, from its energy alone: what a stream hears the end of speech with when
its model does not tell.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.errors import InputError
from ostinato.kernels.arrays import multiply, pack_matrix
from ostinato.pipeline import state as snapshots
from ostinato.pipeline.front_ends import AudioFrontEnd, FrontEnd

F32 = npt.NDArray[np.float32]

SMOOTHING_MS = 25.0
SECTION_MS, SECTIONS = 250.0, 12
"""The background is the least level of the last 3 s, kept as the least of each section (Martin 2001, minimum
statistics): shorter than the pauses of speech are apart, it would take speech for background."""
BACKGROUND_MS = SECTION_MS * SECTIONS
"""How much audio it takes until the background is known."""
CONTRAST_DB, SLOPE_DB = 4.5, 1.0
"""Above the background by how much a level scores 0.5, and how fast the score changes there."""


@dataclass(slots=True)
class SpeechEnergyState:
    """``level``: smoothed, in dB. ``lowest``: the least level of the present section, if it has ``frames`` at all.
    ``minima``: that of the sections before it, oldest first. ``levels``: those that `SpeechEnergy.again` scores."""

    minima: snapshots.F64Vector
    levels: snapshots.F64Vector
    level: float = 0.0
    lowest: float = 0.0
    frames: int = 0


class SpeechEnergy:
    """A score of speech in [0, 1] for each log-mel frame.

    The level of a frame is the mean over its mel bands of the logarithm of their power, so that hum, which is loud in
    few bands, hardly raises it, while speech does by 10 to 30 dB. The score is a logistic function of how far it is
    above the background. The background falls at once and rises within 3 s, so a noise that sets in scores as speech
    for so long. Where audio begins with speech, the background is too high until the first dip: that is what `again`
    is for. Scores do not depend on how frames are cut.
    """

    def __init__(self, front_end: FrontEnd[Any]) -> None:
        """Raises InputError if the front end does not make frames that tell how loud its audio is."""
        loudness = front_end.loudness() if isinstance(front_end, AudioFrontEnd) else None
        if loudness is None:
            what = "log-mel frames of its audio" if isinstance(front_end, AudioFrontEnd) else "audio"
            raise InputError(f"end_of_speech_ms needs a model that takes {what}: open the stream without it")
        self._level = pack_matrix(loudness.weights[:, None], [loudness.offset])
        self._quiet = loudness.quiet
        self._smoothing = 1 - math.exp(-front_end.frame_ms / SMOOTHING_MS)
        self._section = max(1, round(SECTION_MS / front_end.frame_ms))

    def start(self) -> SpeechEnergyState:
        """A fresh state: nothing is known of the background."""
        return SpeechEnergyState(np.empty(0), np.empty(0))

    def step(self, state: SpeechEnergyState, frames: F32) -> F32:
        """The scores of model frames [n, frame_size], float32 [n, 1]."""
        scores = np.empty((len(frames), 1), np.float32)
        past = min(state.minima.tolist(), default=math.inf)
        for t, level in enumerate(multiply(self._level, frames)[:, 0].tolist()):
            first = not state.frames and not len(state.minima)
            state.level = level if first else state.level + self._smoothing * (level - state.level)
            state.lowest = min(state.lowest, state.level) if state.frames else state.level
            scores[t] = _score(state.level, max(self._quiet, min(state.lowest, past)))
            state.frames += 1
            if len(state.minima) < SECTIONS:
                state.levels = np.append(state.levels, state.level)
            if state.frames == self._section:
                state.minima = np.append(state.minima, state.lowest)[-SECTIONS:]
                past, state.frames = min(state.minima.tolist()), 0
                if self.known(state):
                    state.levels = np.empty(0)
        return scores

    def known(self, state: SpeechEnergyState) -> bool:
        """Whether the background is known: the scores that were given are final."""
        return len(state.minima) == SECTIONS

    def background(self, state: SpeechEnergyState) -> float:
        """The background in dB; infinite before the first frame."""
        past: list[float] = state.minima.tolist()
        return max(self._quiet, min([state.lowest if state.frames else math.inf, *past]))

    def again(self, state: SpeechEnergyState) -> F32:
        """The scores of all frames since `start`, or since `forget`, against the background of now, while it is not
        `known`; float32 [n, 1]."""
        background = self.background(state)
        return np.array([_score(level, background) for level in state.levels.tolist()], np.float32)[:, None]

    def forget(self, state: SpeechEnergyState, kept: int = 0) -> None:
        """Score none but the last ``kept`` frames `again`."""
        state.levels = state.levels[max(0, len(state.levels) - kept) :]

    def restore(self, packed: object) -> SpeechEnergyState:
        """The state that `state.pack` packed. Raises SnapshotError."""
        state = snapshots.unpack(SpeechEnergyState, packed)
        snapshots.expect(len(state.minima) <= SECTIONS, "state.minima is too long")
        snapshots.expect(0 <= state.frames < self._section, "state.frames is out of range")
        seen = 0 if self.known(state) else len(state.minima) * self._section + state.frames
        snapshots.expect(len(state.levels) <= seen, "state.levels is too long")
        return state


def _score(level: float, background: float) -> float:
    return 1 / (1 + math.exp(min((background + CONTRAST_DB - level) / SLOPE_DB, 60.0)))
