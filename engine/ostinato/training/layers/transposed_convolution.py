"""One-dimensional transposed convolution, learning. The network gathers windows before it, and spreads its rows
after."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ostinato.model.layers import TransposedConvolution
from ostinato.training import activations
from ostinato.training.layers.layer import Parameters
from ostinato.training.packing import Array, Packing


class LearningTransposedConvolution:
    """f(b + product), the product giving all output frames of an input frame."""

    def __init__(self, name: str, layer: TransposedConvolution) -> None:
        self.name, self.layer = name, layer

    def forward(self, parameters: Parameters, inputs: Sequence[Array], packing: Packing) -> Array:
        """As `LearningLayer.forward`; the input is rows of windows, the output [N, stride * size]."""
        (self.x,) = inputs
        self.product = self.layer.by_phase(parameters[f"{self.name}.W"])
        self.a = self.x @ self.product.T + np.tile(parameters[f"{self.name}.b"], self.layer.stride)
        self.f = activations.settings(self.layer.activation, self.a.dtype)
        self.y = np.empty_like(self.a)
        activations.activate_all(*self.f, self.a, self.y)
        y: Array = self.y
        return y

    def backward(
        self, parameters: Parameters, dy: Array, gradients: dict[str, Array], wanted: bool = True
    ) -> Sequence[Array | None]:
        """As `LearningLayer.backward`."""
        da = np.empty_like(self.a)
        activations.slope_all(*self.f, self.a, self.y, np.ascontiguousarray(dy), da)
        gradients[f"{self.name}.W"] = self.layer.by_tap(da.T @ self.x)
        gradients[f"{self.name}.b"] = da.sum(axis=0).reshape(self.layer.stride, -1).sum(axis=0)
        return [da @ self.product if wanted else None]
