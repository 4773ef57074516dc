"""Probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from ostinato.model.layers.layer import Layer, only_vector
from ostinato.model.wire import Wire

if TYPE_CHECKING:
    from ostinato.model.lowering import Lowering, Value


@dataclass(frozen=True)
class Softmax(Layer):
    """exp(x_i - max x) / sum_j exp(x_j - max x)."""

    kind: ClassVar[str] = "softmax"

    def output(self, inputs: Sequence[Wire]) -> Wire:
        """As many as come in."""
        return replace(only_vector(inputs), probabilities=True)

    def lower(self, to: Lowering, name: str, inputs: Sequence[Value]) -> Value:
        """One operation."""
        out = to.value(inputs[0].wire)
        to.add("softmax", inputs[0], out)
        return out
