"""An activation function by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ostinato.model.activation import Activation
from ostinato.model.layers.layer import Layer, only_vector
from ostinato.model.wire import Wire

if TYPE_CHECKING:
    from ostinato.model.lowering import Lowering, Value


@dataclass(frozen=True)
class Activate(Layer):
    """y = f(x), value by value; f is any of `ostinato.activations`."""

    activation: Activation

    kind: ClassVar[str] = "activate"

    def output(self, inputs: Sequence[Wire]) -> Wire:
        """As many as come in."""
        return Wire(only_vector(inputs).size, probabilities=self.activation.probabilities)

    def lower(self, to: Lowering, name: str, inputs: Sequence[Value]) -> Value:
        """One operation."""
        out = to.value(self.output([value.wire for value in inputs]))
        to.add("activate", inputs[0], out, activation=self.activation)
        return out
