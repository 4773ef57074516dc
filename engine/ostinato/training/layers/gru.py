"""Gated recurrent units, learning."""
# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

from typing import Any

import numpy as np

from ostinato.kernels.compiler import part
from ostinato.lanes import LANES
from ostinato.training.activations import compiled, sigmoid, tanh
from ostinato.training.layers.gru_general import GeneralGru
from ostinato.training.layers.layer import Parameters
from ostinato.training.layers.recurrent import Direction, RecurrentLayer, drop, drop_back, take_previous
from ostinato.training.packing import Array
from ostinato.training.products import nothing, packed, times, weight_gradients, widened
from ostinato.training.vectors import foresee, one, ones, put, take, whole


@compiled
def gru_after_forward(
    sums: Array,
    R: Array,
    Rb: Array,
    sizes: Array,
    offsets: Array,
    reverse: bool,
    start: Array,
    mask: Array,
    y: Array,
    previous: Array,
    dropped: Array,
    q: Array,
) -> None:
    """GRU, the reset gate after the product (linear_before_reset = 1). ``sums`` becomes z r n; ``q`` is Rn h + Rbn.

    z = s(Wz x + Rz h + bz), r likewise, n = tanh(Wn x + Wbn + r * (Rn h + Rbn)), h' = (1 - z) * n + z * h
    """
    T, H = sizes.shape[0], y.shape[1]
    products = np.empty((sizes[0], Rb.shape[0]), sums.dtype)
    for i in range(T):
        t = T - 1 - i if reverse else i
        n, first = sizes[t], offsets[t]
        next_step = -n if reverse else n
        take_previous(y, sizes, offsets, t, t + 1 if reverse else t - 1, start, previous)
        drop(previous, mask, first, n, dropped)
        times(dropped[first : first + n], R, Rb, products[:n])
        for b in range(n):
            for j in range(0, whole(y), LANES):
                _after(ones(y), j, first + b, b, next_step, sums, products, q, previous, y)
            for j in range(whole(y), H):
                _after(one(y), j, first + b, b, next_step, sums, products, q, previous, y)


@part
def _after(
    one: Any, j: int, row: int, b: int, next_step: int, sums: Array, products: Array, q: Array, previous: Array,
    y: Array,
) -> None:  # fmt: skip
    H = y.shape[1]
    z = sigmoid(take(sums, row, j, one) + take(products, b, j, one))
    r = sigmoid(take(sums, row, H + j, one) + take(products, b, H + j, one))
    product = take(products, b, 2 * H + j, one)
    n = tanh(take(sums, row, 2 * H + j, one) + r * product)
    put(sums, row, j, z)
    put(sums, row, H + j, r)
    put(sums, row, 2 * H + j, n)
    for gate in range(3):
        foresee(sums, row + next_step, gate * H + j, one)
    put(q, row, j, product)
    put(y, row, j, n + z * (take(previous, row, j, one) - n))


@compiled
def gru_after_backward(
    dy: Array, gates: Array, q: Array, previous: Array, R: Array, zero: Array, sizes: Array, offsets: Array,
    reverse: bool, mask: Array, d_input: Array, d_recurrent: Array,
) -> Array:  # fmt: skip
    """Gradients of the sums z r n on the input's side [N, 3 H] and on the recurrent side, where n's is times r."""
    T, H = sizes.shape[0], dy.shape[1]
    carry = np.zeros((sizes[0], zero.shape[0]), gates.dtype)
    direct = np.zeros((sizes[0], H), gates.dtype)
    for i in range(T):
        t = i if reverse else T - 1 - i
        n, first = sizes[t], offsets[t]
        next_step = n if reverse else -n
        for b in range(n):
            for j in range(0, whole(dy), LANES):
                _after_back(
                    ones(dy), j, first + b, b, next_step, dy, gates, q, previous, carry, direct, d_input, d_recurrent
                )
            for j in range(whole(dy), H):
                _after_back(
                    one(dy), j, first + b, b, next_step, dy, gates, q, previous, carry, direct, d_input, d_recurrent
                )
        times(d_recurrent[first : first + n], R, zero, carry[:n])
        drop_back(carry, mask, n)
    return carry[:, :H] + direct


