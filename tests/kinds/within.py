"""A layer over the positions of each frame: as the layer itself does it, frame by frame."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

import kinds
from kinds.kind import SIZES, Doubles, Example, Floats, Kind, Weights, Wires
from kinds.onnx_graph import OnnxGraph
from kinds.transpose import a_vector, divisor
from ostinato.model import layers
from ostinato.model.activation import Activation
from ostinato.model.layers import Direction, Layer
from ostinato.model.wire import Wire

TANH = Activation("tanh")
LARGEST = 100
"""Values of a frame that is drawn."""


def over(positions: int, channels: int, layer: Layer, inputs: int = 1) -> Example:
    """A frame of so many positions and channels."""
    return Example(layers.Within(positions, layer), (Wire(positions * channels),) * inputs)


class Within(Kind):
    layer = layers.Within
    examples = (
        over(5, 3, layers.Convolution(4, 3, stride=2, left=1, right=1, activation=TANH)),
        over(4, 3, layers.Convolution(2, 3)),
        over(7, 4, layers.Convolution(6, 3, groups=2, dilation=2, left=2, right=2)),
        over(6, 5, layers.Convolution(5, 3, groups=5)),
        over(20, 1, layers.Convolution(3, 5, stride=3, left=0)),
        over(5, 3, layers.Gru(4, "bidirectional")),
        over(3, 17, layers.Gru(17, "backward", reset="before", initial=True)),
        over(4, 3, layers.Lstm(5)),
        over(4, 3, layers.Rnn(3, "bidirectional")),
        over(4, 3, layers.Sru(3, "bidirectional")),
        over(3, 2, layers.Lru(4, size=3)),
        over(5, 3, layers.Dense(4, TANH)),
        over(6, 3, layers.MaxPool(3, stride=2, left=1, right=1)),
        over(4, 3, layers.MeanPool(4, left=0)),
        over(6, 3, layers.Stack(2, stride=2, left=0)),
        over(4, 3, layers.Stack(3)),
        over(4, 3, layers.TransposedConvolution(3, 4, 2, start=1, end=1)),
        over(4, 3, layers.TransposedConvolution(2, 2, 2)),
        over(4, 5, layers.LayerNorm()),
        over(4, 3, layers.BatchNorm()),
        over(4, 3, layers.PRelu()),
        over(4, 3, layers.Softmax()),
        over(4, 5, layers.Slice(1, 3)),
        over(4, 3, layers.Concatenate(), 2),
        over(4, 3, layers.Multiply(), 3),
    )
    onnx_lacks = "a layer within may be one that ONNX lacks"

    def reference(self, layer: Any, weights: Weights, inputs: Sequence[Doubles], wires: Wires) -> Doubles:
        inner, channels = inner_of(layer), channels_of(layer, wires)
        return by_frame(layer, inputs, wires, lambda x: inner.reference(layer.layer, weights, x, channels))

    def rounded(self, layer: Any, weights: Weights, inputs: Sequence[Floats], wires: Wires) -> Floats:
        inner, channels = inner_of(layer), channels_of(layer, wires)
        return by_frame(layer, inputs, wires, lambda x: inner.rounded(layer.layer, weights, x, channels))

    def tamed(self, layer: Any, weights: Weights) -> Weights:
        return inner_of(layer).tamed(layer.layer, weights)

    def sensible(self, layer: Any, weights: Weights) -> Weights:
        return inner_of(layer).sensible(layer.layer, weights)

    def drawn(
        self, draw: st.DrawFn, wires: Mapping[str, Wire], directions: Sequence[Direction]
    ) -> tuple[Layer, tuple[str, ...]] | None:
        """Any layer that can run over some positions of what there is, in any direction: within a frame nothing
        waits. None where all of them would give too much."""
        if (name := a_vector(draw, wires)) is None:
            return None
        positions, size = divisor(draw, wires[name].size), draw(st.sampled_from(SIZES))
        way = draw(st.sampled_from(("forward", "backward", "bidirectional")))
        found: list[tuple[Layer, int]] = []
        for kind in kinds.KINDS.values():
            for example in kind.examples if kind.layer.kind not in ("within", "each") else ():
                inner, count = kind.resized(example.layer, size), len(example.inputs)
                if hasattr(inner, "direction"):
                    inner = dataclasses.replace(inner, direction=way)  # type: ignore[call-arg]
                made, read = layers.Within(positions, inner), [wires[name]] * count
                if self.takes(made, read) and made.output(read).size <= LARGEST:
                    found.append((made, count))
        if not found:  # a large frame, of which nothing small is made
            return None
        layer, count = draw(st.sampled_from(found))
        return layer, (name,) * count

    def onnx(self, to: OnnxGraph, layer: Any, weights: Weights, inputs: Sequence[str], wires: Wires) -> str | None:
        """A Scan over frames, whose body is the layer's own graph over positions."""
        body = OnnxGraph(f"within{len(to.nodes)}-")
        flat, channels = body.constant(np.array([-1])), channels_of(layer, wires)
        x = [
            body.add("Reshape", f"{body.prefix}x{number}", body.constant(np.array([layer.positions, wire.size])))
            for number, wire in enumerate(channels)
        ]
        y = inner_of(layer).onnx(body, layer.layer, weights, x, channels)
        return None if y is None else to.scan(body, inputs, body.add("Reshape", y, flat))


def inner_of(layer: layers.Within) -> Kind:
    """What tests know of the layer within."""
    return kinds.KINDS[layer.layer.kind]


def channels_of(layer: layers.Within, wires: Wires) -> Wires:
    """What is read at each position."""
    return [Wire(wire.size // layer.positions) for wire in wires]


def by_frame(layer: layers.Within, inputs: Sequence[Any], wires: Wires, compute: Callable[[list[Any]], Any]) -> Any:
    """What ``compute`` gives for each frame's positions, side by side."""
    frames = [
        compute([np.ascontiguousarray(x.reshape(layer.positions, -1)) for x in frame]).ravel()
        for frame in zip(*inputs, strict=True)
    ]
    return np.array(frames, inputs[0].dtype).reshape(len(inputs[0]), layer.output(wires).size)
