"""Tokens as one-hot vectors, learning."""

from __future__ import annotations

from collections.abc import Sequence

from ostinato.model.layers import OneHot
from ostinato.training.layers.layer import Parameters
from ostinato.training.packing import Array, Packing


class LearningOneHot:
    """Token ids go on as they are: the layer that reads them looks its weight columns up (`project`)."""

    def __init__(self, name: str, layer: OneHot) -> None:
        pass

    def forward(self, parameters: Parameters, inputs: Sequence[Array], packing: Packing) -> Array:
        """As `LearningLayer.forward`."""
        return inputs[0]

    def backward(
        self, parameters: Parameters, dy: Array, gradients: dict[str, Array], wanted: bool = True
    ) -> Sequence[Array | None]:
        """As `LearningLayer.backward`."""
        return [None]
