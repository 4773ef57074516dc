"""Products in int8 and in float32, rounded where the kernels round."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kinds.kind import Floats, Weights
from ostinato.kernels import arrays
from ostinato.model.activation import Activation


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
        return initial + W.T[x.astype(int)]
    if f"{name}_scale" not in weights:
        for k in range(W.shape[1]):
            initial = fma(x[:, k : k + 1], W[:, k], initial)
        return initial
    inputs = weights[f"{name}_input_scale"][0]
    scale = (weights[f"{name}_scale"] * np.float64(inputs)).astype(np.float32)
    sums = integers(x, inputs) @ W.astype(np.int64).T
    return fma(sums.astype(np.float32), scale, initial)


def activated(activation: Activation, x: Floats) -> Floats:
    """The activation as the kernels compute it."""
    return arrays.activate(activation.name, x, activation.alpha, activation.beta)
