"""A frame's matrix transposed, learning."""

from __future__ import annotations

from collections.abc import Sequence

from ostinato.model.layers import Transpose
from ostinato.training.layers.layer import Parameters
from ostinato.training.packing import Array, Packing


class LearningTranspose:
    """Transposed there, transposed back."""

    def __init__(self, name: str, layer: Transpose) -> None:
        self.rows = layer.rows

    def forward(self, parameters: Parameters, inputs: Sequence[Array], packing: Packing) -> Array:
        """As `LearningLayer.forward`."""
        (x,) = inputs
        return x.reshape(len(x), self.rows, x.shape[1] // self.rows).transpose(0, 2, 1).reshape(x.shape)

    def backward(
        self, parameters: Parameters, dy: Array, gradients: dict[str, Array], wanted: bool = True
    ) -> Sequence[Array | None]:
        """As `LearningLayer.backward`."""
        return [dy.reshape(len(dy), dy.shape[1] // self.rows, self.rows).transpose(0, 2, 1).reshape(dy.shape)]
