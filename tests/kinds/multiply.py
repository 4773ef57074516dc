"""Products of several inputs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce

import numpy as np

from kinds.joining import JoiningKind, in_order
from kinds.kind import VECTOR, Doubles, Example, Floats, Weights, Wires
from kinds.onnx_graph import OnnxGraph
from ostinato.model import layers
from ostinato.model.wire import Wire


class Multiply(JoiningKind):
    layer = layers.Multiply
    examples = (
        Example(layers.Multiply(), (VECTOR, VECTOR)),
        Example(layers.Multiply(), (VECTOR, VECTOR, VECTOR)),
        Example(layers.Multiply(), (Wire(17), Wire(1), Wire(17))),
    )

    def reference(self, layer: layers.Multiply, weights: Weights, inputs: Sequence[Doubles], wires: Wires) -> Doubles:
        return math.prod(inputs[1:], start=inputs[0])

    def rounded(self, layer: layers.Multiply, weights: Weights, inputs: Sequence[Floats], wires: Wires) -> Floats:
        return reduce(np.multiply, in_order(inputs))

    def onnx(
        self, to: OnnxGraph, layer: layers.Multiply, weights: Weights, inputs: Sequence[str], wires: Wires
    ) -> str | None:
        return reduce(lambda x, y: to.add("Mul", x, y), inputs)
