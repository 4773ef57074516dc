"""Log-mel features of audio."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ostinato.model.front_ends.mel_bands import MelBands


@dataclass(frozen=True)
class LogMel(MelBands):
    """Log-mel filter banks of mono audio: what `MelBands` says, as it is."""

    kind: ClassVar[str] = "log-mel"

    @property
    def values(self) -> int:
        """The bands."""
        return self.mels
