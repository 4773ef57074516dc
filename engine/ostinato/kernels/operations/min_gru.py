"""The minimal gated recurrent unit."""

from __future__ import annotations

from ostinato.kernels.activations import sigmoid
from ostinato.kernels.compiler import part, routine
from ostinato.kernels.operations.kind import Kind, Reach, Record
from ostinato.kernels.operations.record import ROW_STEP, TABLE_H, VARIANT
from ostinato.kernels.operations.recurrent import blocks_of, gates_step, reach, recurrent
from ostinato.kernels.simd import BYTES, Lanes, field, fma, load, load_int, splat, store, where_less

POSITIVE = 1
"""The variant whose candidates are above 0."""


@part
def above_zero(x: Lanes) -> Lanes:
    """The g of the paper: v + 1/2 where v >= 0, else sigmoid(v)."""
    return where_less(x, splat(0.0), sigmoid(x), x + splat(0.5))


@routine("void(int64, int64, int64, int64, int64)")
def cell(op: int, call: int, rows: int, gates: int, out: int) -> None:
    """As `recurrent` has it: h' = h + z * (n - h)."""
    blocks = blocks_of(op)
    for r in range(rows):
        before = load_int(field(call, TABLE_H) + 8 * r)
        for j in range(blocks):
            at = gates + r * gates_step(op) + 2 * j * BYTES
            n = load(at + BYTES)
            if field(op, VARIANT) == POSITIVE:
                n = above_zero(n)
            h = load(before + j * BYTES)
            store(out + r * field(call, ROW_STEP) + j * BYTES, fma(sigmoid(load(at)), n - h, h))


def _reach(op: Record) -> Reach:
    return reach(op, 2, matrix_R=False)


MIN_GRU = Kind(recurrent, _reach, cell)
