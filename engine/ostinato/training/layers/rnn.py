"""The plain recurrent layer, learning."""
# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

from typing import Any

import numpy as np

from ostinato.training import activations
from ostinato.training.activations import activate, compiled, slope
from ostinato.training.layers.layer import Parameters
from ostinato.training.layers.recurrent import Direction, RecurrentLayer, drop, drop_back, take_previous
from ostinato.training.packing import Array
from ostinato.training.products import both_gradients, nothing, packed, times, widened


@compiled
def rnn_forward(
    sums: Array, R: Array, Rb: Array, code: int, alpha: Any, beta: Any, limit: Any, sizes: Array, offsets: Array,
    reverse: bool, start: Array, mask: Array, y: Array, previous: Array, dropped: Array,
) -> None:  # fmt: skip
    """h<t> = f(W x<t> + R h<t-1> + Wb + Rb). ``sums`` becomes f's argument, which is clipped to ``limit``."""
    T, H = sizes.shape[0], y.shape[1]
    one = sums.dtype.type(1)
    products = np.empty((sizes[0], Rb.shape[0]), sums.dtype)
    for i in range(T):
        t = T - 1 - i if reverse else i
        n, first = sizes[t], offsets[t]
        take_previous(y, sizes, offsets, t, t + 1 if reverse else t - 1, start, previous)
        drop(previous, mask, first, n, dropped)
        times(dropped[first : first + n], R, Rb, products[:n])
        for b in range(n):
            a, p, h = sums[first + b], products[b], y[first + b]
            for j in range(H):
                a[j] += p[j]
                h[j] = activate(code, alpha, beta, one, min(max(a[j], -limit), limit))


@compiled
def rnn_backward(
    dy: Array, sums: Array, y: Array, R: Array, zero: Array, code: int, alpha: Any, beta: Any, limit: Any,
    sizes: Array, offsets: Array, reverse: bool, mask: Array, d_sums: Array,
) -> Array:  # fmt: skip
    """``d_sums`` [N, H] <- gradients of f's argument."""
    T, H = sizes.shape[0], y.shape[1]
    one = sums.dtype.type(1)
    carry = np.zeros((sizes[0], zero.shape[0]), sums.dtype)
    for i in range(T):
        t = i if reverse else T - 1 - i
        n, first = sizes[t], offsets[t]
        for b in range(n):
            a, h, d, c, da = sums[first + b], y[first + b], dy[first + b], carry[b], d_sums[first + b]
            for j in range(H):
                if abs(a[j]) <= limit:
                    da[j] = (d[j] + c[j]) * slope(code, alpha, beta, one, a[j], h[j])
                else:
                    da[j] = 0
        times(d_sums[first : first + n], R, zero, carry[:n])
        drop_back(carry, mask, n)
    return carry[:, :H]


class RnnDirection(Direction):
    """h<t> = f(W x<t> + R h<t-1> + Wb + Rb)."""

    in_place = True

    def recur(self, own: Parameters, y: Array) -> None:
        """As `Direction.recur`."""
        self.f = activations.settings(self.layer.activation, y.dtype)
        self.limit = y.dtype.type(np.inf if self.layer.clip is None else self.layer.clip)
        self.previous = self.buffers("previous", y.shape, y.dtype)
        R, Rb, start = packed(own["R"]), widened(own["Rb"]), self.start(own, "h")
        self.dropped = self.before_product(self.previous)
        kept = y, self.previous, self.dropped
        rnn_forward(self.sums, R, Rb, *self.f, self.limit, *self.steps, start, self.mask, *kept)

    def recur_back(self, own: Parameters, dy: Array, d_sums: Array) -> dict[str, Array]:
        """As `Direction.recur_back`."""
        R, zero = packed(own["R"].T), nothing(self.layer.hidden, dy.dtype)
        kept = self.sums, self.y, R, zero
        d_start = rnn_backward(dy, *kept, *self.f, self.limit, *self.steps, self.mask, d_sums)
        d_W, d_R, d_b = both_gradients(self.x, self.dropped, d_sums, own["W"], own["R"])
        return {"W": d_W, "R": d_R, "Wb": d_b, "Rb": d_b, "initial_h": self.began("h", d_start)}


class LearningRnn(RecurrentLayer):
    """Of kind "rnn"."""

    direction = RnnDirection
