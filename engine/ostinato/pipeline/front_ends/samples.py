"""The front end of models that take audio as it is: any sample rate in, the last samples out, again and again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ostinato.model import front_ends as specified
from ostinato.pipeline.front_ends.audio import I64, AudioFrontEnd, AudioState
from ostinato.pipeline.front_ends.front_end import F32


class SamplesFrontEnd(AudioFrontEnd[AudioState]):
    """Mono audio to frames float32 [n, size] of samples in [-1, 1].

    Frame j ends with sample (j + 1) * hop of the audio at the model's rate: n samples give n // hop frames, with
    ``pad`` one more for those that are left.
    """

    state = AudioState
    latency_ms = 0.0
    windows_alone = True

    def __init__(self, settings: specified.Samples, weights: Mapping[str, F32]) -> None:
        """``weights``: there are none."""
        self.settings = settings
        super().__init__(settings.sample_rate, settings.size, settings.hop, settings.size - settings.hop)
        self.frame_size = settings.size
        self.frame_ms = settings.frame_ms

    def after(self, state: AudioState) -> F32:
        """Zeros that fill the last frame, if it is wanted."""
        incomplete = self.settings.pad and state.kept > self.before
        return np.zeros(self.window - state.kept if incomplete else 0, np.float32)

    def from_windows(
        self, states: Sequence[AudioState], samples: F32, starts: I64, counts: list[int]
    ) -> tuple[F32, list[int]]:
        """The windows themselves."""
        if not len(starts):
            return np.empty((0, self.frame_size), np.float32), counts
        if len(starts) == 1:
            return samples[starts[0] : starts[0] + self.window][None], counts
        return np.lib.stride_tricks.sliding_window_view(samples, self.window)[starts], counts
