"""What all front ends of audio have in common."""

from __future__ import annotations

from dataclasses import dataclass

from ostinato.errors import BadModelFileError
from ostinato.model.front_ends.front_end import FrontEnd

MAX_RATE = 192_000


@dataclass(frozen=True)
class Audio(FrontEnd):
    """Settings of a front end that takes mono audio: at any sample rate, as it is resampled to the model's own."""

    sample_rate: int

    @property
    def units_per_ms(self) -> float:
        """Samples at the model's own rate."""
        return self.sample_rate / 1000

    def check_rate(self) -> None:
        """Raise BadModelFileError for a rate that no audio has."""
        if not 0 < self.sample_rate <= MAX_RATE:
            raise BadModelFileError(f"front_end: sample_rate must be from 1 to {MAX_RATE} Hz")
