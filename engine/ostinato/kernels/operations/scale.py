"""A factor and a summand for each value: a x + b."""

from __future__ import annotations

from ostinato.kernels.compiler import routine
from ostinato.kernels.operations.elementwise import row_of, vectors_of, weighted_reach
from ostinato.kernels.operations.kind import Kind, Reach, Record
from ostinato.kernels.operations.record import BIAS, INPUT, OUTPUT, ROW_COUNT, WEIGHTS, W
from ostinato.kernels.simd import BYTES, field, fma, load, store


@routine("void(int64, int64)")
def scale(op: int, call: int) -> None:
    """All rows."""
    a = field(call, WEIGHTS) + 4 * field(op, W)
    b = field(call, WEIGHTS) + 4 * field(op, BIAS)
    for r in range(field(call, ROW_COUNT)):
        row = row_of(call, r)
        x = row + 4 * field(op, INPUT)
        out = row + 4 * field(op, OUTPUT)
        for i in range(vectors_of(op)):
            at = i * BYTES
            store(out + at, fma(load(a + at), load(x + at), load(b + at)))


def _reach(op: Record) -> Reach:
    return weighted_reach(op, op[W], op[BIAS])


SCALE = Kind(scale, _reach)
