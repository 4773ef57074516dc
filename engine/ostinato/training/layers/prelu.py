"""A rectifier whose slopes below zero are weights, learning."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ostinato.model.layers import PRelu
from ostinato.training.layers.layer import Parameters
from ostinato.training.packing import Array, Packing


class LearningPRelu:
    """y = x, below zero slope x."""

    def __init__(self, name: str, layer: PRelu) -> None:
        self.name = f"{name}.slope"

    def forward(self, parameters: Parameters, inputs: Sequence[Array], packing: Packing) -> Array:
        """As `LearningLayer.forward`."""
        (self.x,) = inputs
        return np.where(self.x < 0, parameters[self.name] * self.x, self.x)

    def backward(
        self, parameters: Parameters, dy: Array, gradients: dict[str, Array], wanted: bool = True
    ) -> Sequence[Array | None]:
        """As `LearningLayer.backward`."""
        below = self.x < 0
        gradients[self.name] = np.where(below, dy * self.x, 0).sum(axis=0, dtype=dy.dtype)
        return [np.where(below, dy * parameters[self.name], dy)]
