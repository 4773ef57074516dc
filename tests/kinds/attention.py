"""Attention over what an encoder has made of the source."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kinds.kind import MEMORY, VECTOR, Doubles, Example, Kind, Weights, Wires
from ostinato.model import layers
from ostinato.model.wire import Wire

WIDE = Wire(20, memory=True)


class Attention(Kind):
    layer = layers.Attention
    examples = (
        Example(layers.Attention(), (VECTOR, MEMORY, WIDE)),
        Example(layers.Attention(scale=0.5), (Wire(20), WIDE, MEMORY)),
        Example(layers.Attention("additive"), (VECTOR, MEMORY, MEMORY)),
        Example(layers.Attention("additive"), (Wire(20), WIDE, WIDE)),
    )

    def reference(
        self, layer: layers.Attention, weights: Weights, inputs: Sequence[Doubles], wires: Wires
    ) -> Doubles:
        query, keys, values = inputs
        if layer.score == "dot":
            scores = layer.scale * query @ keys.T
        else:
            scores = np.tanh(query[:, None] + keys[None]) @ weights["v"]
        shares = np.exp(scores - scores.max(axis=1, keepdims=True))
        return shares @ values / shares.sum(axis=1, keepdims=True)
