"""int8 networks in plain NumPy, rounded where the kernels round: what they are checked against, bit for bit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.kernels import arrays
from ostinato.model.layers import Dense, Embedding, Gru, Lstm, OneHot, Recurrent, Rnn
from ostinato.model.specification import Specification

Floats = npt.NDArray[np.float32]
Weights = Mapping[str, npt.NDArray[Any]]


def run(specification: Specification, weights: Weights, frames: Floats) -> Floats:
    """Outputs [T, output_size] of an utterance: ``frames`` [T, frame_size], or token ids [T, 1]."""
    x = np.asarray(frames, np.float32)
    one_hot = False
    for node in specification.nodes:
        name, layer = node.name, node.layer
        if isinstance(layer, OneHot):
            one_hot = True
            continue
        if isinstance(layer, Embedding):
            x = weights[f"{name}.E"][x[:, 0].astype(int)]
        elif isinstance(layer, Dense):
            bias = np.tile(weights[f"{name}.b"], (len(x), 1))
            chosen = layer.activation
            x = arrays.activate(
                chosen.name, product(weights, f"{name}.W", x, bias, one_hot), chosen.alpha, chosen.beta
            )
        elif isinstance(layer, Rnn | Gru | Lstm):
            ways = [_recurrent(layer, weights, f"{name}.{way}", x, one_hot) for way in layer.directions]
            x = np.concatenate(ways, axis=1)
        one_hot = False
    return x


def fma(x: npt.ArrayLike, y: npt.ArrayLike, z: npt.ArrayLike) -> Floats:
    """x * y + z of float32 values, rounded once (the product is exact in 64 bits of mantissa)."""
    wide = np.asarray(x, np.longdouble) * np.asarray(y, np.longdouble) + np.asarray(z, np.longdouble)
    return wide.astype(np.float32)


def integers(x: Floats, scale: np.float32) -> npt.NDArray[np.int64]:
    """Inputs as integers: nearest, half to even, within 63."""
    per_unit = np.float32(1 / np.float64(scale))
    return np.clip(np.rint(x.astype(np.float64) * np.float64(per_unit)), -63, 63).astype(np.int64)


def product(weights: Weights, name: str, x: Floats, initial: Floats, one_hot: bool = False) -> Floats:
    """initial + x W for rows x [n, inputs]; of token ids, the column."""
    W = weights[name]
    if one_hot:
        return initial + W.T[x[:, 0].astype(int)]
    if f"{name}_scale" not in weights:
        for k in range(W.shape[1]):
            initial = fma(x[:, k : k + 1], W[:, k], initial)
        return initial
    inputs = weights[f"{name}_input_scale"][0]
    scale = (weights[f"{name}_scale"] * np.float64(inputs)).astype(np.float32)
    sums = integers(x, inputs) @ W.astype(np.int64).T
    return fma(sums.astype(np.float32), scale, initial)


def _recurrent(layer: Recurrent, weights: Weights, name: str, x: Floats, one_hot: bool) -> Floats:
    Wb, Rb = weights[f"{name}.Wb"], weights[f"{name}.Rb"]
    bias = Wb + Rb
    H = layer.hidden
    if isinstance(layer, Gru) and layer.reset == "after":
        bias[2 * H :] = Wb[2 * H :]
    projected = product(weights, f"{name}.W", x, np.tile(bias, (len(x), 1)), one_hot)

    def recur(h: Floats, initial: Floats, gates: slice = slice(None)) -> Floats:
        """R h, of some of the outputs."""
        some = {key: array[gates] if array.ndim > 1 or key.endswith(".R_scale") else array
                for key, array in weights.items() if key.startswith(f"{name}.R")}  # fmt: skip
        return product(some, f"{name}.R", h[None], initial[None])[0]

    def sigmoid(v: Floats) -> Floats:
        return arrays.activate("sigmoid", v)

    def tanh(v: Floats) -> Floats:
        return arrays.activate("tanh", v)

    h, c = np.zeros(H, np.float32), np.zeros(H, np.float32)
    out = np.zeros((len(x), H), np.float32)
    for t in range(len(x))[:: -1 if name.endswith("backward") else 1]:
        a = projected[t]
        if isinstance(layer, Rnn):
            chosen = layer.activation
            h = arrays.activate(chosen.name, recur(h, a), chosen.alpha, chosen.beta)
        elif isinstance(layer, Gru) and layer.reset == "after":
            sums = recur(h, np.concatenate([a[: 2 * H], Rb[2 * H :]]))
            z, r = sigmoid(sums[:H]), sigmoid(sums[H : 2 * H])
            n = tanh(fma(r, sums[2 * H :], a[2 * H :]))
            h = fma(z, h - n, n)
        elif isinstance(layer, Gru):
            z, r = np.split(sigmoid(recur(h, a[: 2 * H], slice(0, 2 * H))), 2)
            n = tanh(recur(r * h, a[2 * H :], slice(2 * H, 3 * H)))
            h = fma(z, h - n, n)
        else:
            i, o, f, g = np.split(recur(h, a), 4)
            P = weights.get(f"{name}.P")
            if P is not None:
                pi, po, pf = np.split(P, 3)
                i, f = fma(pi, c, i), fma(pf, c, f)
            c = fma(sigmoid(f), c, sigmoid(i) * tanh(g))
            if P is not None:
                o = fma(po, c, o)
            h = sigmoid(o) * tanh(c)
        out[t] = h
    return out
