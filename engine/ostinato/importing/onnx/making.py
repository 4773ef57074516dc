"""Nodes before they are added to a network: an activation of all that one gives becomes a part of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ostinato.importing.onnx.elements import Array
from ostinato.importing.onnx.terms import SAME, Affine
from ostinato.model.activation import IDENTITY, Activation
from ostinato.model.layers import Convolution, Dense, Layer, TransposedConvolution, Within


class Made(NamedTuple):
    """A layer, the nodes that it reads, its weights by the last part of their names, and what it is called."""

    layer: Layer
    inputs: Sequence[str]
    weights: Mapping[str, Array]
    name: str

    def activated(self, activation: Activation, name: str) -> Made | None:
        """With an activation of all that it gives; None if it cannot have that."""
        layer = _activated(self.layer, activation)
        return None if layer is None else Made(layer, self.inputs, self.weights, name)


def _activated(layer: Layer, activation: Activation) -> Layer | None:
    if isinstance(layer, Within):
        inner = _activated(layer.layer, activation)
        return None if inner is None else dataclasses.replace(layer, layer=inner)
    if isinstance(layer, (Dense, Convolution, TransposedConvolution)) and layer.activation == IDENTITY:
        return dataclasses.replace(layer, activation=activation)
    return None


def within(operation: Affine, source: str) -> tuple[Layer, Sequence[str], Mapping[str, Array]]:
    """A product at each position of a frame, or at windows over them, and all but its name."""
    outputs, window = len(operation.bias), operation.window
    if window == SAME:
        weights = {"W": operation.matrix, "b": operation.bias}
        return Within(operation.positions, Dense(outputs)), [source], weights
    taps = operation.matrix.reshape(outputs, window.taps, -1)
    layer, W = grouped(taps, window.stride, window.dilation, window.left, window.right)
    return Within(operation.positions, layer), [source], {"W": W, "b": operation.bias}


def grouped(W: Array, stride: int, dilation: int, left: int, right: int) -> tuple[Convolution, Array]:
    """The convolution by W [outputs, taps, inputs], in as many groups as it has, and its W."""
    (outputs, taps, inputs), groups = W.shape, _groups(W)
    rows, columns = outputs // groups, inputs // groups
    own = [W[g * rows : (g + 1) * rows, :, g * columns : (g + 1) * columns] for g in range(groups)]
    return (
        Convolution(outputs, taps, stride, dilation, groups, left, right),
        np.concatenate(own).reshape(outputs, -1),
    )


def _groups(W: Array) -> int:
    """How many groups of outputs see only their own group of inputs: the most."""
    outputs, _, inputs = W.shape
    seen = (W != 0).any(axis=1)
    for groups in range(int(np.gcd(outputs, inputs)), 1, -1):
        if outputs % groups or inputs % groups or (groups > 64 and not groups == outputs == inputs):
            continue
        blocks = seen.reshape(groups, outputs // groups, groups, inputs // groups).any(axis=(1, 3))
        if not (blocks & ~np.eye(groups, dtype=bool)).any():
            return groups
    return 1
