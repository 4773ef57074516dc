"""Several inputs side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kinds.joining import JoiningKind
from kinds.kind import VECTOR, Doubles, Example, Floats, Weights, Wires
from kinds.onnx_graph import OnnxGraph
from ostinato.model import layers
from ostinato.model.wire import Wire


class Concatenate(JoiningKind):
    layer = layers.Concatenate
    examples = (
        Example(layers.Concatenate(), (VECTOR, VECTOR)),
        Example(layers.Concatenate(), (VECTOR, VECTOR, VECTOR)),
        Example(layers.Concatenate(), (Wire(17), Wire(4), Wire(17))),
    )

    def reference(
        self, layer: layers.Concatenate, weights: Weights, inputs: Sequence[Doubles], wires: Wires
    ) -> Doubles:
        return np.concatenate(inputs, axis=1)

    def rounded(self, layer: layers.Concatenate, weights: Weights, inputs: Sequence[Floats], wires: Wires) -> Floats:
        return np.concatenate(inputs, axis=1)

    def onnx(
        self, to: OnnxGraph, layer: layers.Concatenate, weights: Weights, inputs: Sequence[str], wires: Wires
    ) -> str | None:
        return to.add("Concat", *inputs, axis=1)
