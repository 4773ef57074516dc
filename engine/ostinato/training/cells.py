"""The recurrences, forward and through time backward, over packed rows (`packing`).

Each forward function takes a layer's inputs already projected, W x + Wb, for all N rows at once, and overwrites them
with what backward needs. Per step there is one product (BLAS) and one fused loop. Each backward function gives the
gradients of the sums inside the gates; weight gradients are then one product over all rows (`layers`).

Shapes: gates G, hidden H, steps T, ``sums`` [N, G H], ``RT`` [H, G H] the transposed recurrent weights, ``Rb`` [G H],
``y`` [N, H] the outputs, ``previous`` [N, H] the state that each row started from. ``reverse`` runs from each
sequence's end to its start. Formulas and gate orders: ONNX operators RNN, GRU, LSTM (opset 22); gradients by the
chain rule (Werbos 1990, Back-propagation through time).
"""
# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

from typing import Any

import numpy as np

from ostinato.training.activations import activate, compiled, sigmoid, slope, tanh
from ostinato.training.packing import Array


@compiled
def _take(source: Array, sizes: Array, offsets: Array, t: int, before: int, target: Array) -> None:
    """Rows of step t in ``target`` <- the same sequences' rows of step ``before`` in ``source``, or 0."""
    n, first, rows = sizes[t], offsets[t], 0
    if 0 <= before < sizes.shape[0]:
        rows = min(n, sizes[before])
        start = offsets[before]
        target[first : first + rows] = source[start : start + rows]
    target[first + rows : first + n] = 0


@compiled
def rnn_forward(
    sums: Array, RT: Array, Rb: Array, code: int, alpha: Any, beta: Any, sizes: Array, offsets: Array, reverse: bool,
    y: Array, previous: Array,
) -> None:  # fmt: skip
    """h<t> = f(W x<t> + R h<t-1> + Wb + Rb). ``sums`` becomes f's argument."""
    T, H = sizes.shape[0], RT.shape[0]
    one = sums.dtype.type(1)
    products = np.empty((sizes[0], H), sums.dtype)
    for i in range(T):
        t = T - 1 - i if reverse else i
        n, first = sizes[t], offsets[t]
        _take(y, sizes, offsets, t, t + 1 if reverse else t - 1, previous)
        np.dot(previous[first : first + n], RT, products[:n])
        for b in range(n):
            a, p, h = sums[first + b], products[b], y[first + b]
            for j in range(H):
                a[j] += p[j] + Rb[j]
                h[j] = activate(code, alpha, beta, one, a[j])


@compiled
def rnn_backward(
    dy: Array, sums: Array, y: Array, R: Array, code: int, alpha: Any, beta: Any, sizes: Array, offsets: Array,
    reverse: bool, d_sums: Array,
) -> None:  # fmt: skip
    """``d_sums`` [N, H] <- gradients of f's argument."""
    T, H = sizes.shape[0], R.shape[1]
    one = sums.dtype.type(1)
    carry = np.zeros((sizes[0], H), sums.dtype)
    for i in range(T):
        t = i if reverse else T - 1 - i
        n, first = sizes[t], offsets[t]
        for b in range(n):
            a, h, d, c, da = sums[first + b], y[first + b], dy[first + b], carry[b], d_sums[first + b]
            for j in range(H):
                da[j] = (d[j] + c[j]) * slope(code, alpha, beta, one, a[j], h[j])
        np.dot(d_sums[first : first + n], R, carry[:n])


@compiled
def gru_after_forward(
    sums: Array,
    RT: Array,
    Rb: Array,
    sizes: Array,
    offsets: Array,
    reverse: bool,
    y: Array,
    previous: Array,
    q: Array,
) -> None:
    """GRU, the reset gate after the product (linear_before_reset = 1). ``sums`` becomes z r n; ``q`` is Rn h + Rbn.

    z = s(Wz x + Rz h + bz), r likewise, n = tanh(Wn x + Wbn + r * (Rn h + Rbn)), h' = (1 - z) * n + z * h
    """
    T, H = sizes.shape[0], RT.shape[0]
    Rbn = Rb[2 * H :]
    products = np.empty((sizes[0], 3 * H), sums.dtype)
    for i in range(T):
        t = T - 1 - i if reverse else i
        n, first = sizes[t], offsets[t]
        _take(y, sizes, offsets, t, t + 1 if reverse else t - 1, previous)
        np.dot(previous[first : first + n], RT, products[:n])
        for b in range(n):
            g, p, h, hp, qb = sums[first + b], products[b], y[first + b], previous[first + b], q[first + b]
            z, r, m, pm = g[:H], g[H : 2 * H], g[2 * H :], p[2 * H :]
            for j in range(2 * H):
                g[j] = sigmoid(g[j] + p[j] + Rb[j])
            for j in range(H):
                qb[j] = pm[j] + Rbn[j]
                m[j] = tanh(m[j] + r[j] * qb[j])
                h[j] = m[j] + z[j] * (hp[j] - m[j])


@compiled
def gru_after_backward(
    dy: Array, gates: Array, q: Array, previous: Array, R: Array, sizes: Array, offsets: Array, reverse: bool,
    d_input: Array, d_recurrent: Array,
) -> None:  # fmt: skip
    """Gradients of the sums z r n on the input's side [N, 3 H] and on the recurrent side, where n's is times r."""
    T, H = sizes.shape[0], R.shape[1]
    one = gates.dtype.type(1)
    carry = np.zeros((sizes[0], H), gates.dtype)
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
        np.dot(d_recurrent[first : first + n], R, carry[:n])


