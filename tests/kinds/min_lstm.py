"""The minimal long short-term memory."""

from __future__ import annotations

import numpy as np

from kinds.formulas import sigmoid
from kinds.kind import MEMORY, ONE_HOT, VECTOR, Doubles, Example, Floats, Weights
from kinds.recurrent import RecurrentKind, start
from kinds.rounding import activated, fma, product
from ostinato.model import layers
from ostinato.model.activation import SIGMOID, Activation


class MinLstm(RecurrentKind):
    layer = layers.MinLstm
    onnx_lacks = "ONNX has no such operator"
    examples = (
        Example(layers.MinLstm(5)),
        Example(layers.MinLstm(5), (ONE_HOT,)),
        Example(layers.MinLstm(5, positive=True)),
        Example(layers.MinLstm(5, initial=True)),
        Example(layers.MinLstm(3), (VECTOR, MEMORY)),
    )

    def recur(self, layer: layers.MinLstm, weights: Weights, x: Doubles) -> Doubles:
        h = start(layer, weights, "h")
        out = np.zeros((len(x), layer.hidden))
        for t, frame in enumerate(x):
            af, ai, n = np.split(weights["W"] @ frame + weights["b"], 3)
            f, i = sigmoid(af), sigmoid(ai)
            if layer.positive:
                n = np.where(n >= 0, n + 0.5, sigmoid(n))
            h = out[t] = f / (f + i) * h + i / (f + i) * n
        return out

    def recur_rounded(self, layer: layers.MinLstm, weights: Weights, x: Floats, one_hot: bool) -> Floats:
        softplus = Activation("softplus")
        h = start(layer, weights, "h")
        out = np.zeros((len(x), layer.hidden), np.float32)
        for t, sums in enumerate(product(weights, "W", x, np.tile(weights["b"], (len(x), 1)), one_hot)):
            f, i, n = np.split(sums, 3)
            share = activated(SIGMOID, activated(softplus, -f) - activated(softplus, -i))
            if layer.positive:
                n = np.where(n < 0, activated(SIGMOID, n), n + np.float32(0.5))
            h = out[t] = fma(share, n - h, h)
        return out
