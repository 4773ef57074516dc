"""Simple recurrent units."""

from __future__ import annotations

from ostinato.kernels.activations import sigmoid
from ostinato.kernels.compiler import routine
from ostinato.kernels.operations.kind import Kind, Reach, Record, Region
from ostinato.kernels.operations.record import (
    DIAGONAL,
    OUTPUT,
    ROW_STEP,
    SECOND,
    STATE_C,
    UNITS,
    VARIANT,
    WEIGHTS,
    state_of,
)
from ostinato.kernels.operations.recurrent import blocks_of, gates_step, reach, recurrent
from ostinato.kernels.simd import BYTES, field, fma, load, store
from ostinato.lanes import padded

PROJECTED = 1
"""The variant whose highway is a fourth gate; that of others is the values at SECOND."""


@routine("void(int64, int64, int64, int64, int64)")
def cell(op: int, call: int, rows: int, gates: int, out: int) -> None:
    """As `recurrent` has it: c' = w + f * (c - w), h' = x + r * (c' - x), x being the scaled highway."""
    count = 4 if field(op, VARIANT) == PROJECTED else 3
    for r in range(rows):
        c = state_of(call, r) + 4 * field(op, STATE_C)
        h = out + r * field(call, ROW_STEP)
        highway = h + 4 * (field(op, SECOND) - field(op, OUTPUT))
        for j in range(blocks_of(op)):
            at = gates + r * gates_step(op) + count * j * BYTES
            seen = field(call, WEIGHTS) + 4 * field(op, DIAGONAL) + 3 * j * BYTES
            w = load(at)
            old = load(c + j * BYTES)
            new = fma(sigmoid(fma(load(seen), old, load(at + BYTES))), old - w, w)
            share = sigmoid(fma(load(seen + BYTES), old, load(at + 2 * BYTES)))
            store(c + j * BYTES, new)
            x = load(seen + 2 * BYTES) * load(at + 3 * BYTES if count == 4 else highway + j * BYTES)
            store(h + j * BYTES, fma(share, new - x, x))


def _reach(op: Record) -> Reach:
    units = int(op[UNITS])
    projected = op[VARIANT] == PROJECTED
    found = reach(op, 4 if projected else 3, h=False, matrix_R=False)
    found.states.append(Region(int(op[STATE_C]), padded(units)))
    found.weights.append(Region(int(op[DIAGONAL]), 3 * padded(units)))
    if not projected:
        found.reads.append(Region(int(op[SECOND]), units))
    return found


SRU = Kind(recurrent, _reach, cell)
