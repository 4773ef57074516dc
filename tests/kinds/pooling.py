"""The greatest, the mean, and all of neighbouring frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kinds.convolution import framed, over_time
from kinds.kind import Doubles, Example, Floats, Kind, Weights, Wires
from kinds.onnx_graph import OnnxGraph
from ostinato.model import layers


class MaxPool(Kind):
    layer = layers.MaxPool
    examples = (
        Example(layers.MaxPool(3)),
        Example(layers.MaxPool(3, stride=2)),
        Example(layers.MaxPool(3, left=1, right=1)),
        Example(layers.MaxPool(2, stride=2, left=0)),
    )

    def reference(self, layer: Any, weights: Weights, inputs: Sequence[Doubles], wires: Wires) -> Doubles:
        return framed(layer, inputs[0], -np.inf).max(axis=1)

    def onnx(self, to: OnnxGraph, layer: Any, weights: Weights, inputs: Sequence[str], wires: Wires) -> str | None:
        (f,) = layer.framings
        attributes = {"kernel_shape": [f.taps], "strides": [f.stride], "pads": [f.left, f.right]}
        return over_time(to, "MaxPool", inputs[0], **attributes)

    def rounded(self, layer: Any, weights: Weights, inputs: Sequence[Floats], wires: Wires) -> Floats:
        return framed(layer, inputs[0], -np.inf).max(axis=1)


class MeanPool(Kind):
    layer = layers.MeanPool
    examples = (
        Example(layers.MeanPool(3)),
        Example(layers.MeanPool(3, stride=2)),
        Example(layers.MeanPool(3, left=1, right=1)),
        Example(layers.MeanPool(4, stride=4, left=0)),
    )

    def reference(self, layer: Any, weights: Weights, inputs: Sequence[Doubles], wires: Wires) -> Doubles:
        return framed(layer, inputs[0], 0.0).mean(axis=1)

    def onnx(self, to: OnnxGraph, layer: Any, weights: Weights, inputs: Sequence[str], wires: Wires) -> str | None:
        (f,) = layer.framings
        attributes = {"kernel_shape": [f.taps], "strides": [f.stride], "pads": [f.left, f.right]}
        return over_time(to, "AveragePool", inputs[0], **attributes, count_include_pad=1)

    def rounded(self, layer: Any, weights: Weights, inputs: Sequence[Floats], wires: Wires) -> Floats:
        windows = framed(layer, inputs[0], 0.0)
        total = windows[:, 0]
        for j in range(1, layer.taps):
            total = total + windows[:, j]
        return total * np.float32(1 / layer.taps)


class Stack(Kind):
    layer = layers.Stack
    examples = (
        Example(layers.Stack(2)),
        Example(layers.Stack(3, stride=3, left=0)),
        Example(layers.Stack(5, stride=2, left=2, right=2)),
    )

    def reference(self, layer: Any, weights: Weights, inputs: Sequence[Doubles], wires: Wires) -> Doubles:
        windows = framed(layer, inputs[0], 0.0)
        return windows.reshape(len(windows), layer.taps * wires[0].size)

    def onnx(self, to: OnnxGraph, layer: Any, weights: Weights, inputs: Sequence[str], wires: Wires) -> str | None:
        (f,) = layer.framings
        identity = np.eye(f.taps * wires[0].size, dtype=np.float32).reshape(-1, f.taps, wires[0].size)
        attributes = {"strides": [f.stride], "pads": [f.left, f.right]}
        return over_time(to, "Conv", inputs[0], identity.transpose(0, 2, 1), **attributes)

    def rounded(self, layer: Any, weights: Weights, inputs: Sequence[Floats], wires: Wires) -> Floats:
        windows = framed(layer, inputs[0], 0.0)
        return windows.reshape(len(windows), layer.taps * wires[0].size)
