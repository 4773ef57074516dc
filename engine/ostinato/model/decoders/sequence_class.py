"""A class for the whole sequence."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from ostinato.model.decoders.decoder import Decoder


@dataclass(frozen=True)
class SequenceClass(Decoder):
    """The class of the whole sequence: the last frame's probabilities, or their mean over the frames."""

    labels: tuple[str, ...]
    pool: Literal["last", "mean"] = "last"

    kind: ClassVar[str] = "sequence-class"
    separator = " "

    @property
    def names(self) -> tuple[str, ...]:
        """The classes."""
        return self.labels
