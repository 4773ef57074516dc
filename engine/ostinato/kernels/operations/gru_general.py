"""Gated recurrent units with any activations f (gates) and g (candidate), and with clipped sums.

Gates lie one behind the other, each as many vectors as there are of hidden units: activations run over them whole.
"""

from __future__ import annotations

from ostinato.kernels.compiler import routine
from ostinato.kernels.copying import copy
from ostinato.kernels.operations.gates import F, G, activate_gates, clip_sums
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
def _finish(op: int, call: int, h: int, z: int, n: int, out: int) -> None:
    """G of the candidate's sums ``n``, and h' = n + z * (h - n)."""
    blocks = blocks_of(op)
    clip_sums(op, call, n, blocks)
    activate_gates(op, call, G, n, blocks)
    for j in range(0, blocks * BYTES, BYTES):
        candidate = load(n + j)
        store(out + j, fma(load(z + j), load(h + j) - candidate, candidate))


@routine("void(int64, int64, int64, int64, int64)")
def after(op: int, call: int, rows: int, gates: int, out: int) -> None:
    """As `recurrent` has it; the reset gate after the product: n = g(W x + r * (R h + Rb))."""
    table = field(call, TABLE_H)
    blocks = blocks_of(op)
    step = gates_step(op)
    wide = blocks * BYTES
    scratch = field(call, SCRATCH)
    for r in range(rows):
        n = gates + r * step + 2 * wide
        copy(n, scratch + r * wide, blocks)
        copy(field(call, WEIGHTS) + 4 * field(op, RECURRENT_BIAS), n, blocks)
    recur(op, call, table, rows, field(call, WEIGHTS) + 4 * field(op, R), field(op, VECTORS), gates)
    for r in range(rows):
        z = gates + r * step
        clip_sums(op, call, z, 2 * blocks)
        activate_gates(op, call, F, z, 2 * blocks)
        n = scratch + r * wide
        for j in range(0, wide, BYTES):
            store(n + j, fma(load(z + wide + j), load(z + 2 * wide + j), load(n + j)))
        _finish(op, call, load_int(table + 8 * r), z, n, out + r * field(call, ROW_STEP))


@routine("void(int64, int64, int64, int64, int64)")
def before(op: int, call: int, rows: int, gates: int, out: int) -> None:
    """As `recurrent` has it; the reset gate before the product: n = g(W x + R (r * h))."""
    table = field(call, TABLE_H)
    blocks = blocks_of(op)
    step = gates_step(op)
    wide = blocks * BYTES
    scratch = field(call, SCRATCH)
    recur(op, call, table, rows, field(call, WEIGHTS) + 4 * field(op, R), 2 * blocks, gates)
    for r in range(rows):
        z = gates + r * step
        clip_sums(op, call, z, 2 * blocks)
        activate_gates(op, call, F, z, 2 * blocks)
        h = load_int(table + 8 * r)
        for j in range(0, wide, BYTES):
            store(scratch + r * wide + j, load(z + wide + j) * load(h + j))
    fill(field(call, TABLE), rows, scratch, wide)
    recur(op, call, field(call, TABLE), rows, field(call, WEIGHTS) + 4 * field(op, R2), blocks, gates + 2 * wide)
    for r in range(rows):
        z = gates + r * step
        _finish(op, call, load_int(table + 8 * r), z, z + 2 * wide, out + r * field(call, ROW_STEP))


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


GRU_GENERAL_AFTER = Kind(recurrent, _after_reach, after)
GRU_GENERAL_BEFORE = Kind(recurrent, _before_reach, before)
