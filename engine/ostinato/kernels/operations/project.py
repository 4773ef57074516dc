"""Sums bias + W x of rows: what dense and recurrent operations begin with."""

from __future__ import annotations

from ostinato.kernels import integer
from ostinato.kernels.compiler import routine
from ostinato.kernels.copying import copy
from ostinato.kernels.operations.record import (
    BIAS,
    INPUT,
    INPUT_SIZE,
    INTEGERS,
    ROW_STEP,
    ROWS,
    TABLE,
    TOKENS,
    VECTORS,
    W_INT8,
    WEIGHTS,
    W,
    fill,
    from_afar,
    token,
)  # fmt: skip
from ostinato.kernels.product import PANEL, far_row, product
from ostinato.kernels.simd import BYTES, field, load, load_int, store


@routine("void(int64, int64, int64, int64, int64, int64, int64, int64, int64)")
def _look_up(
    table: int, offset: int, rows: int, size: int, weights: int, vectors: int, bias: int, out: int, out_step: int
) -> None:
    """The product with one-hot vectors: bias plus the token's column of the packed weights."""
    for r in range(rows):
        k = token(load_int(table + 8 * r) + offset, size)
        for v in range(vectors):
            panel = v // PANEL * PANEL
            width = min(PANEL, vectors - panel)
            w = weights + (panel * size + k * width + v - panel) * BYTES
            store(out + r * out_step + v * BYTES, load(bias + v * BYTES) + load(w))


@routine("void(int64, int64, int64, int64, int64, int64)")
def project(op: int, call: int, start: int, rows: int, out: int, out_step: int) -> None:
    """Sums bias + W x of ``rows`` rows from row ``start`` on, or those that are in the rows already (no W)."""
    table = field(call, TABLE)
    weights = field(call, WEIGHTS)
    step = field(call, ROW_STEP)
    if field(op, W) < 0:
        sums = field(call, ROWS) + start * step + 4 * field(op, INPUT)
        for r in range(rows):
            copy(sums + r * step, out + r * out_step, field(op, VECTORS))
        return
    fill(table, rows, field(call, ROWS) + start * step, step)
    w = weights + 4 * field(op, W)
    bias = weights + 4 * field(op, BIAS)
    offset = 4 * field(op, INPUT)
    if field(op, TOKENS):
        _look_up(table, offset, rows, field(op, INPUT_SIZE), w, field(op, VECTORS), bias, out, out_step)
    elif field(op, W_INT8):
        scratch = field(call, INTEGERS)
        integer.product(
            table, offset, rows, field(op, INPUT_SIZE), w, field(op, VECTORS), bias, 0, out, out_step, scratch
        )
    elif from_afar(op, call, rows):
        start_from = out if field(op, BIAS) < 0 else bias
        far_row(table, offset, field(op, INPUT_SIZE), w, field(op, VECTORS), start_from, out)
    elif field(op, BIAS) < 0:
        product(table, offset, rows, field(op, INPUT_SIZE), w, field(op, VECTORS), out, out_step, out, out_step)
    else:
        product(table, offset, rows, field(op, INPUT_SIZE), w, field(op, VECTORS), bias, 0, out, out_step)
