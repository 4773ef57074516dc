"""Several inputs side by side, learning."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ostinato.model.layers import Concatenate
from ostinato.training.layers.layer import Parameters
from ostinato.training.packing import Array, Packing


class LearningConcatenate:
    """y = [x1, x2, …]."""

    def __init__(self, name: str, layer: Concatenate) -> None:
        pass

    def forward(self, parameters: Parameters, inputs: Sequence[Array], packing: Packing) -> Array:
        """As `LearningLayer.forward`."""
        self.ends = np.cumsum([x.shape[1] for x in inputs])
        return np.concatenate(inputs, axis=1)

    def backward(
        self, parameters: Parameters, dy: Array, gradients: dict[str, Array], wanted: bool = True
    ) -> Sequence[Array | None]:
        """As `LearningLayer.backward`."""
        return np.split(dy, self.ends[:-1], axis=1)
