"""Pooling and stacking, learning. The network has gathered the windows already."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ostinato.model.layers import MaxPool, MeanPool, Stack
from ostinato.training.layers.layer import Parameters
from ostinato.training.packing import Array, Packing


def by_tap(windows: Array, taps: int) -> Array:
    """Windows [N, taps * size] as [N, taps, size]."""
    return windows.reshape(len(windows), taps, windows.shape[1] // taps)


class LearningMaxPool:
    """Of each value the greatest; of several that are, the first one learns."""

    def __init__(self, name: str, layer: MaxPool) -> None:
        self.taps = layer.taps

    def forward(self, parameters: Parameters, inputs: Sequence[Array], packing: Packing) -> Array:
        """As `LearningLayer.forward`; the input is rows of windows [N, taps * size]."""
        windows = by_tap(inputs[0], self.taps)
        self.which = windows.argmax(axis=1)
        greatest: Array = np.take_along_axis(windows, self.which[:, None], axis=1)[:, 0]
        return greatest

    def backward(
        self, parameters: Parameters, dy: Array, gradients: dict[str, Array], wanted: bool = True
    ) -> Sequence[Array | None]:
        """As `LearningLayer.backward`."""
        dx = np.zeros((len(dy), self.taps, dy.shape[1]), dy.dtype)
        np.put_along_axis(dx, self.which[:, None], dy[:, None], axis=1)
        return [dx.reshape(len(dy), self.taps * dy.shape[1])]


class LearningMeanPool:
    """Of each value the mean."""

    def __init__(self, name: str, layer: MeanPool) -> None:
        self.taps = layer.taps

    def forward(self, parameters: Parameters, inputs: Sequence[Array], packing: Packing) -> Array:
        """As `LearningLayer.forward`; the input is rows of windows [N, taps * size]."""
        mean: Array = by_tap(inputs[0], self.taps).mean(axis=1)
        return mean

    def backward(
        self, parameters: Parameters, dy: Array, gradients: dict[str, Array], wanted: bool = True
    ) -> Sequence[Array | None]:
        """As `LearningLayer.backward`."""
        return [np.tile(dy / self.taps, (1, self.taps))]


class LearningStack:
    """The windows themselves."""

    def __init__(self, name: str, layer: Stack) -> None:
        pass

    def forward(self, parameters: Parameters, inputs: Sequence[Array], packing: Packing) -> Array:
        """As `LearningLayer.forward`."""
        return inputs[0]

    def backward(
        self, parameters: Parameters, dy: Array, gradients: dict[str, Array], wanted: bool = True
    ) -> Sequence[Array | None]:
        """As `LearningLayer.backward`."""
        return [dy]
