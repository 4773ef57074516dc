"""Simple recurrent units."""

from __future__ import annotations

import numpy as np

from kinds.formulas import sigmoid
from kinds.kind import MEMORY, ONE_HOT, VECTOR, Doubles, Example, Floats, Weights
from kinds.recurrent import RecurrentKind, start
from kinds.rounding import activated, fma, product
from ostinato.model import layers
from ostinato.model.activation import SIGMOID


class Sru(RecurrentKind):
    layer = layers.Sru
    onnx_lacks = "ONNX has no such operator"
    examples = (
        Example(layers.Sru(VECTOR.size)),
        Example(layers.Sru(VECTOR.size, scale=1.7, initial=True)),
        Example(layers.Sru(5, highway="projected")),
        Example(layers.Sru(5, highway="projected"), (ONE_HOT,)),
        Example(layers.Sru(3), (VECTOR, MEMORY)),
    )

    def recur(self, layer: layers.Sru, weights: Weights, x: Doubles) -> Doubles:
        vf, vr = np.split(weights["v"], 2)
        c = start(layer, weights, "c")
        out = np.zeros((len(x), layer.hidden))
        for t, frame in enumerate(x):
            w, af, ar, *projected = np.split(weights["W"] @ frame + weights["b"], layer.gates)
            f, r = sigmoid(af + vf * c), sigmoid(ar + vr * c)
            c = f * c + (1 - f) * w
            out[t] = r * c + (1 - r) * layer.scale * (projected[0] if projected else frame)
        return out

    def recur_rounded(self, layer: layers.Sru, weights: Weights, x: Floats, one_hot: bool) -> Floats:
        vf, vr = np.split(weights["v"], 2)
        c = start(layer, weights, "c")
        out = np.zeros((len(x), layer.hidden), np.float32)
        for t, sums in enumerate(product(weights, "W", x, np.tile(weights["b"], (len(x), 1)), one_hot)):
            w, f, r, *projected = np.split(sums, layer.gates)
            f, r = activated(SIGMOID, fma(vf, c, f)), activated(SIGMOID, fma(vr, c, r))
            c = fma(f, c - w, w)
            highway = np.float32(layer.scale) * (projected[0] if projected else x[t])
            out[t] = fma(r, c - highway, highway)
        return out
