"""A copy of the input, beside others: exactly its values are written, so that copies may come in any order."""

from __future__ import annotations

from ostinato.kernels import copying
from ostinato.kernels.compiler import routine
from ostinato.kernels.operations.elementwise import row_of
from ostinato.kernels.operations.kind import Kind, Reach, Record, Region
from ostinato.kernels.operations.record import INPUT, OUTPUT, OUTPUT_SIZE, ROW_COUNT
from ostinato.kernels.simd import field, load_float, store_float
from ostinato.lanes import LANES


@routine("void(int64, int64)")
def copy(op: int, call: int) -> None:
    """All rows."""
    size = field(op, OUTPUT_SIZE)
    whole = size // LANES
    for r in range(field(call, ROW_COUNT)):
        row = row_of(call, r)
        x = row + 4 * field(op, INPUT)
        out = row + 4 * field(op, OUTPUT)
        copying.copy(x, out, whole)
        for k in range(whole * LANES, size):
            store_float(out + 4 * k, load_float(x + 4 * k))


def _reach(op: Record) -> Reach:
    size = int(op[OUTPUT_SIZE])
    return Reach([Region(int(op[INPUT]), size)], [Region(int(op[OUTPUT]), size)])


COPY = Kind(copy, _reach)
