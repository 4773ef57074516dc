"""One-dimensional convolution, learning. The network has gathered the windows already."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ostinato.model.layers import Convolution
from ostinato.training import activations
from ostinato.training.layers.layer import Parameters
from ostinato.training.packing import Array, Packing


class LearningConvolution:
    """y = f(b + W window), group by group."""

    def __init__(self, name: str, layer: Convolution) -> None:
        self.name, self.layer = name, layer

    def forward(self, parameters: Parameters, inputs: Sequence[Array], packing: Packing) -> Array:
        """As `LearningLayer.forward`; the input is rows of windows [N, taps * inputs]."""
        (x,), groups = inputs, self.layer.groups
        W, b = parameters[f"{self.name}.W"], parameters[f"{self.name}.b"]
        count, columns = len(x), x.shape[1] // groups
        taps = x.reshape(count, self.layer.taps, groups, columns // self.layer.taps)
        self.x = np.ascontiguousarray(taps.transpose(2, 0, 1, 3)).reshape(groups, count, columns)
        sums = self.x @ W.reshape(groups, len(W) // groups, -1).transpose(0, 2, 1)
        self.a = np.ascontiguousarray(sums.transpose(1, 0, 2).reshape(count, len(W)) + b)
        self.f = activations.settings(self.layer.activation, self.a.dtype)
        self.y = np.empty_like(self.a)
        activations.activate_all(*self.f, self.a, self.y)
        return self.y

    def backward(
        self, parameters: Parameters, dy: Array, gradients: dict[str, Array], wanted: bool = True
    ) -> Sequence[Array | None]:
        """As `LearningLayer.backward`."""
        W, groups = parameters[f"{self.name}.W"], self.layer.groups
        da = np.empty_like(self.a)
        activations.slope_all(*self.f, self.a, self.y, np.ascontiguousarray(dy), da)
        by_group = np.ascontiguousarray(da.reshape(len(da), groups, len(W) // groups).transpose(1, 0, 2))
        gradients[f"{self.name}.W"] = (by_group.transpose(0, 2, 1) @ self.x).reshape(W.shape)
        gradients[f"{self.name}.b"] = da.sum(axis=0)
        if not wanted:
            return [None]
        dx = by_group @ W.reshape(groups, len(W) // groups, -1)
        columns = dx.shape[2]
        taps = dx.reshape(groups, len(da), self.layer.taps, columns // self.layer.taps).transpose(1, 2, 0, 3)
        return [np.ascontiguousarray(taps).reshape(len(da), groups * columns)]
