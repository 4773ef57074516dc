"""Some of the values of a vector, learning."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ostinato.model.layers import Slice
from ostinato.training.layers.layer import Parameters
from ostinato.training.packing import Array, Packing


class LearningSlice:
    """``size`` values from ``start`` on."""

    def __init__(self, name: str, layer: Slice) -> None:
        self.values = slice(layer.start, layer.start + layer.size)

    def forward(self, parameters: Parameters, inputs: Sequence[Array], packing: Packing) -> Array:
        """As `LearningLayer.forward`."""
        self.shape = inputs[0].shape
        return np.ascontiguousarray(inputs[0][:, self.values])

    def backward(
        self, parameters: Parameters, dy: Array, gradients: dict[str, Array], wanted: bool = True
    ) -> Sequence[Array | None]:
        """As `LearningLayer.backward`."""
        dx = np.zeros(self.shape, dy.dtype)
        dx[:, self.values] = dy
        return [dx]
