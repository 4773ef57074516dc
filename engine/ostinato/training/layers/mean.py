"""The mean of several inputs, learning."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import numpy as np

from ostinato.model.layers import Mean
from ostinato.training.layers.elementwise import back_to
from ostinato.training.layers.layer import Parameters
from ostinato.training.packing import Array, Packing


class LearningMean:
    """y = (x1 + x2 + …) / n."""

    def __init__(self, name: str, layer: Mean) -> None:
        pass

    def forward(self, parameters: Parameters, inputs: Sequence[Array], packing: Packing) -> Array:
        """As `LearningLayer.forward`."""
        self.inputs = inputs
        mean: Array = reduce(np.add, inputs) / inputs[0].dtype.type(len(inputs))
        return mean

    def backward(
        self, parameters: Parameters, dy: Array, gradients: dict[str, Array], wanted: bool = True
    ) -> Sequence[Array | None]:
        """As `LearningLayer.backward`."""
        d = dy / dy.dtype.type(len(self.inputs))
        return [back_to(x, d) for x in self.inputs]
