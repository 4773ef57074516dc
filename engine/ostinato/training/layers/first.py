"""The first frame of each sequence, learning."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ostinato.model.layers import First
from ostinato.training.layers.layer import Parameters
from ostinato.training.packing import Array, Packing


class LearningFirst:
    """It gets the sum of all frames' gradients; none where it was in a part before."""

    def __init__(self, name: str, layer: First) -> None:
        self.key = f"{name}.first"

    def forward(self, parameters: Parameters, inputs: Sequence[Array], packing: Packing) -> Array:
        """As `LearningLayer.forward`."""
        (x,) = inputs
        count = int(packing.sizes[0]) if len(packing.sizes) else 0
        order = packing.sequence[:count]
        states = packing.learning.states if packing.learning else None
        first, self.carried = x[:count], states is not None and self.key in states
        if states is not None and self.carried:
            first = states[self.key][order]
        elif states is not None:
            states[self.key] = np.zeros((packing.batch, x.shape[1]), x.dtype)
            states[self.key][order] = first
        self.sizes, self.offsets = packing.sizes, packing.offsets
        y: Array = first[np.arange(len(x)) - np.repeat(self.offsets, self.sizes)]
        return y

    def backward(
        self, parameters: Parameters, dy: Array, gradients: dict[str, Array], wanted: bool = True
    ) -> Sequence[Array | None]:
        """As `LearningLayer.backward`."""
        dx = np.zeros_like(dy)
        if not self.carried:
            for size, offset in zip(self.sizes, self.offsets, strict=True):
                dx[:size] += dy[offset : offset + size]
        return [dx]
