"""What layers share that scale and shift each value, whatever their weights are called."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ostinato.model.layers.layer import Array, Layer, only_vector
from ostinato.model.wire import Wire

if TYPE_CHECKING:
    from ostinato.model.lowering import Lowering, Value

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Affine(Layer):
    """y = a x + b, value by value. Where what is below can do it with other weights (`Layer.scaled`), and is read by
    nothing else, it costs nothing."""

    def output(self, inputs: Sequence[Wire]) -> Wire:
        """As many as come in."""
        return Wire(only_vector(inputs).size)

    @abc.abstractmethod
    def line(self, weights: Mapping[str, Array]) -> tuple[Doubles, Doubles]:
        """A and b, [size] each."""

    def lower(self, to: Lowering, name: str, inputs: Sequence[Value]) -> Value:
        """One operation."""
        out = to.value(self.output([value.wire for value in inputs]))
        own = {part: to.weights[f"{name}.{part}"] for part in self.weights([value.wire for value in inputs])}
        a, b = self.line(own)
        to.add("scale", inputs[0], out, W=to.values(a), bias=to.values(b))
        return out
