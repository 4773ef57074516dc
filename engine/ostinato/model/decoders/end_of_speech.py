"""Where speech ends."""

from dataclasses import dataclass
from typing import ClassVar

from ostinato.errors import BadModelFileError
from ostinato.model.decoders.decoder import Decoder
from ostinato.model.wire import Wire


@dataclass(frozen=True)
class EndOfSpeech(Decoder):
    """End of speech: output ``index`` (a probability of speech) at least ``threshold`` for ``min_speech_ms``, then
    below it for ``silence_ms``."""

    index: int = 0
    threshold: float = 0.5
    min_speech_ms: float = 100.0
    silence_ms: float = 600.0

    kind: ClassVar[str] = "end-of-speech"

    def check(self) -> None:
        """A threshold that probabilities can reach and fall below, times that pass."""
        if not 0 < self.threshold <= 1:
            raise BadModelFileError(f"decoder: threshold = {self.threshold:g} is not above 0 and at most 1")
        for name in ("min_speech_ms", "silence_ms"):
            if not getattr(self, name) > 0:
                raise BadModelFileError(f"decoder: {name} = {getattr(self, name):g} is not above 0")

    def check_outputs(self, wire: Wire) -> None:
        """One has the index, besides."""
        super().check_outputs(wire)
        if not 0 <= self.index < wire.size:
            raise BadModelFileError(f"decoder: index = {self.index} is outside the {wire.size} outputs")
