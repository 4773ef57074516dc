"""The product in int8: rows are rounded to bytes, multiplied by int8 weights, and the exact sums become float32.

An input x becomes the integer nearest to x / s (half to even), at most 63 in magnitude, where s is the matrix's input
scale; the byte is that plus 64. An output is float32(sum of integers times weights) * scale + initial, fused. Seven
bits of input rather than eight leave one more to the weights, of which eight have to fit an int16 (`integer_tile`).

A packed matrix lies in the buffer of float32 weights, bit for bit: 1 / s in 16 values of which the first counts; all
outputs' scales (input scale times weight scale); as int32, what takes the 64 of the bytes back (-64 times the sum of
an output's weights); the weights as `integer_tile` says.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ostinato.kernels.compiler import part, routine
from ostinato.kernels.integer_tile import GROUP, HOST, make_integer_tile
from ostinato.kernels.simd import (
    BYTES,
    ROUNDER,
    fma,
    load,
    load_float,
    load_int,
    splat,
    store_bytes,
    where_less,
)
from ostinato.lanes import LANES

MAGNITUDE = 63
"""The greatest integer that an input becomes."""
BLOCK = 64
"""Rows that are rounded and multiplied at a time."""

_ZERO = 64
_ROWS, _VECTORS, _ALONE = HOST.rows, HOST.vectors, HOST.alone

_t1, _t1_panel, _t1_alone = make_integer_tile(1, 1), make_integer_tile(1, _VECTORS), make_integer_tile(1, _ALONE)
_t2, _t2_panel = make_integer_tile(2, 1), make_integer_tile(2, _VECTORS)
_t4, _t4_panel = make_integer_tile(4, 1), make_integer_tile(4, _VECTORS)


def pack(
    weights: npt.NDArray[np.int8], scales: npt.NDArray[np.float32], input_scale: float
) -> npt.NDArray[np.float32]:
    """A matrix of integers [outputs, inputs], outputs a multiple of 16, with the ``scales`` [outputs] of its rows."""
    outputs = len(weights)
    wide = np.pad(weights, ((0, 0), (0, -weights.shape[1] % GROUP)))
    panels = wide.reshape(outputs // LANES, LANES, -1, 4).swapaxes(1, 2)
    head = np.full(LANES, 1 / np.float64(input_scale), np.float32)
    start = -_ZERO * wide.sum(axis=1, dtype=np.int32)
    parts = (head, (scales * np.float64(input_scale)).astype(np.float32), start, np.ascontiguousarray(panels))
    return np.concatenate([part.reshape(-1).view(np.float32) for part in parts])


def packed_size(inputs: int, vectors: int) -> int:
    """Values of the float32 buffer that a packed matrix of so many inputs and vectors of outputs takes."""
    outputs = vectors * LANES
    return LANES + 2 * outputs + outputs * (-(-inputs // GROUP) * GROUP) // 4


@part
def _round(table: int, offset: int, rows: int, vectors: int, per_unit: float, out: int) -> None:
    """Rows of ``vectors`` vectors as bytes, close together. NaN becomes the greatest integer: some fixed one."""
    factor = splat(per_unit)
    middle = splat(ROUNDER + _ZERO)  # the sum's lowest byte is the nearest integer, plus 64
    lowest = splat(ROUNDER + _ZERO - MAGNITUDE)
    highest = splat(ROUNDER + _ZERO + MAGNITUDE)
    for r in range(rows):
        row = load_int(table + 8 * r) + offset
        for v in range(vectors):
            x = fma(load(row + v * BYTES), factor, middle)
            x = where_less(x, highest, x, highest)
            store_bytes(out + (r * vectors + v) * LANES, where_less(lowest, x, x, lowest))


@routine("void(int64, int64, int64, int64, int64, int64, int64, int64, int64)")
def _one_row(
    x: int, K: int, weights: int, step: int, vectors: int, scale: int, start: int, initial: int, out: int
) -> None:
    """All outputs of one row; ``step``: from a vector's weights to the next one's."""
    v = 0
    while v + _ALONE <= vectors:
        at = v * BYTES
        _t1_alone(x, 0, K, weights + v * step, step, scale + at, start + at, initial + at, 0, out + at, 0)
        v += _ALONE
    while _VECTORS < _ALONE and v + _VECTORS <= vectors:
        at = v * BYTES
        _t1_panel(x, 0, K, weights + v * step, step, scale + at, start + at, initial + at, 0, out + at, 0)
        v += _VECTORS
    while _VECTORS > 1 and v < vectors:
        at = v * BYTES
        _t1(x, 0, K, weights + v * step, step, scale + at, start + at, initial + at, 0, out + at, 0)
        v += 1


@routine("void(int64, int64, int64, int64, int64, int64, int64, int64, int64, int64, int64)")
def _panel(
    x: int, rows: int, K: int, weights: int, step: int, scale: int, start: int,
    initial: int, initial_step: int, out: int, out_step: int,
) -> None:  # fmt: skip
    """As many vectors of outputs as a tile has, of several rows."""
    left = rows
    while _ROWS >= 4 and left >= 4:
        _t4_panel(x, K, K, weights, step, scale, start, initial, initial_step, out, out_step)
        x += 4 * K
        initial += 4 * initial_step
        out += 4 * out_step
        left -= 4
    while _ROWS >= 2 and left >= 2:
        _t2_panel(x, K, K, weights, step, scale, start, initial, initial_step, out, out_step)
        x += 2 * K
        initial += 2 * initial_step
        out += 2 * out_step
        left -= 2
    while left > 0:
        _t1_panel(x, 0, K, weights, step, scale, start, initial, 0, out, 0)
        x += K
        initial += initial_step
        out += out_step
        left -= 1


@routine("void(int64, int64, int64, int64, int64, int64, int64, int64, int64, int64)")
def _one_vector(
    x: int, rows: int, K: int, weights: int, scale: int, start: int,
    initial: int, initial_step: int, out: int, out_step: int,
) -> None:  # fmt: skip
    """One vector of outputs of several rows."""
    left = rows
    while _ROWS >= 4 and left >= 4:
        _t4(x, K, K, weights, 0, scale, start, initial, initial_step, out, out_step)
        x += 4 * K
        initial += 4 * initial_step
        out += 4 * out_step
        left -= 4
    while left >= 2:
        _t2(x, K, K, weights, 0, scale, start, initial, initial_step, out, out_step)
        x += 2 * K
        initial += 2 * initial_step
        out += 2 * out_step
        left -= 2
    if left > 0:
        _t1(x, 0, K, weights, 0, scale, start, initial, 0, out, 0)


@routine("void(int64, int64, int64, int64, int64, int64, int64, int64, int64, int64, int64)")
def product(
    table: int,
    offset: int,
    rows: int,
    K: int,
    matrix: int,
    vectors: int,
    initial: int,
    initial_step: int,
    out: int,
    out_step: int,
    scratch: int,
) -> None:
    """`ostinato.kernels.product.product` with a matrix that `pack` packed. ``scratch``: room for `BLOCK` rows of K
    bytes, each rounded up to whole vectors."""
    scale = matrix + BYTES
    start = scale + vectors * BYTES
    weights = start + vectors * BYTES
    inputs = -(-K // GROUP) * GROUP
    step = inputs * LANES
    for first in range(0, rows, BLOCK):
        count = min(BLOCK, rows - first)
        _round(table + 8 * first, offset, count, inputs // LANES, load_float(matrix), scratch)
        before = initial + first * initial_step
        after = out + first * out_step
        if count == 1:
            _one_row(scratch, inputs, weights, step, vectors, scale, start, before, after)
            continue
        v = 0
        while v + _VECTORS <= vectors:
            at = v * BYTES
            _panel(
                scratch, count, inputs, weights + v * step, step, scale + at, start + at,
                before + at, initial_step, after + at, out_step,
            )  # fmt: skip
            v += _VECTORS
        while _VECTORS > 1 and v < vectors:
            at = v * BYTES
            _one_vector(
                scratch, count, inputs, weights + v * step, scale + at, start + at,
                before + at, initial_step, after + at, out_step,
            )  # fmt: skip
            v += 1
