"""Some of the values of a vector."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kinds.kind import Doubles, Example, Floats, Kind, Weights, Wires
from kinds.onnx_graph import OnnxGraph
from ostinato.model import layers
from ostinato.model.wire import Wire


class Slice(Kind):
    layer = layers.Slice
    examples = (
        Example(layers.Slice(1, 2)),
        Example(layers.Slice(0, 3)),
        Example(layers.Slice(13, 18), (Wire(40),)),
    )

    def reference(self, layer: layers.Slice, weights: Weights, inputs: Sequence[Doubles], wires: Wires) -> Doubles:
        return inputs[0][:, layer.start : layer.start + layer.size]

    def rounded(self, layer: layers.Slice, weights: Weights, inputs: Sequence[Floats], wires: Wires) -> Floats:
        return inputs[0][:, layer.start : layer.start + layer.size]

    def resized(self, layer: layers.Slice, size: int) -> layers.Slice:
        return layer

    def onnx(
        self, to: OnnxGraph, layer: layers.Slice, weights: Weights, inputs: Sequence[str], wires: Wires
    ) -> str | None:
        start, end, axis = (to.constant(np.array([n])) for n in (layer.start, layer.start + layer.size, 1))
        return to.add("Slice", inputs[0], start, end, axis)
