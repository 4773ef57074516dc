"""Vectors for tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ostinato.lanes import LANES, padded
from ostinato.model.layers.layer import Layer, only_id
from ostinato.model.wire import Weight, Wire, normal

if TYPE_CHECKING:
    from ostinato.model.lowering import Lowering, Value


@dataclass(frozen=True)
class Embedding(Layer):
    """Token id -> a row of the weights E [vocabulary, size]."""

    size: int

    kind: ClassVar[str] = "embedding"

    def output(self, inputs: Sequence[Wire]) -> Wire:
        """The row."""
        only_id(inputs)
        return Wire(self.size)

    def weights(self, inputs: Sequence[Wire]) -> Mapping[str, Weight]:
        """E."""
        return {"E": Weight((only_id(inputs).size, self.size), normal)}

    def multiply_adds(self, inputs: Sequence[Wire]) -> int:
        """None: a look-up."""
        return 0

    def lower(self, to: Lowering, name: str, inputs: Sequence[Value]) -> Value:
        """A look-up of whole vectors."""
        E = to.weights[f"{name}.E"]
        table = np.zeros((len(E), padded(self.size)), np.float32)
        table[:, : self.size] = E
        out = to.value(Wire(self.size))
        to.embeds(out, inputs[0], E)
        to.add("embedding", inputs[0], out, W=to.values(table), vectors=padded(self.size) // LANES)
        return out
