"""An activation function by itself: f(x)."""

from __future__ import annotations

from ostinato.kernels.compiler import routine
from ostinato.kernels.operations.elementwise import activate_row, reach, row_of, vectors_of
from ostinato.kernels.operations.kind import Kind
from ostinato.kernels.operations.record import INPUT, OUTPUT, ROW_COUNT
from ostinato.kernels.simd import BYTES, field, flushed, load, store


@routine("void(int64, int64)")
def activate(op: int, call: int) -> None:
    """All rows. What comes from outside may be denormal, so it is flushed first."""
    for r in range(field(call, ROW_COUNT)):
        row = row_of(call, r)
        x = row + 4 * field(op, INPUT)
        out = row + 4 * field(op, OUTPUT)
        for i in range(vectors_of(op)):
            store(out + i * BYTES, flushed(load(x + i * BYTES)))
        activate_row(op, call, row)


ACTIVATE = Kind(activate, reach)
