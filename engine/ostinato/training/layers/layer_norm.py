"""Layer normalisation, learning."""

from __future__ import annotations

from collections.abc import Sequence

from ostinato.model.layers import LayerNorm
from ostinato.training.layers.layer import Parameters
from ostinato.training.layers.normalise import normalise, normalise_back
from ostinato.training.packing import Array, Packing


class LearningLayerNorm:
    """y = gamma (x - mean x) / sqrt(mean (x - mean x)^2 + epsilon) + beta over a row."""

    def __init__(self, name: str, layer: LayerNorm) -> None:
        self.name, self.epsilon = name, layer.epsilon

    def forward(self, parameters: Parameters, inputs: Sequence[Array], packing: Packing) -> Array:
        """As `LearningLayer.forward`."""
        self.normal = normalise(inputs[0], 1, self.epsilon)
        y: Array = parameters[f"{self.name}.gamma"] * self.normal.values + parameters[f"{self.name}.beta"]
        return y

    def backward(
        self, parameters: Parameters, dy: Array, gradients: dict[str, Array], wanted: bool = True
    ) -> Sequence[Array | None]:
        """As `LearningLayer.backward`."""
        gradients[f"{self.name}.gamma"] = (dy * self.normal.values).sum(axis=0)
        gradients[f"{self.name}.beta"] = dy.sum(axis=0)
        return [normalise_back(self.normal, dy * parameters[f"{self.name}.gamma"], 1)]