@part
def _after_back(
    one: Any, j: int, row: int, b: int, next_step: int, dy: Array, gates: Array, q: Array, previous: Array,
    carry: Array, direct: Array, d_input: Array, d_recurrent: Array,
) -> None:  # fmt: skip
    H = dy.shape[1]
    for gate in range(3):
        foresee(gates, row + next_step, gate * H + j, one)
    for each in (dy, q, previous):
        foresee(each, row + next_step, j, one)
    z, r, n = take(gates, row, j, one), take(gates, row, H + j, one), take(gates, row, 2 * H + j, one)
    dh = take(dy, row, j, one) + take(carry, b, j, one) + take(direct, b, j, one)
    put(direct, b, j, dh * z)
    d_z = dh * (take(previous, row, j, one) - n) * z * (one - z)
    d_n = dh * (one - z) * (one - n * n)
    d_r = d_n * take(q, row, j, one) * r * (one - r)
    put(d_input, row, j, d_z)
    put(d_input, row, H + j, d_r)
    put(d_input, row, 2 * H + j, d_n)
    put(d_recurrent, row, j, d_z)
    put(d_recurrent, row, H + j, d_r)
    put(d_recurrent, row, 2 * H + j, d_n * r)


@compiled
def gru_before_forward(
    sums: Array, R_zr: Array, R_n: Array, Rb_zr: Array, Rb_n: Array, sizes: Array, offsets: Array, reverse: bool,
    start: Array, mask: Array, y: Array, previous: Array, dropped: Array, s: Array,
) -> None:  # fmt: skip
    """GRU with the reset gate before the product (Cho et al. 2014). ``sums`` becomes z r n; ``s`` = r * h, dropped.

    n = tanh(Wn x + Rn (r * h) + Wbn + Rbn), the rest as above.
    """
    T, H = sizes.shape[0], y.shape[1]
    products = np.empty((sizes[0], Rb_zr.shape[0]), sums.dtype)
    candidates = np.empty((sizes[0], Rb_n.shape[0]), sums.dtype)
    for i in range(T):
        t = T - 1 - i if reverse else i
        n, first = sizes[t], offsets[t]
        next_step = -n if reverse else n
        take_previous(y, sizes, offsets, t, t + 1 if reverse else t - 1, start, previous)
        drop(previous, mask, first, n, dropped)
        times(dropped[first : first + n], R_zr, Rb_zr, products[:n])
        for b in range(n):
            for j in range(0, whole(y), LANES):
                _reset(ones(y), j, first + b, b, next_step, sums, products, previous, s)
            for j in range(whole(y), H):
                _reset(one(y), j, first + b, b, next_step, sums, products, previous, s)
        drop(s, mask, first, n, s)
        times(s[first : first + n], R_n, Rb_n, candidates[:n])
        for b in range(n):
            for j in range(0, whole(y), LANES):
                _before(ones(y), j, first + b, b, sums, candidates, previous, y)
            for j in range(whole(y), H):
                _before(one(y), j, first + b, b, sums, candidates, previous, y)


@part
def _reset(
    one: Any, j: int, row: int, b: int, next_step: int, sums: Array, products: Array, previous: Array, s: Array
) -> None:
    H = s.shape[1]
    z = sigmoid(take(sums, row, j, one) + take(products, b, j, one))
    r = sigmoid(take(sums, row, H + j, one) + take(products, b, H + j, one))
    put(sums, row, j, z)
    put(sums, row, H + j, r)
    for gate in range(3):
        foresee(sums, row + next_step, gate * H + j, one)
    put(s, row, j, r * take(previous, row, j, one))


@part
def _before(one: Any, j: int, row: int, b: int, sums: Array, candidates: Array, previous: Array, y: Array) -> None:
    H = y.shape[1]
    n = tanh(take(sums, row, 2 * H + j, one) + take(candidates, b, j, one))
    put(sums, row, 2 * H + j, n)
    put(y, row, j, n + take(sums, row, j, one) * (take(previous, row, j, one) - n))


@compiled
def gru_before_backward(
    dy: Array, gates: Array, previous: Array, R_zr: Array, R_n: Array, zero: Array, sizes: Array, offsets: Array,
    reverse: bool, mask: Array, d_zr: Array, d_n: Array,
) -> Array:  # fmt: skip
    """Gradients of the sums: z r in ``d_zr`` [N, 2 H], n in ``d_n`` [N, H]."""
    T, H = sizes.shape[0], dy.shape[1]
    carry = np.zeros((sizes[0], zero.shape[0]), gates.dtype)
    direct = np.zeros((sizes[0], H), gates.dtype)
    d_s = np.empty((sizes[0], zero.shape[0]), gates.dtype)
    for i in range(T):
        t = i if reverse else T - 1 - i
        n, first = sizes[t], offsets[t]
        next_step = n if reverse else -n
        for b in range(n):
            for j in range(0, whole(dy), LANES):
                _before_back(ones(dy), j, first + b, b, next_step, dy, gates, previous, carry, direct, d_zr, d_n)
            for j in range(whole(dy), H):
                _before_back(one(dy), j, first + b, b, next_step, dy, gates, previous, carry, direct, d_zr, d_n)
        times(d_n[first : first + n], R_n, zero, d_s[:n])
        drop_back(d_s, mask, n)
        for b in range(n):
            for j in range(0, whole(dy), LANES):
                _reset_back(ones(dy), j, first + b, b, gates, previous, d_s, direct, d_zr)
            for j in range(whole(dy), H):
                _reset_back(one(dy), j, first + b, b, gates, previous, d_s, direct, d_zr)
        times(d_zr[first : first + n], R_zr, zero, carry[:n])
        drop_back(carry, mask, n)
    return carry[:, :H] + direct


