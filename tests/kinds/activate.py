"""An activation function by itself."""

from __future__ import annotations

from collections.abc import Sequence

from kinds.formulas import DEFINED, activate
from kinds.kind import Doubles, Example, Floats, Kind, Weights, Wires
from kinds.onnx_graph import OnnxGraph
from ostinato.kernels import arrays
from ostinato.model import layers
from ostinato.model.activation import Activation


class Activate(Kind):
    layer = layers.Activate
    examples = tuple(Example(layers.Activate(Activation(name))) for name in DEFINED)

    def reference(self, layer: layers.Activate, weights: Weights, inputs: Sequence[Doubles], wires: Wires) -> Doubles:
        return activate(layer.activation, inputs[0])

    def rounded(self, layer: layers.Activate, weights: Weights, inputs: Sequence[Floats], wires: Wires) -> Floats:
        f = layer.activation
        return arrays.activate(f.name, inputs[0], f.alpha, f.beta)

    def onnx(
        self, to: OnnxGraph, layer: layers.Activate, weights: Weights, inputs: Sequence[str], wires: Wires
    ) -> str | None:
        return to.activated(layer.activation, inputs[0])
