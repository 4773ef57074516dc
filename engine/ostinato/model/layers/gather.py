"""Values of a frame, in another order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ostinato.errors import BadModelFileError
from ostinato.model.layers.layer import Layer, only_vector
from ostinato.model.limits import MOST
from ostinato.model.wire import Wire

if TYPE_CHECKING:
    from ostinato.model.lowering import Lowering, Value


@dataclass(frozen=True)
class Gather(Layer):
    """Value k is number ``indices[k]`` of a frame's values, counted from 0; -1 stands for a zero. Each may be taken
    as often as is wanted. ONNX Gather and Pad within a frame."""

    indices: tuple[int, ...]

    kind: ClassVar[str] = "gather"

    def check(self) -> None:
        """Some indices, none below -1."""
        if not 1 <= len(self.indices) <= MOST:
            raise BadModelFileError(f"{self.kind}: {len(self.indices)} indices are not from 1 to {MOST}")
        if not -1 <= min(self.indices) <= max(self.indices) < MOST:
            raise BadModelFileError(f"{self.kind}: an index is not from -1 to {MOST - 1}")

    def output(self, inputs: Sequence[Wire]) -> Wire:
        """As many values as indices."""
        below, last = only_vector(inputs), max(self.indices)
        if last >= below.size:
            raise BadModelFileError(
                f"takes value number {last}, and what is below it gives {below.size}, counted from 0"
            )
        return Wire(len(self.indices))

    def lower(self, to: Lowering, name: str, inputs: Sequence[Value]) -> Value:
        """One operation."""
        out = to.value(self.output([inputs[0].wire]))
        to.add("gather", inputs[0], out, W=to.order(self.indices))
        return out
