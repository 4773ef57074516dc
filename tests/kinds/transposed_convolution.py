"""One-dimensional transposed convolution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kinds.convolution import over_time
from kinds.formulas import activate
from kinds.kind import Doubles, Example, Floats, Kind, Weights, Wires
from kinds.onnx_graph import OnnxGraph
from kinds.rounding import fma
from ostinato.kernels import arrays
from ostinato.model import layers
from ostinato.model.activation import Activation


class TransposedConvolution(Kind):
    layer = layers.TransposedConvolution
    examples = (
        Example(layers.TransposedConvolution(3, 4, 2)),
        Example(layers.TransposedConvolution(3, 2, 2, activation=Activation("tanh"))),
        Example(layers.TransposedConvolution(3, 5, 2, end=0)),
        Example(layers.TransposedConvolution(3, 4, 2, start=1, end=1)),
        Example(layers.TransposedConvolution(3, 3, 3, start=1, end=2)),
        Example(layers.TransposedConvolution(3, 5, 3, start=2, end=0)),
    )

    def reference(self, layer: Any, weights: Weights, inputs: Sequence[Doubles], wires: Wires) -> Doubles:
        return activate(layer.activation, spread(layer, weights, inputs[0]))

    def onnx(self, to: OnnxGraph, layer: Any, weights: Weights, inputs: Sequence[str], wires: Wires) -> str | None:
        W = weights["W"].reshape(layer.size, layer.taps, -1).transpose(2, 0, 1)
        end = max(0, layer.taps - layer.stride - layer.start) if layer.end is None else layer.end
        attributes = {"strides": [layer.stride], "pads": [layer.start, end]}
        sums = over_time(to, "ConvTranspose", inputs[0], W, weights["b"], **attributes)
        return to.activated(layer.activation, sums)

    def rounded(self, layer: Any, weights: Weights, inputs: Sequence[Floats], wires: Wires) -> Floats:
        (x,), f, s, p = inputs, layer.activation, layer.stride, layer.start
        W = weights["W"].reshape(layer.size, layer.taps, -1)
        made = np.tile(weights["b"], (length(layer, len(x)), 1))
        for t in range(len(made)):
            for i in range(
                (t + p) // s - -(-layer.taps // s) + 1, (t + p) // s + 1
            ):  # the earliest first, as in memory
                tap = t + p - i * s
                for k in range(x.shape[1]):
                    inside = 0 <= i < len(x) and tap < layer.taps
                    value, weight = (
                        (x[i, k], W[:, tap, k]) if inside else (np.float32(0), np.zeros(layer.size, np.float32))
                    )
                    made[t] = fma(value, weight, made[t])
        return arrays.activate(f.name, made, f.alpha, f.beta)


def length(layer: layers.TransposedConvolution, frames: int) -> int:
    """ONNX's output size."""
    end = max(0, layer.taps - layer.stride - layer.start) if layer.end is None else layer.end
    return max(0, (frames - 1) * layer.stride + layer.taps - layer.start - end)


def spread(layer: layers.TransposedConvolution, weights: Weights, x: Doubles) -> Doubles:
    """Each frame added to where its taps fall."""
    whole = np.zeros((length(layer, len(x)) + layer.start + layer.taps + len(x) * layer.stride, layer.size))
    W = weights["W"].reshape(layer.size, layer.taps, -1)
    for i, frame in enumerate(x):
        whole[i * layer.stride : i * layer.stride + layer.taps] += (W @ frame).T
    return whole[layer.start : layer.start + length(layer, len(x))] + weights["b"]
