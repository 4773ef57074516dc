"""What all front ends of audio have in common."""

from __future__ import annotations

from dataclasses import dataclass

from ostinato.model.front_ends.front_end import FrontEnd


@dataclass(frozen=True)
class Audio(FrontEnd):
    """Settings of a front end that takes mono audio: at any sample rate, as it is resampled to the model's own."""

    sample_rate: int

    @property
    def units_per_ms(self) -> float:
        """Samples at the model's own rate."""
        return self.sample_rate / 1000
