"""Where speech starts and ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ostinato.errors import BadModelFileError
from ostinato.model.decoders.decoder import Decoder
from ostinato.model.wire import Wire


@dataclass(frozen=True)
class SpeechActivity(Decoder):
    """Where speech starts and ends, from output ``index``, a probability of speech, as Silero VAD's VADIterator has
    it: it starts at ``threshold``, and ends where the probability fell below ``negative_threshold`` (None:
    ``threshold`` - 0.15) and did not reach ``threshold`` again within ``min_silence_ms``. Both are told
    ``speech_pad_ms`` further out.

    Speech shorter than ``min_speech_ms`` is none: so its start is told only once it has lasted so long.
    """

    index: int = 0
    threshold: float = 0.5
    negative_threshold: float | None = None
    min_speech_ms: float = 0.0
    min_silence_ms: float = 100.0
    speech_pad_ms: float = 30.0

    kind: ClassVar[str] = "speech-activity"

    @property
    def silence_below(self) -> float:
        """The threshold for silence."""
        return self.threshold - 0.15 if self.negative_threshold is None else self.negative_threshold

    def check(self) -> None:
        """Thresholds in order, times that are none below 0."""
        if not 0 < self.threshold <= 1:
            raise BadModelFileError(f"decoder: threshold = {self.threshold:g} is not above 0 and at most 1")
        if not self.silence_below <= self.threshold:
            raise BadModelFileError(
                f"decoder: negative_threshold = {self.silence_below:g} is above threshold = {self.threshold:g}"
            )
        for name in ("min_speech_ms", "min_silence_ms", "speech_pad_ms"):
            if not getattr(self, name) >= 0:
                raise BadModelFileError(f"decoder: {name} = {getattr(self, name):g} is below 0")

    def check_outputs(self, wire: Wire) -> None:
        """One has the index, besides."""
        super().check_outputs(wire)
        if not 0 <= self.index < wire.size:
            raise BadModelFileError(f"decoder: index = {self.index} is outside the {wire.size} outputs")
