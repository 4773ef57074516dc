"""Probabilities, learning."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ostinato.model.layers import Softmax
from ostinato.training.layers.layer import Parameters
from ostinato.training.packing import Array, Packing


class LearningSoftmax:
    """exp(x_i - max x) / sum_j exp(x_j - max x), below other layers; a last one is left to the loss."""

    def __init__(self, name: str, layer: Softmax) -> None:
        pass

    def forward(self, parameters: Parameters, inputs: Sequence[Array], packing: Packing) -> Array:
        """As `LearningLayer.forward`."""
        self.y = softmax(inputs[0])
        return self.y

    def backward(
        self, parameters: Parameters, dy: Array, gradients: dict[str, Array], wanted: bool = True
    ) -> Sequence[Array | None]:
        """As `LearningLayer.backward`."""
        # dx = y (dy - sum_j dy_j y_j)
        dx: Array = self.y * (dy - (dy * self.y).sum(axis=1, keepdims=True))
        return [dx]


def softmax(x: Array) -> Array:
    """exp(x_i - max x) / sum_j exp(x_j - max x) over the last axis."""
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    y: Array = e / e.sum(axis=-1, keepdims=True)
    return y
