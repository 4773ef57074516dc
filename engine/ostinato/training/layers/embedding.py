"""Vectors for tokens, learning."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ostinato.model.layers import Embedding
from ostinato.training.layers.layer import Parameters
from ostinato.training.packing import Array, Packing
from ostinato.training.products import scatter_add


class LearningEmbedding:
    """Token id -> a row of E [vocabulary, size]."""

    def __init__(self, name: str, layer: Embedding) -> None:
        self.name = f"{name}.E"

    def forward(self, parameters: Parameters, inputs: Sequence[Array], packing: Packing) -> Array:
        """As `LearningLayer.forward`."""
        (self.x,) = inputs
        rows: Array = parameters[self.name][self.x]
        return rows

    def backward(
        self, parameters: Parameters, dy: Array, gradients: dict[str, Array], wanted: bool = True
    ) -> Sequence[Array | None]:
        """As `LearningLayer.backward`."""
        gradient = np.zeros_like(parameters[self.name])
        scatter_add(gradient, self.x, np.ascontiguousarray(dy))
        gradients[self.name] = gradient
        return [None]
