"""One-dimensional convolution."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kinds.formulas import activate
from kinds.kind import Doubles, Example, Floats, Kind, Weights, Wires
from kinds.onnx_graph import OnnxGraph
from kinds.rounding import fma, product
from ostinato.kernels import arrays
from ostinato.model import layers
from ostinato.model.activation import Activation
from ostinato.model.wire import Wire

TANH = Activation("tanh")


class Convolution(Kind):
    layer = layers.Convolution
    examples = (
        Example(layers.Convolution(4, 3)),
        Example(layers.Convolution(4, 3, activation=TANH)),
        Example(layers.Convolution(4, 2, dilation=3)),
        Example(layers.Convolution(4, 1)),
        Example(layers.Convolution(4, 3, left=1, right=1)),
        Example(layers.Convolution(4, 3, left=0, right=0)),
        Example(layers.Convolution(4, 2, left=4, right=3)),
        Example(layers.Convolution(4, 3, stride=2)),
        Example(layers.Convolution(4, 2, stride=3, dilation=2, left=1, right=2)),
        Example(layers.Convolution(4, 3, groups=2), (Wire(6),)),
        Example(layers.Convolution(4, 3, stride=2, groups=2), (Wire(6),)),
        Example(layers.Convolution(6, 3, groups=6, activation=TANH), (Wire(6),)),
        Example(layers.Convolution(20, 5, groups=20, left=2, right=2), (Wire(20),)),
    )

    def reference(
        self, layer: layers.Convolution, weights: Weights, inputs: Sequence[Doubles], wires: Wires
    ) -> Doubles:
        windows = framed(layer, inputs[0], 0.0)  # [T, taps, inputs]
        groups, W = layer.groups, weights["W"].reshape(layer.groups, layer.size // layer.groups, layer.taps, -1)
        by_group = windows.reshape(len(windows), layer.taps, groups, wires[0].size // groups)
        sums = np.einsum("tjgi,goji->tgo", by_group, W).reshape(len(windows), layer.size)
        return activate(layer.activation, sums + weights["b"])

    def resized(self, layer: layers.Convolution, size: int) -> layers.Layer:
        return super().resized(layer, size) if layer.groups == 1 else layer

    def onnx(
        self, to: OnnxGraph, layer: layers.Convolution, weights: Weights, inputs: Sequence[str], wires: Wires
    ) -> str | None:
        W = weights["W"].reshape(layer.size, layer.taps, -1).transpose(0, 2, 1)
        (f,) = layer.framings
        sums = over_time(
            to, "Conv", inputs[0], W, weights["b"], strides=[f.stride], dilations=[f.dilation], group=layer.groups,
            pads=[f.left, f.right],
        )  # fmt: skip
        return to.activated(layer.activation, sums)

    def rounded(self, layer: layers.Convolution, weights: Weights, inputs: Sequence[Floats], wires: Wires) -> Floats:
        windows, f, groups = framed(layer, inputs[0], 0.0), layer.activation, layer.groups
        taps, each, outputs = layer.taps, wires[0].size // groups, layer.size // groups
        sums = np.tile(weights["b"], (len(windows), 1))
        for g in range(groups):
            rows = slice(g * outputs, (g + 1) * outputs)
            some = {
                key: array[rows] if array.ndim > 1 or key == "W_scale" else array for key, array in weights.items()
            }
            x = windows[:, :, g * each : (g + 1) * each].reshape(len(windows), -1)
            if groups > 1 and each == 1 and outputs == 1:
                for j in range(taps):
                    sums[:, rows] = fma(some["W"][:, j], x[:, j : j + 1], sums[:, rows])
            else:
                sums[:, rows] = product(some, "W", x, sums[:, rows])
        return arrays.activate(f.name, sums, f.alpha, f.beta)


def over_time(to: OnnxGraph, operator: str, x: str, *weights: np.ndarray, **attributes: object) -> str:
    """One of ONNX's operators over [1, channels, T], of frames [T, channels]."""
    channels_first = to.add("Unsqueeze", to.add("Transpose", x), to.constant(np.array([0])))
    made = to.add(operator, channels_first, *(to.constant(each) for each in weights), **attributes)
    return to.add("Transpose", to.add("Squeeze", made, to.constant(np.array([0]))))


def framed(layer: layers.Layer, x: np.ndarray, pad: float) -> np.ndarray:
    """Windows [T', taps, size] over frames [T, size], by the words of ONNX: pad, then cut."""
    (f,) = layer.framings
    before, after = (np.full((count, x.shape[1]), pad, x.dtype) for count in (f.left, f.right))
    padded = np.concatenate([before, x, after])
    count = max(0, (len(padded) - f.span - 1) // f.stride + 1)
    taken = [padded[n * f.stride : n * f.stride + f.span + 1 : f.dilation] for n in range(count)]
    return np.array(taken, x.dtype).reshape(count, f.taps, x.shape[1])
