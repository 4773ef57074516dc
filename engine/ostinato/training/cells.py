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
from numba import njit

from ostinato.training.activations import FAST, activate, sigmoid, slope, tanh
from ostinato.training.packing import Array


@njit(cache=True, nogil=True)
def _take(source: Array, sizes: Array, offsets: Array, t: int, before: int, target: Array) -> None:
    """Rows of step t in ``target`` <- the same sequences' rows of step ``before`` in ``source``, or 0."""
    n, first, rows = sizes[t], offsets[t], 0
    if 0 <= before < sizes.shape[0]:
        rows = min(n, sizes[before])
        start = offsets[before]
        target[first : first + rows] = source[start : start + rows]
    target[first + rows : first + n] = 0


@njit(fastmath=FAST, cache=True, nogil=True)
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


@njit(fastmath=FAST, cache=True, nogil=True)
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


@njit(fastmath=FAST, cache=True, nogil=True)
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
    one = sums.dtype.type(1)
    products = np.empty((sizes[0], 3 * H), sums.dtype)
    for i in range(T):
        t = T - 1 - i if reverse else i
        n, first = sizes[t], offsets[t]
        _take(y, sizes, offsets, t, t + 1 if reverse else t - 1, previous)
        np.dot(previous[first : first + n], RT, products[:n])
        for b in range(n):
            g, p, h, hp, qb = sums[first + b], products[b], y[first + b], previous[first + b], q[first + b]
            for j in range(2 * H):
                g[j] = sigmoid(g[j] + p[j] + Rb[j])
            for j in range(H):
                qb[j] = p[2 * H + j] + Rb[2 * H + j]
                g[2 * H + j] = tanh(g[2 * H + j] + g[H + j] * qb[j])
                h[j] = (one - g[j]) * g[2 * H + j] + g[j] * hp[j]


@njit(fastmath=FAST, cache=True, nogil=True)
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
            di, dr = d_input[row], d_recurrent[row]
            for j in range(H):
                z, r, m = g[j], g[H + j], g[2 * H + j]
                dh = d[j] + c[j] + s[j]
                s[j] = dh * z
                dz = dh * (hp[j] - m) * z * (one - z)
                dm = dh * (one - z) * (one - m * m)
                dq = dm * qb[j] * r * (one - r)
                di[j] = dz
                dr[j] = dz
                di[H + j] = dq
                dr[H + j] = dq
                di[2 * H + j] = dm
                dr[2 * H + j] = dm * r
        np.dot(d_recurrent[first : first + n], R, carry[:n])


@njit(fastmath=FAST, cache=True, nogil=True)
def gru_before_forward(
    sums: Array, RT_zr: Array, RT_n: Array, Rb: Array, sizes: Array, offsets: Array, reverse: bool,
    y: Array, previous: Array, s: Array,
) -> None:  # fmt: skip
    """GRU with the reset gate before the product (Cho et al. 2014). ``sums`` becomes z r n; ``s`` = r * h.

    n = tanh(Wn x + Rn (r * h) + Wbn + Rbn), the rest as above. ``RT_zr`` [H, 2 H] and ``RT_n`` [H, H] are RT's parts.
    """
    T, H = sizes.shape[0], RT_n.shape[0]
    one = sums.dtype.type(1)
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
            for j in range(H):
                sb[j] = g[H + j] * hp[j]
        np.dot(s[first : first + n], RT_n, candidates[:n])
        for b in range(n):
            g, p, hp, h = sums[first + b], candidates[b], previous[first + b], y[first + b]
            for j in range(H):
                g[2 * H + j] = tanh(g[2 * H + j] + p[j] + Rb[2 * H + j])
                h[j] = (one - g[j]) * g[2 * H + j] + g[j] * hp[j]


