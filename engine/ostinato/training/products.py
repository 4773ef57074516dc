"""Matrix products while learning: y = x W^T + b for rows of x, and the gradients of W and b.

In float32 they run on the engine's register tiles (`kernels.product`), which come close to what a processor can do
already at the 8 to 32 rows that a step of a recurrent layer has; how fast a BLAS library is there, and whether it
knows the processor at all, differs widely. Sums are over k in order, so numbers depend on no library. In float64,
for checks of gradients, they are NumPy's.

Matrices are ``packed`` and biases ``widened`` for `times`, once for all steps of a batch.
"""
# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from ostinato.kernels import prepare
from ostinato.kernels.aligned import zeros
from ostinato.kernels.compiler import part
from ostinato.kernels.product import PANEL, pack, product
from ostinato.kernels.simd import BYTES, address, load, splat, store, store_float, transpose
from ostinato.lanes import LANES, padded
from ostinato.training.activations import OPTIONS, compiled
from ostinato.training.packing import Array

_ROWS = 64
"""Of x that are multiplied at once."""
_DEPTH = 128
"""Rows over which a gradient is summed at once: a panel of so many stays in the first cache."""


def packed(W: Array) -> Array:
    """W [O, K] as `times` takes it: float32 in panels, its outputs filled up to whole vectors; float64 as W^T."""
    if W.dtype != np.float32:
        return np.ascontiguousarray(W.T)
    prepare(product)
    missing = padded(len(W)) - len(W)
    values = pack(np.concatenate([W, np.zeros((missing, W.shape[1]), W.dtype)]) if missing else W)
    aligned = zeros(values.size)
    aligned[:] = values
    return aligned


def widened(b: Array) -> Array:
    """B [O] as `times` takes it: float32 filled up to whole vectors."""
    if b.dtype != np.float32:
        return b
    wide = zeros(padded(len(b)))
    wide[: len(b)] = b
    return wide


def nothing(outputs: int, dtype: Any) -> Array:
    """A bias of zeros, as `times` takes it."""
    return widened(np.zeros(outputs, dtype))


def times(x: Array, W: Array, b: Array, out: Array) -> None:
    """``out`` [n, len(b)] <- x W^T + b for rows x [n, K], of a W that is `packed` and a b that is `widened`, whose
    values beyond W's outputs mean nothing. For compiled functions; arrays are contiguous."""
    raise NotImplementedError


@overload(times, jit_options=OPTIONS, strict=False)
def _times(x: Any, W: Any, b: Any, out: Any) -> Any:
    return _times32 if x.dtype == types.float32 else _times64


def _times32(x: Any, W: Any, b: Any, out: Any) -> None:
    table = np.empty(min(_ROWS, x.shape[0]), np.int64)
    step, out_step = 4 * x.shape[1], 4 * out.shape[1]
    for start in range(0, x.shape[0], _ROWS):
        rows = min(_ROWS, x.shape[0] - start)
        for r in range(rows):
            table[r] = address(x) + (start + r) * step
        product(
            address(table), 0, rows, x.shape[1], address(W), out.shape[1] // LANES, address(b), 0,
            address(out) + start * out_step, out_step,
        )  # fmt: skip


def _times64(x: Any, W: Any, b: Any, out: Any) -> None:
    np.dot(x, W, out)
    for r in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[r, j] += b[j]


def project(x: Array, W: Array, b: Array, out: Array) -> None:
    """``out`` [N, O] <- W x + b for all rows of x [N, K], or of token ids [N] standing for one-hot vectors."""
    if x.ndim == 1:
        np.add(W.T[x], b, out=out)
    else:
        _project(np.ascontiguousarray(x), packed(W), widened(b), out)


@compiled
def _project(x: Array, W: Array, b: Array, out: Array) -> None:
    if out.shape[1] == b.shape[0]:
        times(x, W, b, out)
        return
    room = np.empty((_ROWS, b.shape[0]), out.dtype)
    for start in range(0, x.shape[0], _ROWS):
        rows = min(_ROWS, x.shape[0] - start)
        times(x[start : start + rows], W, b, room[:rows])
        for r in range(rows):
            for j in range(out.shape[1]):
                out[start + r, j] = room[r, j]


def input_gradient(dy: Array, W: Array, out: Array) -> Array:
    """``out`` [N, K] <- the gradient of x in `project`, of ``dy`` [N, O]."""
    project(dy, W.T, np.zeros(W.shape[1], dy.dtype), out)
    return out


def weight_gradients(x: Array, dy: Array, W: Array) -> tuple[Array, Array]:
    """Gradients of W [O, K] and of b in `project`, summed over the rows of x and of ``dy`` [N, O]."""
    if x.ndim == 1:
        columns = np.zeros((W.shape[1], W.shape[0]), dy.dtype)
        scatter_add(columns, x, dy)
        return np.ascontiguousarray(columns.T), dy.sum(axis=0)
    if dy.dtype != np.float32:
        return dy.T @ x, dy.sum(axis=0)
    d_W, _, d_b = _summed(x, x[:, :0], dy)
    return d_W, d_b


def both_gradients(x: Array, h: Array, dy: Array, W: Array, R: Array) -> tuple[Array, Array, Array]:
    """Gradients of W [O, K], of R [O, H] and of b in W x + R h + b, where ``dy`` goes through memory once."""
    if x.ndim == 1 or dy.dtype != np.float32:
        (d_W, d_b), (d_R, _) = weight_gradients(x, dy, W), weight_gradients(h, dy, R)
        return d_W, d_R, d_b
    return _summed(x, h, dy)


