"""Numbers for the whole sequence."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from ostinato.errors import BadModelFileError
from ostinato.model.decoders.decoder import Decoder
from ostinato.model.wire import Wire


@dataclass(frozen=True)
class SequenceOutputs(Decoder):
    """The whole sequence's outputs, of which there are ``size``: the last frame's, or their mean over the frames."""

    size: int
    pool: Literal["last", "mean"] = "last"

    kind: ClassVar[str] = "sequence-outputs"
    of_probabilities: ClassVar[bool] = False

    def check_outputs(self, wire: Wire) -> None:
        """As many as there are."""
        super().check_outputs(wire)
        if self.size != wire.size:
            raise BadModelFileError(f"decoder: size = {self.size} for {wire.size} outputs")
