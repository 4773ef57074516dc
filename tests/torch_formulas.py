"""PyTorch's modules in float64, by the formulas of its documentation, with its arrays. A frame is a row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from imported import sigmoid

Array = npt.NDArray[Any]


def parameters(arrays: Mapping[str, Array], prefix: str) -> dict[str, Array]:
    """Those of one module."""
    return {
        name.removeprefix(f"{prefix}."): np.asarray(array, np.float64)
        for name, array in arrays.items()
        if name.startswith(f"{prefix}.")
    }


def recurrent(kind: str, p: Mapping[str, Array], x: Array, nonlinearity: str = "tanh") -> Array:
    """nn.RNN, nn.GRU, nn.LSTM (``kind``): all layers and directions."""
    layer = 0
    while f"weight_ih_l{layer}" in p:
        ways = [direction(kind, p, f"_l{layer}", x, nonlinearity)]
        if f"weight_ih_l{layer}_reverse" in p:
            ways.append(direction(kind, p, f"_l{layer}_reverse", x[::-1], nonlinearity)[::-1])
        x, layer = np.concatenate(ways, axis=1), layer + 1
    return x


def direction(kind: str, p: Mapping[str, Array], tail: str, x: Array, nonlinearity: str) -> Array:
    """One layer in one direction."""
    W, R = p[f"weight_ih{tail}"], p[f"weight_hh{tail}"]
    b_x, b_h = (p.get(f"bias_{each}{tail}", np.zeros(len(W))) for each in ("ih", "hh"))
    h, c, made = np.zeros(R.shape[1]), np.zeros(len(W) // 4), []
    for frame in x:
        of_x, of_h = W @ frame + b_x, R @ h + b_h
        if kind == "RNN":
            h = np.tanh(of_x + of_h) if nonlinearity == "tanh" else np.maximum(of_x + of_h, 0)
        elif kind == "GRU":
            (r_x, z_x, n_x), (r_h, z_h, n_h) = np.split(of_x, 3), np.split(of_h, 3)
            z = sigmoid(z_x + z_h)
            h = (1 - z) * np.tanh(n_x + sigmoid(r_x + r_h) * n_h) + z * h
        else:
            i, f, g, o = np.split(of_x + of_h, 4)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
            if f"weight_hr{tail}" in p:
                h = p[f"weight_hr{tail}"] @ h
        made.append(h)
    return np.array(made)


def conv1d(
    p: Mapping[str, Array], x: Array, stride: int = 1, padding: int = 0, dilation: int = 1, groups: int = 1
) -> Array:
    """nn.Conv1d."""
    W = p["weight"]
    outputs, each, taps = W.shape
    x = np.pad(x, ((padding, padding), (0, 0)))
    count = (len(x) - (taps - 1) * dilation - 1) // stride + 1
    y = np.tile(p.get("bias", np.zeros(outputs)), (count, 1))
    for n in range(count):
        for o in range(outputs):
            first = o // (outputs // groups) * each
            window = x[n * stride : n * stride + taps * dilation : dilation, first : first + each]
            y[n, o] += (W[o].T * window).sum()
    return y


def conv_transpose1d(
    p: Mapping[str, Array], x: Array, stride: int, padding: int = 0, output_padding: int = 0, groups: int = 1
) -> Array:
    """nn.ConvTranspose1d."""
    W = p["weight"]
    inputs, each, taps = W.shape
    count = (len(x) - 1) * stride + taps + output_padding
    y = np.zeros((count, each * groups))
    for n, frame in enumerate(x):
        for i in range(inputs):
            group = i // (inputs // groups)
            y[n * stride : n * stride + taps, group * each : (group + 1) * each] += frame[i] * W[i].T
    return y[padding : count - padding] + p.get("bias", 0)


def batch_norm1d(p: Mapping[str, Array], x: Array, eps: float = 1e-5) -> Array:
    """nn.BatchNorm1d in eval()."""
    return (x - p["running_mean"]) / np.sqrt(p["running_var"] + eps) * p.get("weight", 1) + p.get("bias", 0)


def layer_norm(p: Mapping[str, Array], x: Array, eps: float = 1e-5) -> Array:
    """nn.LayerNorm over a frame's values."""
    x = x - x.mean(axis=1, keepdims=True)
    return x / np.sqrt((x**2).mean(axis=1, keepdims=True) + eps) * p.get("weight", 1) + p.get("bias", 0)


def linear(p: Mapping[str, Array], x: Array) -> Array:
    """nn.Linear."""
    return x @ p["weight"].T + p.get("bias", 0)


def prelu(p: Mapping[str, Array], x: Array) -> Array:
    """nn.PReLU."""
    return np.where(x < 0, p["weight"] * x, x)
