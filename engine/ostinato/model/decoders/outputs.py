"""Raw outputs."""

from dataclasses import dataclass
from typing import ClassVar

from ostinato.model.decoders.decoder import Decoder


@dataclass(frozen=True)
class Outputs(Decoder):
    """Each frame's raw outputs, as they are."""

    kind: ClassVar[str] = "outputs"
    of_probabilities: ClassVar[bool] = False
