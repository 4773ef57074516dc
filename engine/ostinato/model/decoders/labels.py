"""A label for each frame."""

from dataclasses import dataclass
from typing import ClassVar

from ostinato.model.decoders.decoder import Decoder


@dataclass(frozen=True)
class Labels(Decoder):
    """Each frame's most probable label."""

    labels: tuple[str, ...]

    kind: ClassVar[str] = "labels"

    @property
    def separator(self) -> str:  # type: ignore[override]
        """Nothing if labels are characters, else a space."""
        return "" if all(len(label) <= 1 for label in self.labels) else " "

    @property
    def names(self) -> tuple[str, ...]:
        """The labels."""
        return self.labels