@njit(fastmath=FAST, cache=True, nogil=True)
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
            for j in range(H):
                z, m = g[j], g[2 * H + j]
                dh = d[j] + c[j] + s[j]
                s[j] = dh * z
                dz[j] = dh * (hp[j] - m) * z * (one - z)
                dm[j] = dh * (one - z) * (one - m * m)
        np.dot(d_n[first : first + n], R_n, d_s[:n])
        for b in range(n):
            g, hp, s, ds, dr = gates[first + b], previous[first + b], direct[b], d_s[b], d_zr[first + b]
            for j in range(H):
                r = g[H + j]
                dr[H + j] = ds[j] * hp[j] * r * (one - r)
                s[j] += ds[j] * r
        np.dot(d_zr[first : first + n], R_zr, carry[:n])


@njit(fastmath=FAST, cache=True, nogil=True)
def lstm_forward(
    sums: Array, RT: Array, Rb: Array, P: Array, sizes: Array, offsets: Array, reverse: bool, y: Array, previous:
    Array, c: Array, c_previous: Array,
) -> None:  # fmt: skip
    """LSTM (gates i o f c; ``P`` [3 H] peepholes i o f, zeros without). ``sums`` becomes i o f g; ``c`` [N, H] cells.

    i = s(Wi x + Ri h + Pi * c + bi), f likewise, g = tanh(Wc x + Rc h + bc), c' = f * c + i * g,
    o = s(Wo x + Ro h + Po * c' + bo), h' = o * tanh(c')
    """
    T, H = sizes.shape[0], RT.shape[0]
    products = np.empty((sizes[0], 4 * H), sums.dtype)
    for i in range(T):
        t = T - 1 - i if reverse else i
        n, first, before = sizes[t], offsets[t], t + 1 if reverse else t - 1
        _take(y, sizes, offsets, t, before, previous)
        _take(c, sizes, offsets, t, before, c_previous)
        np.dot(previous[first : first + n], RT, products[:n])
        for b in range(n):
            a, p, h, cell, cp = sums[first + b], products[b], y[first + b], c[first + b], c_previous[first + b]
            for j in range(H):
                gi = sigmoid(a[j] + p[j] + Rb[j] + P[j] * cp[j])
                gf = sigmoid(a[2 * H + j] + p[2 * H + j] + Rb[2 * H + j] + P[2 * H + j] * cp[j])
                gc = tanh(a[3 * H + j] + p[3 * H + j] + Rb[3 * H + j])
                cell[j] = gf * cp[j] + gi * gc
                go = sigmoid(a[H + j] + p[H + j] + Rb[H + j] + P[H + j] * cell[j])
                h[j] = go * tanh(cell[j])
                a[j] = gi
                a[H + j] = go
                a[2 * H + j] = gf
                a[3 * H + j] = gc


@njit(fastmath=FAST, cache=True, nogil=True)
def lstm_backward(
    dy: Array, gates: Array, c: Array, c_previous: Array, R: Array, P: Array, sizes: Array, offsets: Array,
    reverse: bool, d_sums: Array,
) -> None:  # fmt: skip
    """``d_sums`` [N, 4 H] <- gradients of the sums i o f c."""
    T, H = sizes.shape[0], R.shape[1]
    one = gates.dtype.type(1)
    carry = np.zeros((sizes[0], H), gates.dtype)
    d_cell = np.zeros((sizes[0], H), gates.dtype)
    for i in range(T):
        t = i if reverse else T - 1 - i
        n, first = sizes[t], offsets[t]
        for b in range(n):
            row = first + b
            g, cell, cp, d, k, dc, ds = gates[row], c[row], c_previous[row], dy[row], carry[b], d_cell[b], d_sums[row]
            for j in range(H):
                gi, go, gf, gc = g[j], g[H + j], g[2 * H + j], g[3 * H + j]
                u = tanh(cell[j])
                dh = d[j] + k[j]
                d_o = dh * u * go * (one - go)
                dcell = dc[j] + dh * go * (one - u * u) + d_o * P[H + j]
                d_i = dcell * gc * gi * (one - gi)
                d_f = dcell * cp[j] * gf * (one - gf)
                ds[j] = d_i
                ds[H + j] = d_o
                ds[2 * H + j] = d_f
                ds[3 * H + j] = dcell * gi * (one - gc * gc)
                dc[j] = dcell * gf + d_i * P[j] + d_f * P[2 * H + j]
        np.dot(d_sums[first : first + n], R, carry[:n])
