"""The fully connected layer, learning."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ostinato.model.activation import IDENTITY
from ostinato.model.layers import Dense
from ostinato.training import activations
from ostinato.training.layers.layer import Buffers, Parameters
from ostinato.training.packing import Array, Packing
from ostinato.training.products import input_gradient, project, weight_gradients


class LearningDense:
    """y = f(W x + b)."""

    def __init__(self, name: str, layer: Dense) -> None:
        self.name, self.activation = name, layer.activation
        self.buffers = Buffers()

    def forward(self, parameters: Parameters, inputs: Sequence[Array], packing: Packing) -> Array:
        """As `LearningLayer.forward`."""
        (x,) = inputs
        W = parameters[f"{self.name}.W"]
        self.x, self.a = x, self.buffers("a", (len(x), len(W)), W.dtype)
        project(x, W, parameters[f"{self.name}.b"], self.a)
        if self.activation == IDENTITY:
            return self.a
        self.f = activations.settings(self.activation, self.a.dtype)
        self.y = self.buffers("y", self.a.shape, W.dtype)
        activations.activate_all(*self.f, self.a, self.y)
        return self.y

    def backward(
        self, parameters: Parameters, dy: Array, gradients: dict[str, Array], wanted: bool = True
    ) -> Sequence[Array | None]:
        """As `LearningLayer.backward`."""
        da = np.ascontiguousarray(dy)
        if self.activation != IDENTITY:
            da = self.buffers("da", self.a.shape, self.a.dtype)
            activations.slope_all(*self.f, self.a, self.y, np.ascontiguousarray(dy), da)
        W = parameters[f"{self.name}.W"]
        gradients[f"{self.name}.W"], gradients[f"{self.name}.b"] = weight_gradients(self.x, da, W)
        return [input_gradient(da, W, self.buffers("dx", self.x.shape, W.dtype)) if wanted else None]
