"""What an encoder has made of the source's last frame, learning."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ostinato.model.layers import Last
from ostinato.training.layers.layer import Parameters
from ostinato.training.packing import Array, Packing
from ostinato.training.products import scatter_add


class LearningLast:
    """Of kind "last": of what the encoder has made, [B, S, size], the last frame that each row sees."""

    def __init__(self, name: str, layer: Last) -> None:
        pass

    def forward(self, parameters: Parameters, inputs: Sequence[Array], packing: Packing) -> Array:
        """As `LearningLayer.forward`."""
        self.shape = inputs[0].shape
        self.at, frames = packing.last_seen(inputs[0])
        made: Array = frames[self.at]
        return made

    def backward(
        self, parameters: Parameters, dy: Array, gradients: dict[str, Array], wanted: bool = True
    ) -> Sequence[Array | None]:
        """As `LearningLayer.backward`."""
        d_memory = np.zeros(self.shape, dy.dtype)
        scatter_add(d_memory.reshape(-1, self.shape[2]), self.at, np.ascontiguousarray(dy))
        return [d_memory]
