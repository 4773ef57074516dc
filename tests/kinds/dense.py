"""The fully connected layer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kinds.formulas import DEFINED, activate
from kinds.kind import ONE_HOT, Doubles, Example, Floats, Kind, Weights, Wires
from kinds.onnx_graph import OnnxGraph
from kinds.rounding import product
from ostinato.kernels import arrays
from ostinato.model import layers
from ostinato.model.activation import Activation


class Dense(Kind):
    layer = layers.Dense
    examples = (
        Example(layers.Dense(4)),
        Example(layers.Dense(4), (ONE_HOT,)),
        *(Example(layers.Dense(4, Activation(name))) for name in DEFINED),
    )

    def reference(self, layer: layers.Dense, weights: Weights, inputs: Sequence[Doubles], wires: Wires) -> Doubles:
        return activate(layer.activation, inputs[0] @ weights["W"].T + weights["b"])

    def rounded(self, layer: layers.Dense, weights: Weights, inputs: Sequence[Floats], wires: Wires) -> Floats:
        (x,), (wire,), f = inputs, wires, layer.activation
        bias = np.tile(weights["b"], (len(x), 1))
        return arrays.activate(f.name, product(weights, "W", x, bias, wire.token), f.alpha, f.beta)

    def onnx(
        self, to: OnnxGraph, layer: layers.Dense, weights: Weights, inputs: Sequence[str], wires: Wires
    ) -> str | None:
        sums = to.add("Gemm", inputs[0], to.constant(weights["W"]), to.constant(weights["b"]), transB=1)
        return to.activated(layer.activation, sums)
