"""Outputs that are samples."""

from dataclasses import dataclass
from typing import ClassVar

from ostinato.errors import BadModelFileError
from ostinato.model.decoders.audio_output import AudioOutput
from ostinato.model.limits import MOST


@dataclass(frozen=True)
class Audio(AudioOutput):
    """Outputs that are audio as they are: ``size`` samples a frame, one after the other."""

    size: int = 1
    block: int | None = 64

    kind: ClassVar[str] = "audio"

    @property
    def outputs(self) -> int:
        """The samples."""
        return self.size

    @property
    def covered(self) -> int:
        """Its own."""
        return self.size

    @property
    def step(self) -> int:
        """The same: frames do not overlap."""
        return self.size

    def check(self) -> None:
        """Sizes within bounds."""
        if not 0 < self.size <= MOST:
            raise BadModelFileError(f"decoder: size = {self.size} is not from 1 to {MOST} samples")
        self.check_block()
