"""The minimal gated recurrent unit."""

from __future__ import annotations

import numpy as np

from kinds.formulas import sigmoid
from kinds.kind import ONE_HOT, Doubles, Example, Floats, Weights
from kinds.recurrent import RecurrentKind, start
from kinds.rounding import activated, fma, product
from ostinato.model import layers
from ostinato.model.activation import SIGMOID


class MinGru(RecurrentKind):
    layer = layers.MinGru
    onnx_lacks = "ONNX has no such operator"
    examples = (
        Example(layers.MinGru(5)),
        Example(layers.MinGru(5), (ONE_HOT,)),
        Example(layers.MinGru(5, positive=True)),
        Example(layers.MinGru(5, initial=True)),
    )

    def recur(self, layer: layers.MinGru, weights: Weights, x: Doubles) -> Doubles:
        h = start(layer, weights, "h")
        out = np.zeros((len(x), layer.hidden))
        for t, frame in enumerate(x):
            az, n = np.split(weights["W"] @ frame + weights["b"], 2)
            z = sigmoid(az)
            if layer.positive:
                n = np.where(n >= 0, n + 0.5, sigmoid(n))
            h = out[t] = (1 - z) * h + z * n
        return out

    def recur_rounded(self, layer: layers.MinGru, weights: Weights, x: Floats, one_hot: bool) -> Floats:
        h = start(layer, weights, "h")
        out = np.zeros((len(x), layer.hidden), np.float32)
        for t, sums in enumerate(product(weights, "W", x, np.tile(weights["b"], (len(x), 1)), one_hot)):
            az, n = np.split(sums, 2)
            if layer.positive:
                n = np.where(n < 0, activated(SIGMOID, n), n + np.float32(0.5))
            h = out[t] = fma(activated(SIGMOID, az), n - h, h)
        return out
