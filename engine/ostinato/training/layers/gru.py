"""Gated recurrent units, learning."""
# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

import numpy as np

from ostinato.training.activations import compiled, sigmoid, tanh
from ostinato.training.layers.gru_general import GeneralGru
from ostinato.training.layers.layer import Parameters
from ostinato.training.layers.recurrent import Direction, RecurrentLayer, drop, drop_back, take_previous
from ostinato.training.packing import Array
from ostinato.training.products import nothing, packed, times, weight_gradients, widened


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
        take_previous(y, sizes, offsets, t, t + 1 if reverse else t - 1, start, previous)
        drop(previous, mask, first, n, dropped)
        times(dropped[first : first + n], R, Rb, products[:n])
        for b in range(n):
            g, p, h, hp, qb = sums[first + b], products[b], y[first + b], previous[first + b], q[first + b]
            z, r, m, pm = g[:H], g[H : 2 * H], g[2 * H :], p[2 * H :]
            for j in range(2 * H):
                g[j] = sigmoid(g[j] + p[j])
            for j in range(H):
                qb[j] = pm[j]
                m[j] = tanh(m[j] + r[j] * qb[j])
                h[j] = m[j] + z[j] * (hp[j] - m[j])


@compiled
def gru_after_backward(
    dy: Array, gates: Array, q: Array, previous: Array, R: Array, zero: Array, sizes: Array, offsets: Array,
    reverse: bool, mask: Array, d_input: Array, d_recurrent: Array,
) -> Array:  # fmt: skip
    """Gradients of the sums z r n on the input's side [N, 3 H] and on the recurrent side, where n's is times r."""
    T, H = sizes.shape[0], dy.shape[1]
    one = gates.dtype.type(1)
    carry = np.zeros((sizes[0], zero.shape[0]), gates.dtype)
    direct = np.zeros((sizes[0], H), gates.dtype)
    for i in range(T):
        t = i if reverse else T - 1 - i
        n, first = sizes[t], offsets[t]
        for b in range(n):
            row = first + b
            g, qb, hp, d, c, s = gates[row], q[row], previous[row], dy[row], carry[b], direct[b]
            gz, gr, gm = g[:H], g[H : 2 * H], g[2 * H :]
            dz, dr, dm = d_input[row, :H], d_input[row, H : 2 * H], d_input[row, 2 * H :]
            ez, er, em = d_recurrent[row, :H], d_recurrent[row, H : 2 * H], d_recurrent[row, 2 * H :]
            for j in range(H):
                z, r, m = gz[j], gr[j], gm[j]
                dh = d[j] + c[j] + s[j]
                s[j] = dh * z
                a = dh * (one - z) * (one - m * m)
                dm[j] = a
                em[j] = a * r
                a *= qb[j] * r * (one - r)
                dr[j] = a
                er[j] = a
                a = dh * (hp[j] - m) * z * (one - z)
                dz[j] = a
                ez[j] = a
        times(d_recurrent[first : first + n], R, zero, carry[:n])
        drop_back(carry, mask, n)
    return carry[:, :H] + direct


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
        take_previous(y, sizes, offsets, t, t + 1 if reverse else t - 1, start, previous)
        drop(previous, mask, first, n, dropped)
        times(dropped[first : first + n], R_zr, Rb_zr, products[:n])
        for b in range(n):
            g, p, hp, sb = sums[first + b], products[b], previous[first + b], s[first + b]
            for j in range(2 * H):
                g[j] = sigmoid(g[j] + p[j])
            r = g[H : 2 * H]
            for j in range(H):
                sb[j] = r[j] * hp[j]
        drop(s, mask, first, n, s)
        times(s[first : first + n], R_n, Rb_n, candidates[:n])
        for b in range(n):
            g, p, hp, h = sums[first + b], candidates[b], previous[first + b], y[first + b]
            z, m = g[:H], g[2 * H :]
            for j in range(H):
                m[j] = tanh(m[j] + p[j])
                h[j] = m[j] + z[j] * (hp[j] - m[j])


@compiled
def gru_before_backward(
    dy: Array, gates: Array, previous: Array, R_zr: Array, R_n: Array, zero: Array, sizes: Array, offsets: Array,
    reverse: bool, mask: Array, d_zr: Array, d_n: Array,
) -> Array:  # fmt: skip
    """Gradients of the sums: z r in ``d_zr`` [N, 2 H], n in ``d_n`` [N, H]."""
    T, H = sizes.shape[0], dy.shape[1]
    one = gates.dtype.type(1)
    carry = np.zeros((sizes[0], zero.shape[0]), gates.dtype)
    direct = np.zeros((sizes[0], H), gates.dtype)
    d_s = np.empty((sizes[0], zero.shape[0]), gates.dtype)
    for i in range(T):
        t = i if reverse else T - 1 - i
        n, first = sizes[t], offsets[t]
        for b in range(n):
            row = first + b
            g, hp, d, c, s, dz, dm = gates[row], previous[row], dy[row], carry[b], direct[b], d_zr[row], d_n[row]
            gz, gm = g[:H], g[2 * H :]
            for j in range(H):
                z, m = gz[j], gm[j]
                dh = d[j] + c[j] + s[j]
                s[j] = dh * z
                dz[j] = dh * (hp[j] - m) * z * (one - z)
                dm[j] = dh * (one - z) * (one - m * m)
        times(d_n[first : first + n], R_n, zero, d_s[:n])
        drop_back(d_s, mask, n)
        for b in range(n):
            gr, hp, s, ds, dr = (
                gates[first + b, H : 2 * H],
                previous[first + b],
                direct[b],
                d_s[b],
                d_zr[first + b, H:],
            )
            for j in range(H):
                r = gr[j]
                dr[j] = ds[j] * hp[j] * r * (one - r)
                s[j] += ds[j] * r
        times(d_zr[first : first + n], R_zr, zero, carry[:n])
        drop_back(carry, mask, n)
    return carry[:, :H] + direct


class GruDirection(Direction):
    """z r n; the reset gate after or before the product."""

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
