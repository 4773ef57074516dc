"""What an encoder has made of the source's last frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ostinato.model.layers.layer import Layer, only
from ostinato.model.wire import Wire

if TYPE_CHECKING:
    from ostinato.model.lowering import Lowering, Value


@dataclass(frozen=True)
class Last(Layer):
    """The encoder's values of the source's last frame, the same at each step: the summary c of Cho et al. 2014
    ("Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine Translation"). With wait-k, of
    the last frame so far."""

    kind: ClassVar[str] = "last"
    memories: ClassVar[tuple[int, ...]] = (0,)

    def output(self, inputs: Sequence[Wire]) -> Wire:
        """As many values as the encoder's."""
        made = only(inputs)
        self.check_memories(inputs)
        return Wire(made.size, probabilities=made.probabilities)

    def lower(self, to: Lowering, name: str, inputs: Sequence[Value]) -> Value:
        """One operation."""
        (memory,) = inputs
        out = to.value(self.output([memory.wire]))
        to.add("last", None, out, values=memory.region.offset)
        return out
