"""A rectifier whose slope below zero is a weight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt

from ostinato.model.layers.layer import Layer, only_vector
from ostinato.model.wire import Weight, Wire

if TYPE_CHECKING:
    from ostinato.model.lowering import Lowering, Value


def quarter(_: np.random.Generator, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """0.25 everywhere."""
    return np.full(shape, 0.25, np.float32)


@dataclass(frozen=True)
class PRelu(Layer):
    """y = x, below zero slope x, with a weight slope [size]. ONNX PRelu (He et al. 2015, who start from 0.25)."""

    kind: ClassVar[str] = "prelu"

    def output(self, inputs: Sequence[Wire]) -> Wire:
        """As many as come in."""
        return Wire(only_vector(inputs).size)

    def weights(self, inputs: Sequence[Wire]) -> Mapping[str, Weight]:
        """The slopes."""
        return {"slope": Weight((only_vector(inputs).size,), quarter)}

    def lower(self, to: Lowering, name: str, inputs: Sequence[Value]) -> Value:
        """One operation."""
        out = to.value(self.output([value.wire for value in inputs]))
        to.add("prelu", inputs[0], out, W=to.values(to.weights[f"{name}.slope"]))
        return out
