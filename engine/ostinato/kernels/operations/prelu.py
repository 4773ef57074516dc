"""A rectifier whose slopes below zero are weights."""

from __future__ import annotations

from ostinato.kernels.compiler import routine
from ostinato.kernels.operations.elementwise import row_of, vectors_of, weighted_reach
from ostinato.kernels.operations.kind import Kind, Reach, Record
from ostinato.kernels.operations.record import INPUT, OUTPUT, ROW_COUNT, WEIGHTS, W
from ostinato.kernels.simd import BYTES, field, flushed, load, splat, store, where_less


@routine("void(int64, int64)")
def prelu(op: int, call: int) -> None:
    """All rows. What comes from outside may be denormal, so it is flushed first."""
    slopes = field(call, WEIGHTS) + 4 * field(op, W)
    zero = splat(0.0)
    for r in range(field(call, ROW_COUNT)):
        row = row_of(call, r)
        x = row + 4 * field(op, INPUT)
        out = row + 4 * field(op, OUTPUT)
        for i in range(vectors_of(op)):
            value = flushed(load(x + i * BYTES))
            store(out + i * BYTES, where_less(value, zero, load(slopes + i * BYTES) * value, value))


def _reach(op: Record) -> Reach:
    return weighted_reach(op, op[W])


PRELU = Kind(prelu, _reach)
