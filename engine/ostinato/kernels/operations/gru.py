"""Gated recurrent units, the reset gate after or before the product.

What needs one activation after another is made in two loops over a row: between short chains the processor finds more
to do at once than within long ones, which takes a sixth less time.
"""

from __future__ import annotations

from ostinato.kernels.activations import sigmoid, tanh
from ostinato.kernels.compiler import routine
from ostinato.kernels.operations.kind import Kind, Reach, Record, Region, matrix
from ostinato.kernels.operations.record import (
    R2,
    R_INT8,
    RECURRENT_BIAS,
    ROW_STEP,
    SCRATCH,
    TABLE,
    TABLE_H,
    UNITS,
    VECTORS,
    WEIGHTS,
    R,
    fill,
)  # fmt: skip
from ostinato.kernels.operations.recurrent import blocks_of, gates_step, reach, recur, recurrent
from ostinato.kernels.simd import BYTES, field, fma, load, load_int, store
from ostinato.lanes import LANES, padded


@routine("void(int64, int64, int64, int64, int64, int64)")
def gru_save_candidate(rows: int, blocks: int, gates: int, gates_step: int, scratch: int, bias: int) -> None:
    """GRU, reset after: W x of the candidate goes to ``scratch`` [rows, blocks], its place starts anew from Rb."""
    for r in range(rows):
        for j in range(blocks):
            n = gates + r * gates_step + (3 * j + 2) * BYTES
            store(scratch + (r * blocks + j) * BYTES, load(n))
            store(n, load(bias + j * BYTES))


@routine("void(int64, int64, int64, int64, int64, int64, int64, int64)")
def gru_after(
    table: int, rows: int, blocks: int, gates: int, gates_step: int, scratch: int, out: int, out_step: int
) -> None:
    """GRU, reset after: n = tanh(W x + r * (R h + Rb)); h' = n + z * (h - n). What is ``scratch`` is used up."""
    for r in range(rows):
        before = load_int(table + 8 * r)
        candidate = scratch + r * blocks * BYTES
        for j in range(blocks):
            at = gates + r * gates_step + (3 * j + 1) * BYTES
            n = candidate + j * BYTES
            store(n, fma(sigmoid(load(at)), load(at + BYTES), load(n)))
        for j in range(blocks):
            z = sigmoid(load(gates + r * gates_step + 3 * j * BYTES))
            n = tanh(load(candidate + j * BYTES))
            store(out + r * out_step + j * BYTES, fma(z, load(before + j * BYTES) - n, n))


@routine("void(int64, int64, int64, int64, int64, int64)")
def gru_reset(table: int, rows: int, blocks: int, gates: int, gates_step: int, scratch: int) -> None:
    """GRU, reset before: r * h to ``scratch`` [rows, blocks]."""
    for r in range(rows):
        before = load_int(table + 8 * r)
        for j in range(blocks):
            reset = sigmoid(load(gates + r * gates_step + (2 * j + 1) * BYTES))
            store(scratch + (r * blocks + j) * BYTES, reset * load(before + j * BYTES))


@routine("void(int64, int64, int64, int64, int64, int64, int64)")
def gru_before(table: int, rows: int, blocks: int, gates: int, gates_step: int, out: int, out_step: int) -> None:
    """GRU, reset before: n = tanh(W x + R (r * h)); h' = n + z * (h - n)."""
    for r in range(rows):
        before = load_int(table + 8 * r)
        for j in range(blocks):
            at = gates + r * gates_step
            z = sigmoid(load(at + 2 * j * BYTES))
            n = tanh(load(at + (2 * blocks + j) * BYTES))
            store(out + r * out_step + j * BYTES, fma(z, load(before + j * BYTES) - n, n))


@routine("void(int64, int64, int64, int64, int64)")
def after(op: int, call: int, rows: int, gates: int, out: int) -> None:
    """As `recurrent` has it; the reset gate after the product."""
    weights = field(call, WEIGHTS)
    table = field(call, TABLE_H)
    scratch = field(call, SCRATCH)
    blocks = blocks_of(op)
    step = gates_step(op)
    gru_save_candidate(rows, blocks, gates, step, scratch, weights + 4 * field(op, RECURRENT_BIAS))
    recur(op, call, table, rows, weights + 4 * field(op, R), field(op, VECTORS), gates)
    gru_after(table, rows, blocks, gates, step, scratch, out, field(call, ROW_STEP))


@routine("void(int64, int64, int64, int64, int64)")
def before(op: int, call: int, rows: int, gates: int, out: int) -> None:
    """As `recurrent` has it; the reset gate before the product, which is in two parts then."""
    weights = field(call, WEIGHTS)
    table = field(call, TABLE_H)
    scratch = field(call, SCRATCH)
    blocks = blocks_of(op)
    step = gates_step(op)
    recur(op, call, table, rows, weights + 4 * field(op, R), 2 * blocks, gates)
    gru_reset(table, rows, blocks, gates, step, scratch)
    second = field(call, TABLE)
    fill(second, rows, scratch, blocks * BYTES)
    recur(op, call, second, rows, weights + 4 * field(op, R2), blocks, gates + 2 * blocks * BYTES)
    gru_before(table, rows, blocks, gates, step, out, field(call, ROW_STEP))


def _after_reach(op: Record) -> Reach:
    found = reach(op, 3)
    found.weights.append(Region(int(op[RECURRENT_BIAS]), padded(int(op[UNITS]))))
    return found


def _before_reach(op: Record) -> Reach:
    blocks = padded(int(op[UNITS])) // LANES
    found = reach(op, 3, matrix_R=False)
    found.weights.append(matrix(op[R], op[UNITS], 2 * blocks, op[R_INT8]))
    found.weights.append(matrix(op[R2], op[UNITS], blocks, op[R_INT8]))
    return found


GRU_AFTER = Kind(recurrent, _after_reach, after)
GRU_BEFORE = Kind(recurrent, _before_reach, before)
