"""Long short-term memory, learning."""
# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

from typing import Any

import numpy as np

from ostinato.kernels.compiler import part
from ostinato.lanes import LANES
from ostinato.training.activations import compiled, sigmoid, tanh
from ostinato.training.layers.layer import Parameters
from ostinato.training.layers.lstm_general import GeneralLstm
from ostinato.training.layers.recurrent import Direction, RecurrentLayer, drop, drop_back, take_previous
from ostinato.training.packing import Array
from ostinato.training.products import both_gradients, nothing, packed, times, widened
from ostinato.training.vectors import foresee, one, ones, put, take, whole


@compiled
def lstm_forward(
    sums: Array, R: Array, Rb: Array, P: Array, sizes: Array, offsets: Array, reverse: bool,
    h_start: Array, c_start: Array, mask: Array, y: Array, previous: Array, dropped: Array, c: Array,
    c_previous: Array,
) -> None:  # fmt: skip
    """LSTM (gates i o f c; ``P`` [1, 3 H] peepholes i o f, zeros without). ``sums`` becomes i o f g; ``c`` [N, H] the
    cells.

    i = s(Wi x + Ri h + Pi * c + bi), f likewise, g = tanh(Wc x + Rc h + bc), c' = f * c + i * g,
    o = s(Wo x + Ro h + Po * c' + bo), h' = o * tanh(c')
    """
    T, H = sizes.shape[0], y.shape[1]
    products = np.empty((sizes[0], Rb.shape[0]), sums.dtype)
    for i in range(T):
        t = T - 1 - i if reverse else i
        n, first, before = sizes[t], offsets[t], t + 1 if reverse else t - 1
        next_step = -n if reverse else n
        take_previous(y, sizes, offsets, t, before, h_start, previous)
        take_previous(c, sizes, offsets, t, before, c_start, c_previous)
        drop(previous, mask, first, n, dropped)
        times(dropped[first : first + n], R, Rb, products[:n])
        for b in range(n):
            for j in range(0, whole(y), LANES):
                _forward(ones(y), j, first + b, b, next_step, sums, products, P, c_previous, c, y)
            for j in range(whole(y), H):
                _forward(one(y), j, first + b, b, next_step, sums, products, P, c_previous, c, y)


@part
def _forward(
    one: Any, j: int, row: int, b: int, next_step: int, sums: Array, products: Array, P: Array, c_previous: Array,
    c: Array, y: Array,
) -> None:  # fmt: skip
    H = y.shape[1]
    before = take(c_previous, row, j, one)
    i = take(sums, row, j, one) + take(products, b, j, one) + take(P, 0, j, one) * before
    f = take(sums, row, 2 * H + j, one) + take(products, b, 2 * H + j, one) + take(P, 0, 2 * H + j, one) * before
    i, f = sigmoid(i), sigmoid(f)
    g = tanh(take(sums, row, 3 * H + j, one) + take(products, b, 3 * H + j, one))
    cell = f * before + i * g
    o = sigmoid(take(sums, row, H + j, one) + take(products, b, H + j, one) + take(P, 0, H + j, one) * cell)
    put(sums, row, j, i)
    put(sums, row, H + j, o)
    put(sums, row, 2 * H + j, f)
    put(sums, row, 3 * H + j, g)
    put(c, row, j, cell)
    for gate in range(4):
        foresee(sums, row + next_step, gate * H + j, one)
    put(y, row, j, o * tanh(cell))


@compiled
def lstm_backward(
    dy: Array, gates: Array, c: Array, c_previous: Array, R: Array, zero: Array, P: Array, sizes: Array,
    offsets: Array, reverse: bool, mask: Array, d_sums: Array,
) -> tuple[Array, Array]:  # fmt: skip
    """``d_sums`` [N, 4 H] <- gradients of the sums i o f c. Gives those of h and of c at the start."""
    T, H = sizes.shape[0], dy.shape[1]
    carry = np.zeros((sizes[0], zero.shape[0]), gates.dtype)
    d_cell = np.zeros((sizes[0], H), gates.dtype)
    for i in range(T):
        t = i if reverse else T - 1 - i
        n, first = sizes[t], offsets[t]
        next_step = n if reverse else -n
        for b in range(n):
            for j in range(0, whole(dy), LANES):
                _backward(ones(dy), j, first + b, b, next_step, dy, gates, c, c_previous, P, carry, d_cell, d_sums)
            for j in range(whole(dy), H):
                _backward(one(dy), j, first + b, b, next_step, dy, gates, c, c_previous, P, carry, d_cell, d_sums)
        times(d_sums[first : first + n], R, zero, carry[:n])
        drop_back(carry, mask, n)
    return carry[:, :H], d_cell


