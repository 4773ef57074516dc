"""Vectors for tokens."""

from __future__ import annotations

from collections.abc import Sequence

from kinds.kind import ID, Doubles, Example, Floats, Kind, Weights, Wires
from kinds.onnx_graph import OnnxGraph
from ostinato.model import layers


class Embedding(Kind):
    layer = layers.Embedding
    examples = (Example(layers.Embedding(4), (ID,)),)

    def reference(
        self, layer: layers.Embedding, weights: Weights, inputs: Sequence[Doubles], wires: Wires
    ) -> Doubles:
        return weights["E"][inputs[0].astype(int)]

    def rounded(self, layer: layers.Embedding, weights: Weights, inputs: Sequence[Floats], wires: Wires) -> Floats:
        return weights["E"][inputs[0].astype(int)]

    def onnx(
        self, to: OnnxGraph, layer: layers.Embedding, weights: Weights, inputs: Sequence[str], wires: Wires
    ) -> str | None:
        return to.add("Gather", to.constant(weights["E"]), inputs[0])
