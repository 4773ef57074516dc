"""The first frame's values, for good."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ostinato.model.layers.layer import Layer, only_vector
from ostinato.model.wire import Wire

if TYPE_CHECKING:
    from ostinato.model.lowering import Lowering, Value


@dataclass(frozen=True)
class First(Layer):
    """Each frame is as the first one of the utterance. Above a layer that runs backward that is what it has made of
    the whole utterance: beside the last frame of a forward one, what classifies a sequence from both sides."""

    kind: ClassVar[str] = "first"

    def output(self, inputs: Sequence[Wire]) -> Wire:
        """As many as come in."""
        return only_vector(inputs)

    def lower(self, to: Lowering, name: str, inputs: Sequence[Value]) -> Value:
        """One operation, which keeps the values, and whether there are any."""
        out = to.value(inputs[0].wire)
        to.add("first", inputs[0], out, history=to.state(inputs[0].wire.size), count=to.state(1))
        return out
