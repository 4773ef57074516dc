"""A factor and a summand for each value, learning."""

from __future__ import annotations

from collections.abc import Sequence

from ostinato.model.layers import Scale
from ostinato.training.layers.layer import Parameters
from ostinato.training.packing import Array, Packing


class LearningScale:
    """y = a x + b."""

    def __init__(self, name: str, layer: Scale) -> None:
        self.name = name

    def forward(self, parameters: Parameters, inputs: Sequence[Array], packing: Packing) -> Array:
        """As `LearningLayer.forward`."""
        (self.x,) = inputs
        y: Array = parameters[f"{self.name}.a"] * self.x + parameters[f"{self.name}.b"]
        return y

    def backward(
        self, parameters: Parameters, dy: Array, gradients: dict[str, Array], wanted: bool = True
    ) -> Sequence[Array | None]:
        """As `LearningLayer.backward`."""
        gradients[f"{self.name}.a"] = (dy * self.x).sum(axis=0)
        gradients[f"{self.name}.b"] = dy.sum(axis=0)
        return [dy * parameters[f"{self.name}.a"]]
