"""The minimal gated recurrent unit, learning."""
# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

import numpy as np

from ostinato.training.activations import compiled, sigmoid
from ostinato.training.layers.minimal import MinimalDirection
from ostinato.training.layers.recurrent import RecurrentLayer, take_previous
from ostinato.training.packing import Array


@compiled
def min_gru_forward(
    sums: Array, positive: bool, sizes: Array, offsets: Array, reverse: bool, start: Array, y: Array, previous: Array
) -> None:
    """``sums`` becomes z n: h' = h + z * (n - h)."""
    T, H = sizes.shape[0], y.shape[1]
    half = sums.dtype.type(0.5)
    for i in range(T):
        t = T - 1 - i if reverse else i
        take_previous(y, sizes, offsets, t, t + 1 if reverse else t - 1, start, previous)
        for row in range(offsets[t], offsets[t] + sizes[t]):
            z, n = sums[row, :H], sums[row, H:]
            for j in range(H):
                z[j] = sigmoid(z[j])
                if positive:
                    n[j] = n[j] + half if n[j] >= 0 else sigmoid(n[j])
                y[row, j] = previous[row, j] + z[j] * (n[j] - previous[row, j])


@compiled
def min_gru_backward(
    dy: Array,
    gates: Array,
    positive: bool,
    previous: Array,
    sizes: Array,
    offsets: Array,
    reverse: bool,
    d_sums: Array,
) -> Array:
    """``d_sums`` [N, 2 H] <- gradients of the sums z n. Gives those of h at the start."""
    T, H = sizes.shape[0], dy.shape[1]
    one, half = dy.dtype.type(1), dy.dtype.type(0.5)
    carry = np.zeros((sizes[0], H), dy.dtype)
    for i in range(T):
        t = i if reverse else T - 1 - i
        for b in range(sizes[t]):
            row = offsets[t] + b
            for j in range(H):
                z, n, dh = gates[row, j], gates[row, H + j], dy[row, j] + carry[b, j]
                d_sums[row, j] = dh * (n - previous[row, j]) * z * (one - z)
                d_sums[row, H + j] = dh * z
                if positive and n < half:
                    d_sums[row, H + j] *= n * (one - n)
                carry[b, j] = dh * (one - z)
    return carry


class MinGruDirection(MinimalDirection):
    """z n."""

    cell = staticmethod(min_gru_forward)
    cell_back = staticmethod(min_gru_backward)


class LearningMinGru(RecurrentLayer):
    """Of kind "min-gru"."""

    direction = MinGruDirection