@compiled
def gru_before_forward(
    sums: Array, RT_zr: Array, RT_n: Array, Rb: Array, sizes: Array, offsets: Array, reverse: bool,
    y: Array, previous: Array, s: Array,
) -> None:  # fmt: skip
    """GRU with the reset gate before the product (Cho et al. 2014). ``sums`` becomes z r n; ``s`` = r * h.

    n = tanh(Wn x + Rn (r * h) + Wbn + Rbn), the rest as above. ``RT_zr`` [H, 2 H] and ``RT_n`` [H, H] are RT's parts.
    """
    T, H = sizes.shape[0], RT_n.shape[0]
    Rbn = Rb[2 * H :]
    products = np.empty((sizes[0], 2 * H), sums.dtype)
    candidates = np.empty((sizes[0], H), sums.dtype)
    for i in range(T):
        t = T - 1 - i if reverse else i
        n, first = sizes[t], offsets[t]
        _take(y, sizes, offsets, t, t + 1 if reverse else t - 1, previous)
        np.dot(previous[first : first + n], RT_zr, products[:n])
        for b in range(n):
            g, p, hp, sb = sums[first + b], products[b], previous[first + b], s[first + b]
            for j in range(2 * H):
                g[j] = sigmoid(g[j] + p[j] + Rb[j])
            r = g[H : 2 * H]
            for j in range(H):
                sb[j] = r[j] * hp[j]
        np.dot(s[first : first + n], RT_n, candidates[:n])
        for b in range(n):
            g, p, hp, h = sums[first + b], candidates[b], previous[first + b], y[first + b]
            z, m = g[:H], g[2 * H :]
            for j in range(H):
                m[j] = tanh(m[j] + p[j] + Rbn[j])
                h[j] = m[j] + z[j] * (hp[j] - m[j])


@compiled
def gru_before_backward(
    dy: Array, gates: Array, previous: Array, R_zr: Array, R_n: Array, sizes: Array, offsets: Array, reverse: bool,
    d_zr: Array, d_n: Array,
) -> None:  # fmt: skip
    """Gradients of the sums: z r in ``d_zr`` [N, 2 H], n in ``d_n`` [N, H]."""
    T, H = sizes.shape[0], R_n.shape[1]
    one = gates.dtype.type(1)
    carry = np.zeros((sizes[0], H), gates.dtype)
    direct = np.zeros((sizes[0], H), gates.dtype)
    d_s = np.empty((sizes[0], H), gates.dtype)
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
        np.dot(d_n[first : first + n], R_n, d_s[:n])
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
        np.dot(d_zr[first : first + n], R_zr, carry[:n])


@compiled
def lstm_forward(
    sums: Array, RT: Array, Rb: Array, P: Array, sizes: Array, offsets: Array, reverse: bool, y: Array,
    previous: Array, c: Array, c_previous: Array,
) -> None:  # fmt: skip
    """LSTM (gates i o f c; ``P`` [3 H] peepholes i o f, zeros without). ``sums`` becomes i o f g; ``c`` [N, H] cells.

    i = s(Wi x + Ri h + Pi * c + bi), f likewise, g = tanh(Wc x + Rc h + bc), c' = f * c + i * g,
    o = s(Wo x + Ro h + Po * c' + bo), h' = o * tanh(c')
    """
    T, H = sizes.shape[0], RT.shape[0]
    bi, bo, bf, bg = Rb[:H], Rb[H : 2 * H], Rb[2 * H : 3 * H], Rb[3 * H :]
    Pi, Po, Pf = P[:H], P[H : 2 * H], P[2 * H :]
    products = np.empty((sizes[0], 4 * H), sums.dtype)
    for i in range(T):
        t = T - 1 - i if reverse else i
        n, first, before = sizes[t], offsets[t], t + 1 if reverse else t - 1
        _take(y, sizes, offsets, t, before, previous)
        _take(c, sizes, offsets, t, before, c_previous)
        np.dot(previous[first : first + n], RT, products[:n])
        for b in range(n):
            a, p, h, cell, cp = sums[first + b], products[b], y[first + b], c[first + b], c_previous[first + b]
            ai, ao, af, ag = a[:H], a[H : 2 * H], a[2 * H : 3 * H], a[3 * H :]
            pi, po, pf, pg = p[:H], p[H : 2 * H], p[2 * H : 3 * H], p[3 * H :]
            for j in range(H):
                ai[j] = sigmoid(ai[j] + pi[j] + bi[j] + Pi[j] * cp[j])
                af[j] = sigmoid(af[j] + pf[j] + bf[j] + Pf[j] * cp[j])
            for j in range(H):
                ag[j] = tanh(ag[j] + pg[j] + bg[j])
                cell[j] = af[j] * cp[j] + ai[j] * ag[j]
            for j in range(H):
                ao[j] = sigmoid(ao[j] + po[j] + bo[j] + Po[j] * cell[j])
                h[j] = ao[j] * tanh(cell[j])


@compiled
def lstm_backward(
    dy: Array, gates: Array, c: Array, c_previous: Array, R: Array, P: Array, sizes: Array, offsets: Array,
    reverse: bool, d_sums: Array,
) -> None:  # fmt: skip
    """``d_sums`` [N, 4 H] <- gradients of the sums i o f c."""
    T, H = sizes.shape[0], R.shape[1]
    one = gates.dtype.type(1)
    carry = np.zeros((sizes[0], H), gates.dtype)
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
        np.dot(d_sums[first : first + n], R, carry[:n])
