"""An activation function by itself, learning."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ostinato.model.layers import Activate
from ostinato.training import activations
from ostinato.training.layers.layer import Buffers, Parameters
from ostinato.training.packing import Array, Packing


class LearningActivate:
    """y = f(x)."""

    def __init__(self, name: str, layer: Activate) -> None:
        self.activation = layer.activation
        self.buffers = Buffers()

    def forward(self, parameters: Parameters, inputs: Sequence[Array], packing: Packing) -> Array:
        """As `LearningLayer.forward`."""
        self.x = np.ascontiguousarray(inputs[0])
        self.f = activations.settings(self.activation, self.x.dtype)
        self.y = self.buffers("y", self.x.shape, self.x.dtype)
        activations.activate_all(*self.f, self.x, self.y)
        return self.y

    def backward(
        self, parameters: Parameters, dy: Array, gradients: dict[str, Array], wanted: bool = True
    ) -> Sequence[Array | None]:
        """As `LearningLayer.backward`."""
        dx = self.buffers("dx", self.x.shape, self.x.dtype)
        activations.slope_all(*self.f, self.x, self.y, np.ascontiguousarray(dy), dx)
        return [dx]
