"""Values of a frame in another order, learning."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ostinato.model.layers import Gather
from ostinato.training.layers.layer import Parameters
from ostinato.training.packing import Array, Packing


class LearningGather:
    """What was taken several times gets the sum of their gradients; what is a zero has none."""

    def __init__(self, name: str, layer: Gather) -> None:
        indices = np.array(layer.indices)
        self.size, self.places = len(indices), np.flatnonzero(indices >= 0)
        self.taken = indices[self.places]

    def forward(self, parameters: Parameters, inputs: Sequence[Array], packing: Packing) -> Array:
        """As `LearningLayer.forward`."""
        (x,) = inputs
        self.shape = x.shape
        y = np.zeros((len(x), self.size), x.dtype)
        y[:, self.places] = x[:, self.taken]
        return y

    def backward(
        self, parameters: Parameters, dy: Array, gradients: dict[str, Array], wanted: bool = True
    ) -> Sequence[Array | None]:
        """As `LearningLayer.backward`."""
        dx = np.zeros(self.shape[::-1], dy.dtype)
        np.add.at(dx, self.taken, dy.T[self.places])
        return [np.ascontiguousarray(dx.T)]