@part
def _before_back(
    one: Any, j: int, row: int, b: int, next_step: int, dy: Array, gates: Array, previous: Array, carry: Array,
    direct: Array, d_zr: Array, d_n: Array,
) -> None:  # fmt: skip
    for gate in range(3):
        foresee(gates, row + next_step, gate * dy.shape[1] + j, one)
    for each in (dy, previous):
        foresee(each, row + next_step, j, one)
    z, n = take(gates, row, j, one), take(gates, row, 2 * dy.shape[1] + j, one)
    dh = take(dy, row, j, one) + take(carry, b, j, one) + take(direct, b, j, one)
    put(direct, b, j, dh * z)
    put(d_zr, row, j, dh * (take(previous, row, j, one) - n) * z * (one - z))
    put(d_n, row, j, dh * (one - z) * (one - n * n))


@part
def _reset_back(
    one: Any, j: int, row: int, b: int, gates: Array, previous: Array, d_s: Array, direct: Array, d_zr: Array
) -> None:
    H = direct.shape[1]
    r, d = take(gates, row, H + j, one), take(d_s, b, j, one)
    put(d_zr, row, H + j, d * take(previous, row, j, one) * r * (one - r))
    put(direct, b, j, take(direct, b, j, one) + d * r)


class GruDirection(Direction):
    """z r n; the reset gate after or before the product."""

    in_place = True

    def recur(self, own: Parameters, y: Array) -> None:
        """As `Direction.recur`."""
        self.q, self.previous = (self.buffers(name, y.shape, y.dtype) for name in ("q", "previous"))
        start, after = self.start(own, "h"), self.layer.reset == "after"
        self.dropped = self.before_product(self.previous)
        kept = self.mask, y, self.previous, self.dropped, self.q
        if not self.layer.usual:
            self.general = GeneralGru(self.layer, self.sums, self.steps)
            self.general.forward(own, start, *kept)
        elif after:
            gru_after_forward(self.sums, packed(own["R"]), widened(own["Rb"]), *self.steps, start, *kept)
        else:
            R = [packed(part) for part in self._divided(own["R"])]
            Rb = [widened(part) for part in self._divided(own["Rb"])]
            gru_before_forward(self.sums, *R, *Rb, *self.steps, start, *kept)

    def recur_back(self, own: Parameters, dy: Array, d_sums: Array) -> dict[str, Array]:
        """As `Direction.recur_back`."""
        R, zero, after = own["R"], nothing(self.layer.hidden, dy.dtype), self.layer.reset == "after"
        d_recurrent = self.buffers("d_recurrent", d_sums.shape, dy.dtype) if after else d_sums
        if not self.layer.usual:
            d_start = self.general.backward(own, dy, self.mask, self.previous, self.q, d_sums, d_recurrent)
        elif after:
            kept = self.sums, self.q, self.previous, packed(R.T), zero
            d_start = gru_after_backward(dy, *kept, *self.steps, self.mask, d_sums, d_recurrent)
        else:
            R_zr, R_n = (packed(part.T) for part in self._divided(R))
            parts = [self.buffers(f"d_{len(part)}", (len(dy), len(part)), dy.dtype) for part in self._divided(R)]
            d_start = gru_before_backward(
                dy, self.sums, self.previous, R_zr, R_n, zero, *self.steps, self.mask, *parts
            )
            np.concatenate(parts, axis=1, out=d_sums)
        if after:
            d_R, d_Rb = weight_gradients(self.dropped, d_recurrent, R)
        else:
            found = [
                weight_gradients(x, np.ascontiguousarray(d), part)
                for x, d, part in zip(
                    (self.dropped, self.q),
                    np.split(d_sums, (2 * self.layer.hidden,), axis=1),
                    self._divided(R),
                    strict=True,
                )
            ]
            d_R, d_Rb = (np.concatenate(each) for each in zip(*found, strict=True))
        return {"R": d_R, "Rb": d_Rb, "initial_h": self.began("h", d_start)}

    def _divided(self, weights: Array) -> tuple[Array, Array]:
        """Of z and r, and of n."""
        return weights[: 2 * self.layer.hidden], weights[2 * self.layer.hidden :]


class LearningGru(RecurrentLayer):
    """Of kind "gru"."""

    direction = GruDirection
