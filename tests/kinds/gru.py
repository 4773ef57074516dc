"""Gated recurrent units."""

from __future__ import annotations

import numpy as np

from kinds.formulas import sigmoid
from kinds.kind import ONE_HOT, Doubles, Example, Floats, Weights
from kinds.recurrent import RecurrentKind
from kinds.rounding import fma, product
from kinds.rounding import sigmoid as rounded_sigmoid
from kinds.rounding import tanh as rounded_tanh
from ostinato.model import layers


class Gru(RecurrentKind):
    layer = layers.Gru
    examples = (
        Example(layers.Gru(5)),
        Example(layers.Gru(5), (ONE_HOT,)),
        Example(layers.Gru(5, reset="before")),
    )

    def recur(self, layer: layers.Gru, weights: Weights, x: Doubles) -> Doubles:
        W, Wb = weights["W"], weights["Wb"]
        Rz, Rr, Rn = np.split(weights["R"], 3)
        bz, br, bn = np.split(weights["Rb"], 3)
        h = np.zeros(layer.hidden)
        out = np.zeros((len(x), layer.hidden))
        for t, frame in enumerate(x):
            az, ar, an = np.split(W @ frame + Wb, 3)
            z = sigmoid(az + Rz @ h + bz)
            r = sigmoid(ar + Rr @ h + br)
            n = np.tanh(an + r * (Rn @ h + bn)) if layer.reset == "after" else np.tanh(an + Rn @ (r * h) + bn)
            h = out[t] = (1 - z) * n + z * h
        return out

    def recur_rounded(self, layer: layers.Gru, weights: Weights, x: Floats, one_hot: bool) -> Floats:
        H, after = layer.hidden, layer.reset == "after"
        Wb, Rb = weights["Wb"], weights["Rb"]
        bias = Wb + Rb
        if after:
            bias[2 * H :] = Wb[2 * H :]
        projected = product(weights, "W", x, np.tile(bias, (len(x), 1)), one_hot)
        gates, candidate = slice(0, 2 * H), slice(2 * H, 3 * H)
        h = np.zeros(H, np.float32)
        out = np.zeros((len(x), H), np.float32)
        for t, a in enumerate(projected):
            z, r = np.split(rounded_sigmoid(part_of_R(weights, gates, h, a[gates])), 2)
            if after:
                n = rounded_tanh(fma(r, part_of_R(weights, candidate, h, Rb[candidate]), a[candidate]))
            else:
                n = rounded_tanh(part_of_R(weights, candidate, r * h, a[candidate]))
            h = out[t] = fma(z, h - n, n)
        return out


def part_of_R(weights: Weights, outputs: slice, h: Floats, initial: Floats) -> Floats:
    """initial + R h, of some of R's outputs."""
    some = {"R": weights["R"][outputs]}
    if "R_scale" in weights:
        some |= {"R_scale": weights["R_scale"][outputs], "R_input_scale": weights["R_input_scale"]}
    return product(some, "R", h[None], initial[None])[0]
