"""The mean of several inputs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import numpy as np

from kinds.joining import JoiningKind, in_order
from kinds.kind import VECTOR, Doubles, Example, Floats, Weights, Wires
from kinds.onnx_graph import OnnxGraph
from ostinato.model import layers
from ostinato.model.wire import Wire


class Mean(JoiningKind):
    layer = layers.Mean
    examples = (
        Example(layers.Mean(), (VECTOR, VECTOR)),
        Example(layers.Mean(), (VECTOR, VECTOR, VECTOR)),
        Example(layers.Mean(), (Wire(17), Wire(1), Wire(17))),
    )

    def reference(self, layer: layers.Mean, weights: Weights, inputs: Sequence[Doubles], wires: Wires) -> Doubles:
        return sum(inputs[1:], inputs[0]) / len(inputs)

    def rounded(self, layer: layers.Mean, weights: Weights, inputs: Sequence[Floats], wires: Wires) -> Floats:
        return reduce(np.add, in_order(inputs)) * np.float32(1 / len(inputs))

    def onnx(
        self, to: OnnxGraph, layer: layers.Mean, weights: Weights, inputs: Sequence[str], wires: Wires
    ) -> str | None:
        return to.add("Mean", *inputs)
