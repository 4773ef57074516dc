"""Several inputs side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ostinato.model.layers.layer import Layer, several_vectors
from ostinato.model.wire import Wire

if TYPE_CHECKING:
    from ostinato.model.lowering import Lowering, Value


@dataclass(frozen=True)
class Concatenate(Layer):
    """y = [x1, x2, …], two inputs or more of any sizes. ONNX Concat."""

    kind: ClassVar[str] = "concatenate"

    def output(self, inputs: Sequence[Wire]) -> Wire:
        """All values."""
        several_vectors(inputs)
        return Wire(sum(wire.size for wire in inputs), probabilities=all(wire.probabilities for wire in inputs))

    def lower(self, to: Lowering, name: str, inputs: Sequence[Value]) -> Value:
        """A copy of each."""
        out, at = to.value(self.output([value.wire for value in inputs])), 0
        for value in inputs:
            to.add("copy", value, out.part(at, value.wire.size))
            at += value.wire.size
        return out
