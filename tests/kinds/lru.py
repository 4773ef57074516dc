"""The linear recurrent unit."""

from __future__ import annotations

from typing import Any

import numpy as np

from kinds.kind import VECTOR, Doubles, Example, Floats, Weights
from kinds.recurrent import RecurrentKind, start
from kinds.rounding import fma, product
from ostinato.model import layers
from ostinato.model.wire import Wire


class Lru(RecurrentKind):
    layer = layers.Lru
    onnx_lacks = "ONNX has no complex states"
    examples = (
        Example(layers.Lru(5, size=4)),
        Example(layers.Lru(5, size=2, initial=True)),
        Example(layers.Lru(19, size=4), (VECTOR, Wire(38, memory=True))),
    )

    def recur(self, layer: layers.Lru, weights: Weights, x: Doubles) -> Doubles:
        turn = factor(weights)
        B, b = complex_of(weights["W"]), complex_of(weights["b"])
        C_re, minus_C_im = np.split(weights["C"], 2, axis=1)
        s = complex_of(start(layer, weights, "c"))
        out = np.zeros((len(x), layer.size))
        for t, u in enumerate(x):
            s = turn * s + np.exp(weights["gamma_log"]) * (B @ u + b)
            out[t] = ((C_re - 1j * minus_C_im) @ s).real + weights["D"] @ u
        return out

    def recur_rounded(self, layer: layers.Lru, weights: Weights, x: Floats, one_hot: bool) -> Floats:
        turn = factor(weights)
        a, b = turn.real.astype(np.float32), turn.imag.astype(np.float32)
        gamma = np.tile(np.exp(weights["gamma_log"].astype(np.float64)).astype(np.float32), 2)
        folded = dict(weights)
        if "W_scale" in weights:
            folded["W_scale"] = weights["W_scale"] * gamma
        else:
            folded["W"] = weights["W"] * gamma[:, None]
        re, im = np.split(start(layer, weights, "c"), 2)
        states = np.zeros((len(x), 2 * layer.hidden), np.float32)
        for t, sums in enumerate(product(folded, "W", x, np.tile(weights["b"] * gamma, (len(x), 1)))):
            sum_re, sum_im = np.split(sums, 2)
            re, im = fma(a, re, fma(-b, im, sum_re)), fma(a, im, fma(b, re, sum_im))
            states[t] = np.concatenate([re, im])
        y = product(weights, "C", states, np.zeros((len(x), layer.size), np.float32))
        return product(weights, "D", x, y)

    def tamed(self, layer: layers.Lru, weights: Weights) -> Weights:
        """States that fade soon: what fades slowly adds up, and its rounding too."""
        return {n: np.maximum(array, -1.5) if n.endswith("nu_log") else array for n, array in weights.items()}


def complex_of(parts: Any) -> Any:
    """Real parts, then imaginary ones."""
    re, im = np.split(parts, 2)
    return re + 1j * im


def factor(weights: Weights) -> Any:
    nu, theta = (weights[name].astype(np.float64) for name in ("nu_log", "theta_log"))
    return np.exp(-np.exp(nu) + 1j * np.exp(theta))
