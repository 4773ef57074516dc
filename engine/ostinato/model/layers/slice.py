"""Some of the values of a vector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ostinato.errors import BadModelFileError
from ostinato.model.layers.layer import Layer, only_vector
from ostinato.model.wire import Wire

if TYPE_CHECKING:
    from ostinato.model.lowering import Lowering, Value


@dataclass(frozen=True)
class Slice(Layer):
    """The ``size`` values from number ``start`` on, counted from 0. ONNX Slice, Split."""

    start: int
    size: int

    kind: ClassVar[str] = "slice"
    from_zero: ClassVar[tuple[str, ...]] = ("start",)

    def output(self, inputs: Sequence[Wire]) -> Wire:
        """These values."""
        below, end = only_vector(inputs), self.start + self.size
        if end > below.size:
            raise BadModelFileError(
                f"takes the values {self.start} to {end - 1}, and what is below it gives {below.size}, counted from 0"
            )
        return Wire(self.size, probabilities=below.probabilities)

    def lower(self, to: Lowering, name: str, inputs: Sequence[Value]) -> Value:
        """No operation: they are where they are."""
        return inputs[0].part(self.start, self.size)
