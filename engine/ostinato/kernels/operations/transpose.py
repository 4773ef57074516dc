"""A frame's values as a matrix, transposed: [rows, COLUMNS] become [COLUMNS, rows]."""

from __future__ import annotations

from ostinato.kernels.compiler import routine
from ostinato.kernels.copying import copy
from ostinato.kernels.operations.elementwise import row_of
from ostinato.kernels.operations.kind import Kind, Reach, Record, Region
from ostinato.kernels.operations.record import (
    COLUMNS,
    GATES,
    INPUT,
    OUTPUT,
    OUTPUT_SIZE,
    ROW_COUNT,
    TABLE,
)
from ostinato.kernels.simd import BYTES, field, store_int
from ostinato.kernels.simd import transpose as turn
from ostinato.lanes import LANES


@routine("void(int64, int64)")
def transpose(op: int, call: int) -> None:
    """All frames, a square of 16 by 16 values at a time.

    Whole vectors are written. What falls behind the end of one output row is the beginning of the next, which is
    written later: squares come from the left to the right, within them from below.
    """
    columns = field(op, COLUMNS)
    lines = field(op, OUTPUT_SIZE) // columns
    table = field(call, TABLE)
    square = field(call, GATES)
    for r in range(field(call, ROW_COUNT)):
        x = row_of(call, r) + 4 * field(op, INPUT)
        out = row_of(call, r) + 4 * field(op, OUTPUT)
        for left in range(0, columns, LANES):
            for top in range((lines - 1) // LANES * LANES, -1, -LANES):
                for k in range(LANES):
                    line = min(top + k, lines - 1)
                    store_int(table + 8 * k, x + 4 * line * columns)
                turn(table, 4 * left, square)
                for k in range(min(LANES, columns - left)):
                    copy(square + k * BYTES, out + 4 * ((left + k) * lines + top), 1)


def _reach(op: Record) -> Reach:
    size, columns = int(op[OUTPUT_SIZE]), int(op[COLUMNS])
    if not 0 < columns <= size or size % columns:
        raise ValueError(f"{size} values are no matrix of {columns} columns")
    found = Reach([Region(int(op[INPUT]), size)], [Region(int(op[OUTPUT]), size + LANES - 1)], scratch=LANES)
    found.loads.append(Region(int(op[INPUT]), size + LANES - 1))
    return found


TRANSPOSE = Kind(transpose, _reach)
