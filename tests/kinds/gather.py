"""Values of a frame, in another order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

from kinds.kind import SIZES, Doubles, Example, Floats, Kind, Weights, Wires
from kinds.onnx_graph import OnnxGraph
from kinds.transpose import a_vector
from ostinato.model import layers
from ostinato.model.layers import Direction, Layer
from ostinato.model.wire import Wire


class Gather(Kind):
    layer = layers.Gather
    examples = (
        Example(layers.Gather((2, 0, 1))),
        Example(layers.Gather((1,))),
        Example(layers.Gather((-1, 0, 0, 2, -1, 2))),
        Example(layers.Gather(tuple(range(39, -1, -1))), (Wire(40),)),
        Example(layers.Gather((*range(3, 19), *[-1] * 16, *range(24, 40), *range(0, 32, 2), 5)), (Wire(40),)),
    )

    def reference(self, layer: layers.Gather, weights: Weights, inputs: Sequence[Doubles], wires: Wires) -> Doubles:
        return picked(layer, inputs[0])

    def rounded(self, layer: layers.Gather, weights: Weights, inputs: Sequence[Floats], wires: Wires) -> Floats:
        return picked(layer, inputs[0])

    def resized(self, layer: layers.Gather, size: int) -> layers.Gather:
        return layer

    def drawn(
        self, draw: st.DrawFn, wires: Mapping[str, Wire], directions: Sequence[Direction]
    ) -> tuple[Layer, tuple[str, ...]] | None:
        """Any values, and zeros."""
        if (name := a_vector(draw, wires)) is None:
            return None
        size = draw(st.sampled_from(SIZES))
        indices = draw(st.lists(st.integers(-1, wires[name].size - 1), min_size=size, max_size=size))
        return layers.Gather(tuple(indices)), (name,)

    def onnx(
        self, to: OnnxGraph, layer: layers.Gather, weights: Weights, inputs: Sequence[str], wires: Wires
    ) -> str | None:
        """The zeros are a value that is put behind."""
        more = to.add("Pad", inputs[0], to.constant(np.array([0, 0, 0, 1])))
        indices = np.array([wires[0].size if k < 0 else k for k in layer.indices])
        return to.add("Gather", more, to.constant(indices), axis=1)


def picked(layer: layers.Gather, x: Any) -> Any:
    """The values that it takes."""
    y = np.zeros((len(x), len(layer.indices)), x.dtype)
    for place, number in enumerate(layer.indices):
        if number >= 0:
            y[:, place] = x[:, number]
    return y
