"""The first frame of each stream, in the place of all: kept in the state row, with COUNT, whether there was one."""

from __future__ import annotations

from ostinato.kernels.compiler import routine
from ostinato.kernels.copying import copy, copy_cleared
from ostinato.kernels.operations.kind import Kind, Reach, Record, Region, source, whole_vectors
from ostinato.kernels.operations.record import (
    BATCH_SIZES,
    COUNT,
    HISTORY,
    INPUT,
    INPUT_SIZE,
    OUTPUT,
    ROW_STEP,
    ROWS,
    STEPS,
    state_of,
)
from ostinato.kernels.simd import field, load_float, load_int, store_float
from ostinato.lanes import LANES, padded


@routine("void(int64, int64)")
def first(op: int, call: int) -> None:
    """All rows, in the order of time."""
    size = field(op, INPUT_SIZE)
    vectors = (size + LANES - 1) // LANES
    row = field(call, ROWS)
    for t in range(field(call, STEPS)):
        for b in range(load_int(field(call, BATCH_SIZES) + 8 * t)):
            kept = state_of(call, b) + 4 * field(op, HISTORY)
            there = state_of(call, b) + 4 * field(op, COUNT)
            if load_float(there) == 0.0:
                store_float(there, 1.0)
                copy_cleared(row + 4 * field(op, INPUT), kept, size)
            copy(kept, row + 4 * field(op, OUTPUT), vectors)
            row += field(call, ROW_STEP)


def _reach(op: Record) -> Reach:
    size = int(op[INPUT_SIZE])
    kept = [Region(int(op[HISTORY]), padded(size)), Region(int(op[COUNT]), LANES)]
    return Reach([source(op)], [whole_vectors(op[OUTPUT], size)], kept)


FIRST = Kind(first, _reach)
