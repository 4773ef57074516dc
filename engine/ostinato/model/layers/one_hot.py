"""Tokens as one-hot vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ostinato.model.layers.layer import Layer, only_id
from ostinato.model.wire import Wire

if TYPE_CHECKING:
    from ostinato.model.lowering import Lowering, Value


@dataclass(frozen=True)
class OneHot(Layer):
    """Token id -> a one-hot vector as long as the vocabulary, which is never made: the recurrent or dense layer that
    reads it looks its weights' column up."""

    kind: ClassVar[str] = "one-hot"

    def output(self, inputs: Sequence[Wire]) -> Wire:
        """The vector that the id stands for."""
        return Wire(only_id(inputs).size, "one-hot")

    def lower(self, to: Lowering, name: str, inputs: Sequence[Value]) -> Value:
        """Nothing to compute: the id stays where it is."""
        return inputs[0]._replace(wire=self.output([inputs[0].wire]))
