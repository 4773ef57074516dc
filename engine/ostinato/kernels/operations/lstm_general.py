"""Long short-term memory with any activations f (gates), g (candidate) and h (output), clipped sums, coupled gates,
or a projection of its outputs.

Gates lie one behind the other, each as many vectors as there are of hidden units: activations run over them whole.
"""

from __future__ import annotations

from ostinato.kernels.compiler import routine
from ostinato.kernels.copying import copy
from ostinato.kernels.operations.gates import F, G, H, activate_gates, clip_sums
from ostinato.kernels.operations.kind import Kind, Reach, Record, Region, matrix
from ostinato.kernels.operations.record import (
    DIAGONAL,
    OUTPUT_SIZE,
    R2,
    RECURRENT_BIAS,
    ROW_STEP,
    STATE_C,
    TABLE,
    TABLE_H,
    UNITS,
    VARIANT,
    VECTORS,
    WEIGHTS,
    R,
    fill,
    state_of,
)  # fmt: skip
from ostinato.kernels.operations.recurrent import blocks_of, gates_step, reach, recur, recurrent
from ostinato.kernels.product import product
from ostinato.kernels.simd import BYTES, field, first_lanes, fma, load, splat, store
from ostinato.lanes import LANES, padded

COUPLED = 1
"""The variant whose forget gate is what the input gate leaves."""


@routine("void(int64, int64, int64, int64)")
def _see(sums: int, peepholes: int, c: int, blocks: int) -> None:
    """Adds what a gate sees of the cell state."""
    for j in range(0, blocks * BYTES, BYTES):
        store(sums + j, fma(load(peepholes + j), load(c + j), load(sums + j)))


@routine("void(int64, int64, int64, int64)")
def _activated(op: int, call: int, which: int, gate: int) -> None:
    """F or g of a gate's clipped sums, in place."""
    clip_sums(op, call, gate, blocks_of(op))
    activate_gates(op, call, which, gate, blocks_of(op))


@routine("void(int64, int64, int64, int64)")
def _row(op: int, call: int, i: int, c: int) -> None:
    """One stream's step: gate sums from ``i`` on become o * h(c'), which is where i was; c' is at ``c``."""
    blocks = blocks_of(op)
    wide = blocks * BYTES
    o = i + wide
    f = o + wide
    g = f + wide
    peepholes = field(call, WEIGHTS) + 4 * field(op, DIAGONAL)
    if field(op, DIAGONAL) >= 0:
        _see(i, peepholes, c, blocks)
        _see(f, peepholes + 2 * wide, c, blocks)
    _activated(op, call, F, i)
    if field(op, VARIANT) == COUPLED:
        for j in range(0, wide, BYTES):
            store(f + j, splat(1.0) - load(i + j))
    else:
        _activated(op, call, F, f)
    _activated(op, call, G, g)
    left = field(op, UNITS)
    for j in range(0, wide, BYTES):
        new = fma(load(f + j), load(c + j), load(i + j) * load(g + j))
        store(c + j, first_lanes(left, new, splat(0.0)))
        left -= LANES
    if field(op, DIAGONAL) >= 0:
        _see(o, peepholes + wide, c, blocks)
    _activated(op, call, F, o)
    copy(c, i, blocks)
    activate_gates(op, call, H, i, blocks)
    for j in range(0, wide, BYTES):
        store(i + j, load(o + j) * load(i + j))


@routine("void(int64, int64, int64, int64, int64)")
def cell(op: int, call: int, rows: int, gates: int, out: int) -> None:
    """As `recurrent` has it."""
    weights = field(call, WEIGHTS)
    step = gates_step(op)
    out_step = field(call, ROW_STEP)
    recur(op, call, field(call, TABLE_H), rows, weights + 4 * field(op, R), field(op, VECTORS), gates)
    for r in range(rows):
        _row(op, call, gates + r * step, state_of(call, r) + 4 * field(op, STATE_C))
        if field(op, R2) < 0:
            copy(gates + r * step, out + r * out_step, blocks_of(op))
    if field(op, R2) >= 0:
        table = field(call, TABLE)
        fill(table, rows, gates, step)
        vectors = (field(op, OUTPUT_SIZE) + LANES - 1) // LANES
        start = weights + 4 * field(op, RECURRENT_BIAS)
        product(table, 0, rows, field(op, UNITS), weights + 4 * field(op, R2), vectors, start, 0, out, out_step)


def _reach(op: Record) -> Reach:
    units, outputs = padded(int(op[UNITS])), padded(int(op[OUTPUT_SIZE]))
    found = reach(op, 4, width=int(op[OUTPUT_SIZE]) if op[R2] >= 0 else None)
    found.states.append(Region(int(op[STATE_C]), units))
    if op[DIAGONAL] >= 0:
        found.weights.append(Region(int(op[DIAGONAL]), 3 * units))
    if op[R2] >= 0:
        found.weights.append(matrix(op[R2], op[UNITS], outputs // LANES, 0))
        found.weights.append(Region(int(op[RECURRENT_BIAS]), outputs))
    return found


LSTM_GENERAL = Kind(recurrent, _reach, cell)
