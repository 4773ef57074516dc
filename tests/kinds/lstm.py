"""Long short-term memory."""

from __future__ import annotations

import numpy as np

from kinds.formulas import sigmoid
from kinds.kind import ONE_HOT, Doubles, Example, Floats, Weights
from kinds.recurrent import RecurrentKind
from kinds.rounding import fma, product
from kinds.rounding import sigmoid as rounded_sigmoid
from kinds.rounding import tanh as rounded_tanh
from ostinato.model import layers


class Lstm(RecurrentKind):
    layer = layers.Lstm
    examples = (
        Example(layers.Lstm(5)),
        Example(layers.Lstm(5), (ONE_HOT,)),
        Example(layers.Lstm(5, peepholes=True)),
    )

    def recur(self, layer: layers.Lstm, weights: Weights, x: Doubles) -> Doubles:
        W, R, Wb, Rb = (weights[part] for part in ("W", "R", "Wb", "Rb"))
        pi, po, pf = np.split(weights["P"], 3) if layer.peepholes else np.zeros((3, 1))
        h, c = np.zeros((2, layer.hidden))
        out = np.zeros((len(x), layer.hidden))
        for t, frame in enumerate(x):
            ai, ao, af, ac = np.split(W @ frame + Wb + R @ h + Rb, 4)
            i, f = sigmoid(ai + pi * c), sigmoid(af + pf * c)
            c = f * c + i * np.tanh(ac)
            o = sigmoid(ao + po * c)
            h = out[t] = o * np.tanh(c)
        return out

    def recur_rounded(self, layer: layers.Lstm, weights: Weights, x: Floats, one_hot: bool) -> Floats:
        sigmoid, tanh = rounded_sigmoid, rounded_tanh
        projected = product(weights, "W", x, np.tile(weights["Wb"] + weights["Rb"], (len(x), 1)), one_hot)
        h, c = np.zeros((2, layer.hidden), np.float32)
        out = np.zeros((len(x), layer.hidden), np.float32)
        for t, a in enumerate(projected):
            i, o, f, g = np.split(product(weights, "R", h[None], a[None])[0], 4)
            if layer.peepholes:
                pi, po, pf = np.split(weights["P"], 3)
                i, f = fma(pi, c, i), fma(pf, c, f)
            c = fma(sigmoid(f), c, sigmoid(i) * tanh(g))
            if layer.peepholes:
                o = fma(po, c, o)
            h = out[t] = sigmoid(o) * tanh(c)
        return out
