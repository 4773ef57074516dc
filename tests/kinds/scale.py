"""A factor and a summand for each value."""

from __future__ import annotations

from collections.abc import Sequence

from kinds.kind import Doubles, Example, Floats, Kind, Weights, Wires
from kinds.onnx_graph import OnnxGraph
from kinds.rounding import fma
from ostinato.model import layers
from ostinato.model.wire import Wire


class Scale(Kind):
    layer = layers.Scale
    examples = (
        Example(layers.Scale()),
        Example(layers.Scale(), (Wire(17),)),
    )

    def reference(self, layer: layers.Scale, weights: Weights, inputs: Sequence[Doubles], wires: Wires) -> Doubles:
        return weights["a"] * inputs[0] + weights["b"]

    def rounded(self, layer: layers.Scale, weights: Weights, inputs: Sequence[Floats], wires: Wires) -> Floats:
        return fma(weights["a"], inputs[0], weights["b"])

    def onnx(
        self, to: OnnxGraph, layer: layers.Scale, weights: Weights, inputs: Sequence[str], wires: Wires
    ) -> str | None:
        return to.add("Add", to.add("Mul", inputs[0], to.constant(weights["a"])), to.constant(weights["b"]))