@part
def _backward(
    one: Any, j: int, row: int, b: int, next_step: int, dy: Array, gates: Array, c: Array, c_previous: Array,
    P: Array, carry: Array, d_cell: Array, d_sums: Array,
) -> None:  # fmt: skip
    H = dy.shape[1]
    for gate in range(4):
        foresee(gates, row + next_step, gate * H + j, one)
    for each in (dy, c, c_previous):
        foresee(each, row + next_step, j, one)
    i, o = take(gates, row, j, one), take(gates, row, H + j, one)
    f, g = take(gates, row, 2 * H + j, one), take(gates, row, 3 * H + j, one)
    u = tanh(take(c, row, j, one))
    dh = take(dy, row, j, one) + take(carry, b, j, one)
    d_o = dh * u * o * (one - o)
    dc = take(d_cell, b, j, one) + dh * o * (one - u * u) + d_o * take(P, 0, H + j, one)
    d_i = dc * g * i * (one - i)
    d_f = dc * take(c_previous, row, j, one) * f * (one - f)
    put(d_sums, row, j, d_i)
    put(d_sums, row, H + j, d_o)
    put(d_sums, row, 2 * H + j, d_f)
    put(d_sums, row, 3 * H + j, dc * i * (one - g * g))
    put(d_cell, b, j, dc * f + d_i * take(P, 0, j, one) + d_f * take(P, 0, 2 * H + j, one))


class LstmDirection(Direction):
    """i o f c, and a cell state; with or without peepholes."""

    in_place = True

    def recur(self, own: Parameters, y: Array) -> None:
        """As `Direction.recur`."""
        H = self.layer.hidden
        self.P = own.get("P", np.zeros(3 * H, y.dtype))
        self.previous = self.buffers("previous", y.shape, y.dtype)
        self.c, self.c_previous = (self.buffers(name, (len(y), H), y.dtype) for name in ("c", "c_previous"))
        starts = self.start(own, "h"), self.start(own, "c")
        self.dropped = self.before_product(self.previous)
        kept = self.mask, y, self.previous, self.dropped, self.c, self.c_previous
        if self.layer.usual:
            R, Rb = packed(own["R"]), widened(own["Rb"])
            lstm_forward(self.sums, R, Rb, self.P[None], *self.steps, *starts, *kept)
        else:
            self.general = GeneralLstm(self.layer, self.sums, self.steps, self.P)
            self.general.forward(own, *starts, *kept)

    def ends(self) -> dict[str, Array]:
        """As `Direction.ends`."""
        return {"h": self.y, "c": self.c}

    def recur_back(self, own: Parameters, dy: Array, d_sums: Array) -> dict[str, Array]:
        """As `Direction.recur_back`."""
        found: dict[str, Array] = {}
        if self.layer.usual:
            kept = self.sums, self.c, self.c_previous
            R, zero = packed(own["R"].T), nothing(self.layer.width, dy.dtype)
            d_starts = lstm_backward(dy, *kept, R, zero, self.P[None], *self.steps, self.mask, d_sums)
        else:
            *d_starts, found["H"] = self.general.backward(own, dy, self.mask, self.c, self.c_previous, d_sums)
        found["W"], found["R"], d_b = both_gradients(self.x, self.dropped, d_sums, own["W"], own["R"])
        found |= {"Wb": d_b, "Rb": d_b}
        if "P" in own:
            d_i, d_o, d_f, _ = np.split(d_sums, 4, axis=1)
            parts = (d_i * self.c_previous, d_o * self.c, d_f * self.c_previous)
            found["P"] = np.concatenate([part.sum(axis=0) for part in parts])
        return found | {f"initial_{state}": self.began(state, d) for state, d in zip("hc", d_starts, strict=True)}


class LearningLstm(RecurrentLayer):
    """Of kind "lstm"."""

    direction = LstmDirection
