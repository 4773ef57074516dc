"""A frame's values as a matrix, transposed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ostinato.errors import BadModelFileError
from ostinato.lanes import LANES
from ostinato.model.layers.layer import Layer, only_vector
from ostinato.model.wire import Wire

if TYPE_CHECKING:
    from ostinato.model.lowering import Lowering, Value


@dataclass(frozen=True)
class Transpose(Layer):
    """A frame that is a matrix of ``rows``, one behind the other, becomes its columns: [rows, columns] to [columns,
    rows]. ONNX Transpose within a frame."""

    rows: int

    kind: ClassVar[str] = "transpose"

    def output(self, inputs: Sequence[Wire]) -> Wire:
        """The same values."""
        below = only_vector(inputs)
        if below.size % self.rows:
            raise BadModelFileError(f"takes {self.rows} rows, and what is below it gives {below.size} values")
        return below

    def lower(self, to: Lowering, name: str, inputs: Sequence[Value]) -> Value:
        """One operation."""
        out = to.value(inputs[0].wire)
        to.add("transpose", inputs[0], out, columns=out.wire.size // self.rows, vectors=LANES)
        return out
