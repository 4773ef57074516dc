"""Long short-term memory, learning."""
# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

import numpy as np

from ostinato.training.activations import compiled, sigmoid, tanh
from ostinato.training.layers.layer import Parameters
from ostinato.training.layers.lstm_general import GeneralLstm
from ostinato.training.layers.recurrent import Direction, RecurrentLayer, drop, drop_back, take_previous
from ostinato.training.packing import Array
from ostinato.training.products import nothing, packed, times, weight_gradients, widened


@compiled
def lstm_forward(
    sums: Array, R: Array, Rb: Array, P: Array, sizes: Array, offsets: Array, reverse: bool,
    h_start: Array, c_start: Array, mask: Array, y: Array, previous: Array, dropped: Array, c: Array,
    c_previous: Array,
) -> None:  # fmt: skip
    """LSTM (gates i o f c; ``P`` [3 H] peepholes i o f, zeros without). ``sums`` becomes i o f g; ``c`` [N, H] cells.

    i = s(Wi x + Ri h + Pi * c + bi), f likewise, g = tanh(Wc x + Rc h + bc), c' = f * c + i * g,
    o = s(Wo x + Ro h + Po * c' + bo), h' = o * tanh(c')
    """
    T, H = sizes.shape[0], y.shape[1]
    Pi, Po, Pf = P[:H], P[H : 2 * H], P[2 * H :]
    products = np.empty((sizes[0], Rb.shape[0]), sums.dtype)
    for i in range(T):
        t = T - 1 - i if reverse else i
        n, first, before = sizes[t], offsets[t], t + 1 if reverse else t - 1
        take_previous(y, sizes, offsets, t, before, h_start, previous)
        take_previous(c, sizes, offsets, t, before, c_start, c_previous)
        drop(previous, mask, first, n, dropped)
        times(dropped[first : first + n], R, Rb, products[:n])
        for b in range(n):
            a, p, h, cell, cp = sums[first + b], products[b], y[first + b], c[first + b], c_previous[first + b]
            ai, ao, af, ag = a[:H], a[H : 2 * H], a[2 * H : 3 * H], a[3 * H :]
            pi, po, pf, pg = p[:H], p[H : 2 * H], p[2 * H : 3 * H], p[3 * H :]
            for j in range(H):
                ai[j] = sigmoid(ai[j] + pi[j] + Pi[j] * cp[j])
                af[j] = sigmoid(af[j] + pf[j] + Pf[j] * cp[j])
            for j in range(H):
                ag[j] = tanh(ag[j] + pg[j])
                cell[j] = af[j] * cp[j] + ai[j] * ag[j]
            for j in range(H):
                ao[j] = sigmoid(ao[j] + po[j] + Po[j] * cell[j])
                h[j] = ao[j] * tanh(cell[j])


@compiled
def lstm_backward(
    dy: Array, gates: Array, c: Array, c_previous: Array, R: Array, zero: Array, P: Array, sizes: Array,
    offsets: Array, reverse: bool, mask: Array, d_sums: Array,
) -> tuple[Array, Array]:  # fmt: skip
    """``d_sums`` [N, 4 H] <- gradients of the sums i o f c. Gives those of h and of c at the start."""
    T, H = sizes.shape[0], dy.shape[1]
    one = gates.dtype.type(1)
    carry = np.zeros((sizes[0], zero.shape[0]), gates.dtype)
    d_cell = np.zeros((sizes[0], H), gates.dtype)
    Pi, Po, Pf = P[:H], P[H : 2 * H], P[2 * H :]
    for i in range(T):
        t = i if reverse else T - 1 - i
        n, first = sizes[t], offsets[t]
        for b in range(n):
            row = first + b
            g, cell, cp, d, k, dc, ds = gates[row], c[row], c_previous[row], dy[row], carry[b], d_cell[b], d_sums[row]
            gi, go, gf, gg = g[:H], g[H : 2 * H], g[2 * H : 3 * H], g[3 * H :]
            di, do, df, dg = ds[:H], ds[H : 2 * H], ds[2 * H : 3 * H], ds[3 * H :]
            for j in range(H):
                u, o = tanh(cell[j]), go[j]
                dh = d[j] + k[j]
                do[j] = dh * u * o * (one - o)
                dc[j] += dh * o * (one - u * u) + do[j] * Po[j]
            for j in range(H):
                i_, f, m = gi[j], gf[j], gg[j]
                di[j] = dc[j] * m * i_ * (one - i_)
                df[j] = dc[j] * cp[j] * f * (one - f)
                dg[j] = dc[j] * i_ * (one - m * m)
                dc[j] = dc[j] * f + di[j] * Pi[j] + df[j] * Pf[j]
        times(d_sums[first : first + n], R, zero, carry[:n])
        drop_back(carry, mask, n)
    return carry[:, :H], d_cell


class LstmDirection(Direction):
    """i o f c, and a cell state; with or without peepholes."""

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
            lstm_forward(self.sums, R, Rb, self.P, *self.steps, *starts, *kept)
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
            d_starts = lstm_backward(dy, *kept, R, zero, self.P, *self.steps, self.mask, d_sums)
        else:
            *d_starts, found["H"] = self.general.backward(own, dy, self.mask, self.c, self.c_previous, d_sums)
        found["R"], found["Rb"] = weight_gradients(self.dropped, d_sums, own["R"])
        if "P" in own:
            d_i, d_o, d_f, _ = np.split(d_sums, 4, axis=1)
            parts = (d_i * self.c_previous, d_o * self.c, d_f * self.c_previous)
            found["P"] = np.concatenate([part.sum(axis=0) for part in parts])
        return found | {f"initial_{state}": self.began(state, d) for state, d in zip("hc", d_starts, strict=True)}


class LearningLstm(RecurrentLayer):
    """Of kind "lstm"."""

    direction = LstmDirection
