"""The minimal long short-term memory, learning."""
# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

import numpy as np

from ostinato.training.activations import compiled, sigmoid
from ostinato.training.layers.minimal import MinimalDirection
from ostinato.training.layers.recurrent import RecurrentLayer, take_previous
from ostinato.training.packing import Array


@compiled
def min_lstm_forward(
    sums: Array, positive: bool, sizes: Array, offsets: Array, reverse: bool, start: Array, y: Array, previous: Array
) -> None:
    """``sums`` becomes f i n: h' = h + i / (f + i) * (n - h)."""
    T, H = sizes.shape[0], y.shape[1]
    half = sums.dtype.type(0.5)
    for step in range(T):
        t = T - 1 - step if reverse else step
        take_previous(y, sizes, offsets, t, t + 1 if reverse else t - 1, start, previous)
        for row in range(offsets[t], offsets[t] + sizes[t]):
            f, i, n = sums[row, :H], sums[row, H : 2 * H], sums[row, 2 * H :]
            for j in range(H):
                f[j], i[j] = sigmoid(f[j]), sigmoid(i[j])
                if positive:
                    n[j] = n[j] + half if n[j] >= 0 else sigmoid(n[j])
                share = i[j] / (f[j] + i[j]) if f[j] + i[j] > 0 else half
                y[row, j] = previous[row, j] + share * (n[j] - previous[row, j])


@compiled
def min_lstm_backward(
    dy: Array,
    gates: Array,
    positive: bool,
    previous: Array,
    sizes: Array,
    offsets: Array,
    reverse: bool,
    d_sums: Array,
) -> Array:
    """``d_sums`` [N, 3 H] <- gradients of the sums f i n. Gives those of h at the start.

    Of share = i / (f + i), the slope by i's sum is share * (1 - share) * (1 - i), by f's the same with f and below 0.
    """
    T, H = sizes.shape[0], dy.shape[1]
    one, half = dy.dtype.type(1), dy.dtype.type(0.5)
    carry = np.zeros((sizes[0], H), dy.dtype)
    for step in range(T):
        t = step if reverse else T - 1 - step
        for b in range(sizes[t]):
            row = offsets[t] + b
            for j in range(H):
                f, i, n = gates[row, j], gates[row, H + j], gates[row, 2 * H + j]
                dh = dy[row, j] + carry[b, j]
                share = i / (f + i) if f + i > 0 else half
                d_share = dh * (n - previous[row, j]) * share * (one - share)
                d_sums[row, j] = d_share * (f - one)
                d_sums[row, H + j] = d_share * (one - i)
                d_sums[row, 2 * H + j] = dh * share
                if positive and n < half:
                    d_sums[row, 2 * H + j] *= n * (one - n)
                carry[b, j] = dh * (one - share)
    return carry


class MinLstmDirection(MinimalDirection):
    """f i n."""

    cell = staticmethod(min_lstm_forward)
    cell_back = staticmethod(min_lstm_backward)


class LearningMinLstm(RecurrentLayer):
    """Of kind "min-lstm"."""

    direction = MinLstmDirection
