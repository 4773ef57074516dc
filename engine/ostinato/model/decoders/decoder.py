"""What every kind of decoder says of itself: settings of what turns outputs into events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from ostinato.errors import BadModelFileError
from ostinato.model.activation import PROBABILITIES
from ostinato.model.strict_json import Strict
from ostinato.model.wire import Weight, Wire


@dataclass(frozen=True)
class Decoder(Strict):
    """A kind's settings. What it does is `ostinato.pipeline`'s."""

    kind: ClassVar[str]
    """The kind's name in model files and on the wire."""

    separator = ""
    """What joins the names to a text."""
    of_probabilities: ClassVar[bool] = True
    """Whether outputs must be probabilities: of a softmax, or of a layer with an activation such as the sigmoid."""
    feeds_back: ClassVar[bool] = False
    """Whether what is drawn from the outputs becomes the next input: then each entry of the vocabulary has one."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of the outputs, one each; empty where they have none."""
        return ()

    def weights(self, wire: Wire) -> Mapping[str, Weight]:
        """Its weights, by the last part of their name, for such outputs."""
        return {}

    def check_outputs(self, wire: Wire) -> None:
        """Raise BadModelFileError for outputs that the settings do not fit."""
        if self.names and len(self.names) != wire.size:
            what = "symbols" if hasattr(self, "symbols") else "labels"
            raise BadModelFileError(f"decoder: {len(self.names)} {what} for {wire.size} outputs")
        if self.of_probabilities and not wire.probabilities:
            raise BadModelFileError(
                f"decoder: {self.kind} needs probabilities below it: end the layers in a softmax, or in one with "
                f"activation {' or '.join(PROBABILITIES)}"
            )
