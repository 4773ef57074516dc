"""Tokens as one-hot vectors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kinds.kind import ID, Doubles, Example, Floats, Kind, Weights, Wires
from ostinato.model import layers


class OneHot(Kind):
    layer = layers.OneHot
    examples = (Example(layers.OneHot(), (ID,)),)

    def reference(self, layer: layers.OneHot, weights: Weights, inputs: Sequence[Doubles], wires: Wires) -> Doubles:
        return np.eye(wires[0].size)[inputs[0].astype(int)]

    def rounded(self, layer: layers.OneHot, weights: Weights, inputs: Sequence[Floats], wires: Wires) -> Floats:
        return inputs[0]  # as in the kernels: whoever reads it looks a column up
