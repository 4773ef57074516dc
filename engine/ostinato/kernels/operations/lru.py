"""The states of a diagonal state space: complex numbers that turn and fade, each on its own."""

from __future__ import annotations

from ostinato.kernels.compiler import routine
from ostinato.kernels.operations.kind import Kind, Reach, Record, Region
from ostinato.kernels.operations.record import DIAGONAL, ROW_STEP, STATE_C, UNITS, WEIGHTS, state_of
from ostinato.kernels.operations.recurrent import blocks_of, gates_step, reach, recurrent
from ostinato.kernels.simd import BYTES, field, fma, load, splat, store
from ostinato.lanes import padded


@routine("void(int64, int64, int64, int64, int64)")
def cell(op: int, call: int, rows: int, gates: int, out: int) -> None:
    """As `recurrent` has it: s' = turn * s + sums. All are blocks of 16 real parts, then the imaginary ones of these,
    but the outputs, which are all real parts, then all imaginary ones."""
    blocks = blocks_of(op)
    for r in range(rows):
        s = state_of(call, r) + 4 * field(op, STATE_C)
        for j in range(0, 2 * blocks * BYTES, 2 * BYTES):
            sums = gates + r * gates_step(op) + j
            turn = field(call, WEIGHTS) + 4 * field(op, DIAGONAL) + j
            re = load(s + j)
            im = load(s + j + BYTES)
            minus = splat(0.0) - load(turn + BYTES)
            store(s + j, fma(load(turn), re, fma(minus, im, load(sums))))
            store(s + j + BYTES, fma(load(turn), im, fma(load(turn + BYTES), re, load(sums + BYTES))))
        real = out + r * field(call, ROW_STEP)
        imaginary = real + 4 * field(op, UNITS)
        for j in range(blocks):
            store(real + j * BYTES, load(s + 2 * j * BYTES))
        for j in range(blocks):
            store(imaginary + j * BYTES, load(s + (2 * j + 1) * BYTES))


def _reach(op: Record) -> Reach:
    units = int(op[UNITS])
    found = reach(op, 2, width=units + padded(units), h=False, matrix_R=False)
    found.states.append(Region(int(op[STATE_C]), 2 * padded(units)))
    found.weights.append(Region(int(op[DIAGONAL]), 2 * padded(units)))
    return found


LRU = Kind(recurrent, _reach, cell)
