"""The first frame's values, for good."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kinds.kind import Doubles, Example, Floats, Kind, Weights, Wires
from kinds.onnx_graph import OnnxGraph
from ostinato.model import layers
from ostinato.model.wire import Wire


class First(Kind):
    layer = layers.First
    examples = (Example(layers.First()), Example(layers.First(), (Wire(33),)))

    def reference(self, layer: layers.First, weights: Weights, inputs: Sequence[Doubles], wires: Wires) -> Doubles:
        return np.repeat(inputs[0][:1], len(inputs[0]), axis=0)

    def rounded(self, layer: layers.First, weights: Weights, inputs: Sequence[Floats], wires: Wires) -> Floats:
        return np.repeat(inputs[0][:1], len(inputs[0]), axis=0)

    def onnx(
        self, to: OnnxGraph, layer: layers.First, weights: Weights, inputs: Sequence[str], wires: Wires
    ) -> str | None:
        start, end, axis = (to.constant(np.array([n])) for n in (0, 1, 0))
        return to.add("Expand", to.add("Slice", inputs[0], start, end, axis), to.add("Shape", inputs[0]))
