"""Products of several inputs, learning."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import numpy as np

from ostinato.model.layers import Multiply
from ostinato.training.layers.elementwise import back_to
from ostinato.training.layers.layer import Parameters
from ostinato.training.packing import Array, Packing


class LearningMultiply:
    """y = x1 * x2 * …"""

    def __init__(self, name: str, layer: Multiply) -> None:
        pass

    def forward(self, parameters: Parameters, inputs: Sequence[Array], packing: Packing) -> Array:
        """As `LearningLayer.forward`."""
        self.inputs = inputs
        return reduce(np.multiply, inputs)

    def backward(
        self, parameters: Parameters, dy: Array, gradients: dict[str, Array], wanted: bool = True
    ) -> Sequence[Array | None]:
        """As `LearningLayer.backward`: each input's is multiplied by the others."""
        others = [[*self.inputs[:k], *self.inputs[k + 1 :]] for k in range(len(self.inputs))]
        return [back_to(x, reduce(np.multiply, rest, dy)) for x, rest in zip(self.inputs, others, strict=True)]
