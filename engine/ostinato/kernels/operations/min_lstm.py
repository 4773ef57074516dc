"""The minimal long short-term memory."""

from __future__ import annotations

from ostinato.activations import FUNCTIONS
from ostinato.kernels.activations import apply, sigmoid
from ostinato.kernels.compiler import part, routine
from ostinato.kernels.operations.kind import Kind, Reach, Record
from ostinato.kernels.operations.record import ROW_STEP, TABLE_H, VARIANT
from ostinato.kernels.operations.recurrent import blocks_of, gates_step, reach, recurrent
from ostinato.kernels.simd import BYTES, Lanes, field, fma, load, load_int, splat, store, where_less

POSITIVE = 1
"""The variant whose candidates are above 0."""
_SOFTPLUS = FUNCTIONS["softplus"].number


@part
def softplus_of_minus(x: Lanes) -> Lanes:
    """log(1 + e^-x)."""
    zero = splat(0.0)
    return apply(_SOFTPLUS, zero - x, zero, zero)


@routine("void(int64, int64, int64, int64, int64)")
def cell(op: int, call: int, rows: int, gates: int, out: int) -> None:
    """As `recurrent` has it: h' = h + share * (n - h), where share = i / (f + i)."""
    blocks = blocks_of(op)
    for r in range(rows):
        before = load_int(field(call, TABLE_H) + 8 * r)
        for j in range(blocks):
            at = gates + r * gates_step(op) + 3 * j * BYTES
            share = sigmoid(softplus_of_minus(load(at)) - softplus_of_minus(load(at + BYTES)))
            n = load(at + 2 * BYTES)
            if field(op, VARIANT) == POSITIVE:
                n = where_less(n, splat(0.0), sigmoid(n), n + splat(0.5))
            h = load(before + j * BYTES)
            store(out + r * field(call, ROW_STEP) + j * BYTES, fma(share, n - h, h))


def _reach(op: Record) -> Reach:
    return reach(op, 3, matrix_R=False)


MIN_LSTM = Kind(recurrent, _reach, cell)
