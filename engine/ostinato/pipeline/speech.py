"""How probable speech is, frame by frame, from energy alone: what a stream's end-of-speech option listens to.

The level of a frame is its mean log-mel value. The noise floor falls with the level at once and rises slowly, so
that it follows the room and not the speaker; a frame well above it is speech."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ostinato.errors import InputError
from ostinato.pipeline import state as snapshots
from ostinato.pipeline.logmel import LogMel

F32 = npt.NDArray[np.float32]

MARGIN_DB = 9.0
"""Above the floor by this much, a frame is as likely speech as not."""
SLOPE_DB = 2.0
"""The probability's odds grow e-fold with so many decibels."""
RISE_DB_PER_S = 3.0
"""How fast the floor rises."""
QUIETEST_DBFS = -66.0
"""The floor is at least that of white noise so far below full scale: what digital silence is taken for."""
LOUDEST_START_DBFS = -46.0
"""The floor starts at most here, in case the stream opens in the middle of speech."""

_DB = 10 / math.log(10)


@dataclass(slots=True)
class SpeechEnergyState:
    """``floor``: the level of the background, in dB; None before the first frame."""

    floor: float | None = None


class SpeechEnergy:
    """Log-mel model frames in, a probability of speech for each out. It has no weights and adapts to any level.

    Made for the front end of a model: knows how that normalises. Raises InputError if the model does not take audio.
    """

    def __init__(self, front_end: object, weights: Mapping[str, F32]) -> None:
        if not isinstance(front_end, LogMel):
            raise InputError("end of speech can only be heard in audio: open the stream without end_of_speech_ms")
        settings = front_end.settings
        scale = weights["front_end.scale"] if settings.normalise else np.ones(settings.mels, np.float32)
        mean = weights["front_end.mean"] if settings.normalise else np.zeros(settings.mels, np.float32)
        # (v - mean) * scale = x, so the mean of v over the bands is x . gain + offset
        gain = np.divide(1, scale, out=np.zeros(settings.mels), where=scale != 0) / settings.mels
        self._gain = np.tile(gain, settings.stack) / settings.stack
        self._offset = float(mean.mean(dtype=np.float64))
        self._rise = RISE_DB_PER_S * front_end.frame_ms / 1000
        self._quietest = self._noise_level(front_end, QUIETEST_DBFS)
        self._loudest_start = self._quietest + LOUDEST_START_DBFS - QUIETEST_DBFS

    def start(self) -> SpeechEnergyState:
        """A fresh state."""
        return SpeechEnergyState()

    def step(self, state: SpeechEnergyState, frames: F32) -> F32:
        """The probability of speech of each of ``frames`` [n, frame_size]: float32 [n, 1]."""
        scores = np.empty((len(frames), 1), np.float32)
        for t, frame in enumerate(frames):
            level = self.level(frame)
            floor = min(level, self._loudest_start) if state.floor is None else state.floor + self._rise
            state.floor = max(min(level, floor), self._quietest)
            scores[t] = 1 / (1 + math.exp(min(60.0, (MARGIN_DB - (level - state.floor)) / SLOPE_DB)))
        return scores

    def level(self, frame: F32) -> float:
        """The mean log-mel value of one frame, in dB."""
        # One frame at a time: the bits of a sum must not depend on how many frames come together.
        return _DB * (float((frame * self._gain).sum()) + self._offset)

    def restore(self, packed: object) -> SpeechEnergyState:
        """The state that `state.pack` packed. Raises SnapshotError."""
        return snapshots.unpack(SpeechEnergyState, packed)

    def _noise_level(self, front_end: LogMel, dbfs: float) -> float:
        """The level of white noise at ``dbfs``, whatever the convention of the front end."""
        rate = front_end.settings.sample_rate
        noise = np.random.default_rng(0).normal(scale=10 ** (dbfs / 20), size=rate // 2).astype(np.float32)
        frames = front_end.step(front_end.start(), noise)
        return float(np.mean([self.level(frame) for frame in frames])) if len(frames) else 0.0
