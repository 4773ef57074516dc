"""A frame's values as a matrix, transposed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from hypothesis import strategies as st

from kinds.kind import Doubles, Example, Floats, Kind, Weights, Wires
from kinds.onnx_graph import OnnxGraph
from ostinato.model import layers
from ostinato.model.layers import Direction, Layer
from ostinato.model.wire import Wire


class Transpose(Kind):
    layer = layers.Transpose
    examples = (
        Example(layers.Transpose(2), (Wire(6),)),
        Example(layers.Transpose(1)),
        Example(layers.Transpose(3)),
        Example(layers.Transpose(20), (Wire(20 * 33),)),
        Example(layers.Transpose(16), (Wire(16 * 16),)),
    )

    def reference(
        self, layer: layers.Transpose, weights: Weights, inputs: Sequence[Doubles], wires: Wires
    ) -> Doubles:
        return np.array([frame.reshape(layer.rows, -1).T.ravel() for frame in inputs[0]]).reshape(inputs[0].shape)

    def rounded(self, layer: layers.Transpose, weights: Weights, inputs: Sequence[Floats], wires: Wires) -> Floats:
        return np.array([x.reshape(layer.rows, -1).T.ravel() for x in inputs[0]], np.float32).reshape(inputs[0].shape)

    def drawn(
        self, draw: st.DrawFn, wires: Mapping[str, Wire], directions: Sequence[Direction]
    ) -> tuple[Layer, tuple[str, ...]] | None:
        """Of any number of rows that fits."""
        name = a_vector(draw, wires)
        return None if name is None else (layers.Transpose(divisor(draw, wires[name].size)), (name,))

    def onnx(
        self, to: OnnxGraph, layer: layers.Transpose, weights: Weights, inputs: Sequence[str], wires: Wires
    ) -> str | None:
        size = wires[0].size
        matrices = to.add("Reshape", inputs[0], to.constant(np.array([-1, layer.rows, size // layer.rows])))
        turned = to.add("Transpose", matrices, perm=[0, 2, 1])
        return to.add("Reshape", turned, to.constant(np.array([-1, size])))


def a_vector(draw: st.DrawFn, wires: Mapping[str, Wire]) -> str | None:
    """The name of one, often the latest; None if there is none."""
    vectors = [name for name, wire in wires.items() if not wire.token]
    if not vectors:
        return None
    return vectors[-1] if draw(st.booleans()) else draw(st.sampled_from(vectors))


def divisor(draw: st.DrawFn, size: int) -> int:
    """A number that divides ``size``."""
    return draw(st.sampled_from([number for number in range(1, size + 1) if size % number == 0]))
