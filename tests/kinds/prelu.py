"""A rectifier whose slopes below zero are weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kinds.kind import Doubles, Example, Floats, Kind, Weights, Wires
from kinds.onnx_graph import OnnxGraph
from ostinato.model import layers
from ostinato.model.wire import Wire


class PRelu(Kind):
    layer = layers.PRelu
    examples = (
        Example(layers.PRelu()),
        Example(layers.PRelu(), (Wire(17),)),
    )

    def reference(self, layer: layers.PRelu, weights: Weights, inputs: Sequence[Doubles], wires: Wires) -> Doubles:
        return np.where(inputs[0] < 0, weights["slope"] * inputs[0], inputs[0])

    def rounded(self, layer: layers.PRelu, weights: Weights, inputs: Sequence[Floats], wires: Wires) -> Floats:
        return np.where(inputs[0] < 0, weights["slope"] * inputs[0], inputs[0])

    def onnx(
        self, to: OnnxGraph, layer: layers.PRelu, weights: Weights, inputs: Sequence[str], wires: Wires
    ) -> str | None:
        return to.add("PRelu", inputs[0], to.constant(weights["slope"]))
