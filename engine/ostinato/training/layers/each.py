"""A layer over time at each position of a frame, learning: each position of a sequence is a sequence by itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ostinato.model.layers import Each
from ostinato.training.layers.layer import LearningLayer, Parameters
from ostinato.training.packing import Array, Packing
from ostinato.training.reframing import Windows


class LearningEach:
    """``inner`` is what learns of the layer at each position. A frame's positions become neighbouring rows."""

    def __init__(self, name: str, layer: Each, inner: LearningLayer) -> None:
        self.layer, self.inner = layer, inner

    def forward(self, parameters: Parameters, inputs: Sequence[Array], packing: Packing) -> Array:
        """As `LearningLayer.forward`."""
        (x,) = inputs
        self.count = len(x)
        parted = _parted(packing, self.layer.positions)
        self.windows = [Windows(framing, parted, parted) for framing in self.layer.layer.framings]
        rows = self._by_position(x)
        for each in self.windows:
            rows = each.forward(rows)
        y = self.inner.forward(parameters, [rows], parted)
        return y.reshape(self.count, y.shape[1] * self.layer.positions)

    def backward(
        self, parameters: Parameters, dy: Array, gradients: dict[str, Array], wanted: bool = True
    ) -> Sequence[Array | None]:
        """As `LearningLayer.backward`."""
        (dx,) = self.inner.backward(parameters, self._by_position(dy), gradients, wanted=wanted)
        if dx is None:
            return [None]
        for each in reversed(self.windows):
            dx = each.backward(dx)
        return [dx.reshape(self.count, dx.shape[1] * self.layer.positions)]

    def _by_position(self, x: Array) -> Array:
        P = self.layer.positions
        return np.ascontiguousarray(x).reshape(self.count * P, x.shape[1] // P)


def _parted(packing: Packing, positions: int) -> Packing:
    """The packing of all positions of its sequences."""
    sequence = packing.sequence[:, None] * positions + np.arange(positions)
    time = np.repeat(packing.time, positions)
    return Packing(
        packing.batch * positions, packing.sizes * positions, packing.offsets * positions, sequence.reshape(-1), time,
        packing.learning,
    )  # fmt: skip
