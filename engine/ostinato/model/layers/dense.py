"""The fully connected layer."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from ostinato.lanes import LANES, padded
from ostinato.model.activation import IDENTITY, Activation
from ostinato.model.layers.layer import Array, Layer, Precision, only_matrix_input
from ostinato.model.layers.recurrent import widened
from ostinato.model.wire import Weight, Wire, glorot, zeros

if TYPE_CHECKING:
    from ostinato.model.lowering import Lowering, Value


@dataclass(frozen=True)
class Dense(Layer):
    """y = f(W x + b), with weights W [size, input] and b [size]."""

    size: int
    activation: Activation = IDENTITY
    precision: Precision = field(default="float32", kw_only=True)

    kind: ClassVar[str] = "dense"

    def output(self, inputs: Sequence[Wire]) -> Wire:
        """Y."""
        only_matrix_input(inputs)
        return Wire(self.size, probabilities=self.activation.probabilities)

    def weights(self, inputs: Sequence[Wire]) -> Mapping[str, Weight]:
        """W and b."""
        below = only_matrix_input(inputs)
        int8 = self.precision == "int8" and not below.token
        return {"W": Weight((self.size, below.size), glorot(), int8), "b": Weight((self.size,), zeros)}

    def multiply_adds(self, inputs: Sequence[Wire]) -> int:
        """W's, unless a column of it is looked up."""
        return 0 if inputs[0].token else super().multiply_adds(inputs)

    def scaled(self, weights: Mapping[str, Array], a: Array, b: Array) -> Mapping[str, Array] | None:
        """The rows of W times a; with no activation between, and not in int8, whose integers would be others."""
        if self.activation.name != "identity" or self.precision == "int8":
            return None
        return {"W": a[:, None] * weights["W"], "b": a * weights["b"] + b}

    def in_int8(self, inputs: Sequence[Wire], last: bool) -> Dense:
        """Below others; the last, small as a rule, stays float32, and so does one that token ids come to."""
        return self if last or inputs[0].token else dataclasses.replace(self, precision="int8")

    def lower(self, to: Lowering, name: str, inputs: Sequence[Value]) -> Value:
        """One product."""
        (source,) = inputs
        wide, out, W = padded(self.size), to.value(Wire(self.size)), f"{name}.W"
        to.multiplies(W, source)
        by = to.projection(W, source, lambda M: widened(M, wide), widened(to.weights[f"{name}.b"], wide))
        to.add(
            "dense", by.source, out, vectors=wide // LANES, W=by.place(slice(None)), bias=to.values(by.bias),
            activation=self.activation, W_int8=by.int8,
        )  # fmt: skip
        return out
