"""What an encoder has made of the source's last frame."""

from __future__ import annotations

from collections.abc import Sequence

from kinds.kind import MEMORY, Doubles, Example, Kind, Weights, Wires
from ostinato.model import layers


class Last(Kind):
    layer = layers.Last
    examples = (Example(layers.Last(), (MEMORY,)),)

    def reference(self, layer: layers.Last, weights: Weights, inputs: Sequence[Doubles], wires: Wires) -> Doubles:
        return inputs[0][-1:]
