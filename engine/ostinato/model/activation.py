"""An activation function, as a layer's setting."""

from __future__ import annotations

from dataclasses import dataclass

from ostinato.activations import FUNCTIONS, parameters
from ostinato.errors import BadModelFileError
from ostinato.model.strict_json import Strict


@dataclass(frozen=True)
class Activation(Strict):
    """One of `ostinato.activations.FUNCTIONS`; ``alpha`` and ``beta`` None mean ONNX's defaults.

    Raises BadModelFileError for an unknown name.
    """

    name: str = "tanh"
    alpha: float | None = None
    beta: float | None = None

    def check(self) -> None:
        """A name of the table, and an alpha that the function has."""
        if self.name not in FUNCTIONS:
            raise BadModelFileError(f"activation {self.name!r} is unknown: it is one of {', '.join(FUNCTIONS)}")
        if self.name == "celu" and self.alpha is not None and self.alpha <= 0:
            raise BadModelFileError(f"activation celu: alpha = {self.alpha} must be above 0, as x is divided by it")

    @property
    def probabilities(self) -> bool:
        """Whether its values are in [0, 1], as those of a softmax are."""
        _, lowest, highest = parameters(self.name, self.alpha, self.beta)
        return self.name in PROBABILITIES or (self.name == "clip" and min(lowest, highest) >= 0 and highest <= 1)


PROBABILITIES = ("sigmoid", "hard-sigmoid")
IDENTITY, TANH, SIGMOID = Activation("identity"), Activation("tanh"), Activation("sigmoid")
