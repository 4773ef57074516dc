"""Sums of two inputs, value by value."""

from __future__ import annotations

from ostinato.kernels.compiler import routine
from ostinato.kernels.operations.elementwise import activate_row, reach_of_two, row_of, vectors_of
from ostinato.kernels.operations.kind import Kind
from ostinato.kernels.operations.record import INPUT, OUTPUT, ROW_COUNT, SECOND, SECOND_SIZE
from ostinato.kernels.simd import BYTES, field, load, load_float, splat, store


@routine("void(int64, int64)")
def add(op: int, call: int) -> None:
    """All rows."""
    for r in range(field(call, ROW_COUNT)):
        row = row_of(call, r)
        x = row + 4 * field(op, INPUT)
        second = row + 4 * field(op, SECOND)
        out = row + 4 * field(op, OUTPUT)
        if field(op, SECOND_SIZE) == 1:
            same = splat(load_float(second))
            for i in range(vectors_of(op)):
                store(out + i * BYTES, load(x + i * BYTES) + same)
        else:
            for i in range(vectors_of(op)):
                store(out + i * BYTES, load(x + i * BYTES) + load(second + i * BYTES))
        activate_row(op, call, row)


ADD = Kind(add, reach_of_two)
