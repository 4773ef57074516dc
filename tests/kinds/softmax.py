"""Probabilities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kinds.kind import Doubles, Example, Kind, Weights, Wires
from kinds.onnx_graph import OnnxGraph
from ostinato.model import layers


class Softmax(Kind):
    layer = layers.Softmax
    examples = (Example(layers.Softmax()),)

    def reference(self, layer: layers.Softmax, weights: Weights, inputs: Sequence[Doubles], wires: Wires) -> Doubles:
        e = np.exp(inputs[0] - inputs[0].max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    def onnx(
        self, to: OnnxGraph, layer: layers.Softmax, weights: Weights, inputs: Sequence[str], wires: Wires
    ) -> str | None:
        return to.add("Softmax", inputs[0], axis=1)
