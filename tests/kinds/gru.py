"""Gated recurrent units."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kinds.formulas import activate, clipped
from kinds.kind import MEMORY, ONE_HOT, VECTOR, Doubles, Example, Floats, Weights, Wires
from kinds.onnx_graph import OnnxGraph, recurrent
from kinds.recurrent import RecurrentKind, start
from kinds.rounding import activated, fma, product
from ostinato.model import layers
from ostinato.model.activation import Activation

HARD, SCALED = Activation("hard-sigmoid", 0.3, 0.4), Activation("scaled-tanh", 0.9, 0.7)


class Gru(RecurrentKind):
    layer = layers.Gru
    examples = (
        Example(layers.Gru(5)),
        Example(layers.Gru(5), (ONE_HOT,)),
        Example(layers.Gru(5, reset="before")),
        Example(layers.Gru(5, initial=True)),
        Example(layers.Gru(5, reset="before", initial=True, clip=0.3)),
        Example(layers.Gru(5, clip=0.3)),
        Example(layers.Gru(5, gate_activation=HARD, activation=SCALED)),
        Example(layers.Gru(5, reset="before", gate_activation=HARD, activation=SCALED)),
        Example(layers.Gru(3), (VECTOR, MEMORY)),
        Example(layers.Gru(3, reset="before"), (VECTOR, MEMORY)),
    )

    def recur(self, layer: layers.Gru, weights: Weights, x: Doubles) -> Doubles:
        W, Wb = weights["W"], weights["Wb"]
        Rz, Rr, Rn = np.split(weights["R"], 3)
        bz, br, bn = np.split(weights["Rb"], 3)

        def f(x: Doubles) -> Doubles:
            return activate(layer.gate_activation, clipped(layer.clip, x))

        def g(x: Doubles) -> Doubles:
            return activate(layer.activation, clipped(layer.clip, x))

        h = start(layer, weights, "h")
        out = np.zeros((len(x), layer.hidden))
        for t, frame in enumerate(x):
            az, ar, an = np.split(W @ frame + Wb, 3)
            z = f(az + Rz @ h + bz)
            r = f(ar + Rr @ h + br)
            n = g(an + r * (Rn @ h + bn)) if layer.reset == "after" else g(an + Rn @ (r * h) + bn)
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
        h = start(layer, weights, "h")
        out = np.zeros((len(x), H), np.float32)
        for t, a in enumerate(projected):
            sums = part_of_R(weights, gates, h, a[gates])
            z, r = np.split(activated(layer.gate_activation, clipped(layer.clip, sums)), 2)
            if after:
                sums = fma(r, part_of_R(weights, candidate, h, Rb[candidate]), a[candidate])
            else:
                sums = part_of_R(weights, candidate, r * h, a[candidate])
            n = activated(layer.activation, clipped(layer.clip, sums))
            h = out[t] = fma(z, h - n, n)
        return out

    def onnx(
        self, to: OnnxGraph, layer: layers.Gru, weights: Weights, inputs: Sequence[str], wires: Wires
    ) -> str | None:
        functions, after = [layer.gate_activation, layer.activation], int(layer.reset == "after")
        return recurrent(to, layer, weights, inputs[0], functions, linear_before_reset=after)


def part_of_R(weights: Weights, outputs: slice, h: Floats, initial: Floats) -> Floats:
    """initial + R h, of some of R's outputs."""
    some = {"R": weights["R"][outputs]}
    if "R_scale" in weights:
        some |= {"R_scale": weights["R_scale"][outputs], "R_input_scale": weights["R_input_scale"]}
    return product(some, "R", h[None], initial[None])[0]
