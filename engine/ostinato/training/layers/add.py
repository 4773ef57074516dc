"""Sums of several inputs, learning."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import numpy as np

from ostinato.model.layers import Add
from ostinato.training.layers.elementwise import back_to
from ostinato.training.layers.layer import Parameters
from ostinato.training.packing import Array, Packing


class LearningAdd:
    """y = x1 + x2 + …"""

    def __init__(self, name: str, layer: Add) -> None:
        pass

    def forward(self, parameters: Parameters, inputs: Sequence[Array], packing: Packing) -> Array:
        """As `LearningLayer.forward`."""
        self.inputs = inputs
        return reduce(np.add, inputs)

    def backward(
        self, parameters: Parameters, dy: Array, gradients: dict[str, Array], wanted: bool = True
    ) -> Sequence[Array | None]:
        """As `LearningLayer.backward`."""
        return [back_to(x, dy) for x in self.inputs]
