"""A layer over time at each position of a frame: as the layer itself does it, position by position."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

import kinds
from kinds.kind import SIZES, Doubles, Example, Floats, Kind, Weights, Wires
from kinds.transpose import a_vector, divisor
from kinds.within import LARGEST, TANH, channels_of, inner_of
from ostinato.errors import BadModelFileError
from ostinato.model import layers
from ostinato.model.layers import Direction, Layer
from ostinato.model.wire import Wire


def at(positions: int, channels: int, layer: Layer) -> Example:
    """A frame of so many positions and channels."""
    return Example(layers.Each(positions, layer), (Wire(positions * channels),))


class Each(Kind):
    layer = layers.Each
    examples = (
        at(5, 3, layers.Gru(4)),
        at(3, 17, layers.Gru(17, reset="before", initial=True)),
        at(70, 1, layers.Rnn(2)),
        at(4, 3, layers.Lstm(5, initial=True)),
        at(4, 3, layers.MinGru(3)),
        at(4, 3, layers.MinLstm(3)),
        at(4, 3, layers.Sru(3)),
        at(3, 2, layers.Lru(4, size=3)),
        at(5, 3, layers.Convolution(4, 3, dilation=2, activation=TANH)),
        at(6, 5, layers.Convolution(5, 3, groups=5)),
        at(4, 3, layers.Stack(2)),
        at(4, 3, layers.MaxPool(3)),
        at(4, 3, layers.Dense(2)),
    )
    onnx_lacks = "the layer at each position may be one that ONNX lacks"

    def reference(self, layer: Any, weights: Weights, inputs: Sequence[Doubles], wires: Wires) -> Doubles:
        inner, channels = inner_of(layer), channels_of(layer, wires)
        return by_position(layer, inputs[0], lambda x: inner.reference(layer.layer, weights, [x], channels))

    def rounded(self, layer: Any, weights: Weights, inputs: Sequence[Floats], wires: Wires) -> Floats:
        inner, channels = inner_of(layer), channels_of(layer, wires)
        return by_position(layer, inputs[0], lambda x: inner.rounded(layer.layer, weights, [x], channels))

    def tamed(self, layer: Any, weights: Weights) -> Weights:
        return inner_of(layer).tamed(layer.layer, weights)

    def sensible(self, layer: Any, weights: Weights) -> Weights:
        return inner_of(layer).sensible(layer.layer, weights)

    def drawn(
        self, draw: st.DrawFn, wires: Mapping[str, Wire], directions: Sequence[Direction]
    ) -> tuple[Layer, tuple[str, ...]] | None:
        """Any layer that can run at each of some positions of what there is."""
        if (name := a_vector(draw, wires)) is None:
            return None
        positions, size = divisor(draw, wires[name].size), draw(st.sampled_from(SIZES))
        found: list[Layer] = []
        for kind in kinds.KINDS.values():
            for example in kind.examples:
                try:
                    inner = kind.resized(example.layer, size)
                    if hasattr(inner, "direction"):
                        inner = dataclasses.replace(inner, direction="forward")  # type: ignore[call-arg]
                    made = layers.Each(positions, inner)
                except BadModelFileError:
                    continue
                if self.takes(made, [wires[name]]) and made.output([wires[name]]).size <= LARGEST:
                    found.append(made)
        return draw(st.sampled_from(found)), (name,)


def by_position(layer: layers.Each, x: Any, compute: Callable[[Any], Any]) -> Any:
    """What ``compute`` gives for each position's frames, side by side."""
    parted = x.reshape(len(x), layer.positions, -1)
    return np.concatenate([compute(np.ascontiguousarray(parted[:, p])) for p in range(layer.positions)], axis=1)
