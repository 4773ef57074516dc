"""Tokens as one-hot vectors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kinds.kind import ID, Doubles, Example, Floats, Kind, Weights, Wires
from kinds.onnx_graph import OnnxGraph
from ostinato.model import layers


class OneHot(Kind):
    layer = layers.OneHot
    examples = (Example(layers.OneHot(), (ID,)),)

    def reference(self, layer: layers.OneHot, weights: Weights, inputs: Sequence[Doubles], wires: Wires) -> Doubles:
        return np.eye(wires[0].size)[inputs[0].astype(int)]

    def rounded(self, layer: layers.OneHot, weights: Weights, inputs: Sequence[Floats], wires: Wires) -> Floats:
        return inputs[0]  # as in the kernels: whoever reads it looks a column up

    def onnx(
        self, to: OnnxGraph, layer: layers.OneHot, weights: Weights, inputs: Sequence[str], wires: Wires
    ) -> str | None:
        values = to.constant(np.array([0, 1], np.float32))
        return to.add("OneHot", inputs[0], to.constant(np.array(wires[0].size)), values)
