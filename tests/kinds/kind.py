"""What the tests ask of every kind of layer."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from ostinato.errors import BadModelFileError
from ostinato.model.layers import Direction, Layer
from ostinato.model.wire import Wire

if TYPE_CHECKING:
    from kinds.onnx_graph import OnnxGraph

Doubles = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]
Weights = Mapping[str, npt.NDArray[Any]]
"""A layer's, by the last part of their names."""
Wires = Sequence[Wire]

SIZES = (1, 2, 5, 7, 16, 17, 33)
"""Of layers that are drawn: below, at and above whole vectors."""
VECTOR, ID, ONE_HOT = Wire(3), Wire(5, "id"), Wire(5, "one-hot")
MEMORY = Wire(3, memory=True)
"""Of as many values as a vector."""


class Example(NamedTuple):
    """A layer with settings that are worth a test, and what it reads there."""

    layer: Layer
    inputs: Wires = (VECTOR,)


class Kind(abc.ABC):
    """One kind of layer. Its formulas are written here once more, in the plainest way."""

    layer: ClassVar[type[Layer]]
    examples: ClassVar[Sequence[Example]]
    """Small layers: all settings that change what runs, one at a time. Directions and sizes are tried besides."""
    learns_not: ClassVar[str] = ""
    """Why it cannot be learnt, if so: then `ostinato.training.layers` has no room for it."""
    onnx_lacks: ClassVar[str] = ""
    """Why `onnx` gives None for some examples, if it does."""

    @abc.abstractmethod
    def reference(self, layer: Any, weights: Weights, inputs: Sequence[Doubles], wires: Wires) -> Doubles:
        """Outputs [T, size] of a whole utterance in float64: ``inputs`` [T, size] each, or token ids [T], or what an
        encoder has made of a source, of any length; weights in float64. [1, size] if each frame gives the same."""

    def block(
        self, layer: Any, weights: Weights, past: Sequence[Doubles], inputs: Sequence[Doubles], wires: Wires
    ) -> Doubles:
        """`reference` of frames that come behind those of ``past``, which cannot know them."""
        whole = [np.concatenate(pair) for pair in zip(past, inputs, strict=True)]
        return self.reference(layer, weights, whole, wires)[len(past[0]) :]

    def rounded(self, layer: Any, weights: Weights, inputs: Sequence[Floats], wires: Wires) -> Floats:
        """`reference` in float32, rounded where the kernels round, for a layer that may have int8 matrices."""
        raise NotImplementedError(f"{layer.kind}: how it is rounded is not written down")

    def onnx(self, to: OnnxGraph, layer: Any, weights: Weights, inputs: Sequence[str], wires: Wires) -> str | None:
        """Append it to an ONNX graph, and name what it gives; None if ONNX, or ONNX Runtime, has no such thing."""
        return None

    def tamed(self, layer: Any, weights: Weights) -> Weights:
        """Random weights, changed where outputs might grow without end."""
        return weights

    def sensible(self, layer: Any, weights: Weights) -> Weights:
        """Random weights, changed where the layer could make nothing of them."""
        return weights

    def resized(self, layer: Any, size: int) -> Layer:
        """The layer with another size, if it has one."""
        names = {"size", "hidden"} & {field.name for field in dataclasses.fields(layer)}
        made: Layer = dataclasses.replace(layer, **dict.fromkeys(names, size))
        return made

    def takes(self, layer: Layer, wires: Wires) -> bool:
        """Whether the layer can read these."""
        try:
            layer.output(wires)
        except BadModelFileError:
            return False
        return True

    def drawn(
        self, draw: st.DrawFn, wires: Mapping[str, Wire], directions: Sequence[Direction]
    ) -> tuple[Layer, tuple[str, ...]] | None:
        """A random layer and the names of what it reads, often the latest; None if it can read nothing of what there
        is. If it reads several, they are as large as the first.
        """
        drawn: list[tuple[Layer, int, list[str]]] = []
        size, way = draw(st.sampled_from(SIZES)), draw(st.sampled_from(directions))
        for example in self.examples:
            layer = self.resized(example.layer, size)
            if not all(framing.causal for framing in layer.framings):
                continue  # other streams' frames: `test_stages` draws those
            if hasattr(layer, "direction"):
                layer = dataclasses.replace(layer, direction=way)  # type: ignore[call-arg]
            count = len(example.inputs)
            if any(wire.memory for wire in example.inputs):
                continue  # only beside an encoder
            if fitting := [name for name, wire in wires.items() if self.takes(layer, [wire] * count)]:
                drawn.append((layer, count, fitting))
        if not drawn:
            return None
        layer, count, fitting = draw(st.sampled_from(drawn))
        first = fitting[-1] if draw(st.booleans()) else draw(st.sampled_from(fitting))
        alike = [
            n for n in reversed(wires) if (wires[n].size, wires[n].form) == (wires[first].size, wires[first].form)
        ]
        return layer, (first, *(draw(st.sampled_from(alike)) for _ in range(count - 1)))