def _summed(x: Array, h: Array, dy: Array) -> tuple[Array, Array, Array]:
    prepare(product)
    outputs, K = dy.shape[1], x.shape[1] + h.shape[1]
    columns, b = zeros(K, padded(outputs)), zeros(padded(outputs))
    room = np.empty(_DEPTH * (K + PANEL * LANES) + LANES, np.float32)
    d_W, d_R = (np.empty((outputs, each.shape[1]), np.float32) for each in (x, h))
    _gradients(np.ascontiguousarray(x), np.ascontiguousarray(h), dy, room, columns, d_W, d_R, b)
    return d_W, d_R, b[:outputs]


@compiled
def _gradients(
    x: Array, h: Array, dy: Array, room: Array, columns: Array, d_W: Array, d_R: Array, b: Array
) -> None:  # fmt: skip
    """``columns`` [K, O] += x^T dy, those below [H, O] += h^T dy, ``b`` [O] += the sum of dy, outputs filled up to
    whole vectors; ``d_W`` [O, K] and ``d_R`` [O, H] <- the columns, turned.

    ``room`` is for `_DEPTH` rows of x and h, turned, and of a panel of dy; the caller's, as Numba would free an array
    of which only the address is still used.
    """
    outputs, K, H, width, sums = dy.shape[1], x.shape[1], h.shape[1], columns.shape[1], address(columns)
    turned = (address(room) + BYTES - 1) // BYTES * BYTES
    panel = turned + 4 * (K + H) * _DEPTH
    table, places = np.empty(K + H, np.int64), np.empty(outputs, np.int64)
    for k in range(K + H):
        table[k] = turned + 4 * k * _DEPTH
    for start in range(0, x.shape[0], _DEPTH):
        rows = min(_DEPTH, x.shape[0] - start)
        _turn(x[start : start + rows], table[:K])
        _turn(h[start : start + rows], table[K:])
        for first in range(0, width, PANEL * LANES):
            pitch = min(PANEL * LANES, width - first)
            _pack(dy[start : start + rows], first, pitch, panel, b)
            at = sums + 4 * first
            product(address(table), 0, K + H, rows, panel, pitch // LANES, at, 4 * width, at, 4 * width)
    for output in range(outputs):
        places[output] = address(d_W) + 4 * K * output
    _turn(columns[:K, :outputs], places)
    for output in range(outputs):
        places[output] = address(d_R) + 4 * H * output
    _turn(columns[K:, :outputs], places)


@compiled
def _pack(dy: Array, first: int, pitch: int, panel: int, b: Array) -> None:
    """The rows of ``dy`` [n, O] as the inputs of ``pitch`` outputs from the ``first`` on, a panel from an address on;
    what they add up to is added to ``b``."""
    rows, outputs = dy.shape
    if pitch == PANEL * LANES and first + pitch <= outputs:
        _pack_whole(address(dy) + 4 * first, 4 * outputs, rows, panel, address(b) + 4 * first)
        return
    for at in range(first, first + pitch, LANES):
        place = panel + 4 * (at - first)
        if at + LANES <= outputs:
            total = load(address(b) + 4 * at)
            for r in range(rows):
                values = load(address(dy) + 4 * (r * outputs + at))
                store(place + 4 * r * pitch, values)
                total = total + values
            store(address(b) + 4 * at, total)
        else:
            for r in range(rows):
                store(place + 4 * r * pitch, splat(0.0))
                for j in range(at, outputs):
                    store_float(place + 4 * (r * pitch + j - at), dy[r, j])
                    b[j] += dy[r, j]


@part
def _pack_whole(dy: int, step: int, rows: int, panel: int, b: int) -> None:
    """`_pack` of a panel of whole vectors: a row's are read together, as memory gives them."""
    w, x, y, z = load(b), load(b + BYTES), load(b + 2 * BYTES), load(b + 3 * BYTES)
    for _ in range(rows):
        p, q, r, s = load(dy), load(dy + BYTES), load(dy + 2 * BYTES), load(dy + 3 * BYTES)
        store(panel, p)
        store(panel + BYTES, q)
        store(panel + 2 * BYTES, r)
        store(panel + 3 * BYTES, s)
        w, x, y, z = w + p, x + q, y + r, z + s
        dy += step
        panel += PANEL * BYTES
    store(b, w)
    store(b + BYTES, x)
    store(b + 2 * BYTES, y)
    store(b + 3 * BYTES, z)


@compiled
def _turn(x: Array, table: Array) -> None:
    """The columns of ``x`` [n, K], whose rows are contiguous, to the addresses in ``table`` [K]."""
    rows, K = x.shape
    step = x.strides[0]
    lanes, block = np.empty(LANES, np.int64), np.empty(LANES * LANES, np.float32)
    for r in range(0, rows, LANES):
        for k in range(0, K, LANES):
            if r + LANES <= rows and k + LANES <= K:
                for lane in range(LANES):
                    lanes[lane] = address(x) + (r + lane) * step + 4 * k
                transpose(address(lanes), 0, address(block))
                for lane in range(LANES):
                    store(table[k + lane] + 4 * r, load(address(block) + lane * BYTES))
            else:
                for row in range(r, min(r + LANES, rows)):
                    for value in range(k, min(k + LANES, K)):
                        store_float(table[value] + 4 * row, x[row, value])


@compiled
def scatter_add(table: Array, ids: Array, rows: Array) -> None:
    """table[ids[i]] += rows[i] for each i, repeats included."""
    for i in range(ids.shape[0]):
        target, row = table[ids[i]], rows[i]
        for j in range(row.shape[0]):
            target[j] += row[j]
