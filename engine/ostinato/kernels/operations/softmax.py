"""Probabilities: exp(x - max x) / sum of these."""

from __future__ import annotations

from ostinato.kernels.activations import exp
from ostinato.kernels.compiler import part, routine
from ostinato.kernels.operations.kind import Kind, Reach, Record, source, whole_vectors
from ostinato.kernels.operations.record import INPUT, INPUT_SIZE, OUTPUT, ROW_COUNT, ROW_STEP, ROWS
from ostinato.kernels.simd import BYTES, field, first_lanes, largest, load, splat, store, total, where_less
from ostinato.lanes import LANES


@part
def _softmax_row(x: int, size: int, out: int) -> None:
    """exp(x - max x) / sum of these; lanes beyond ``size`` become 0."""
    lowest = splat(-3.5e38)
    top = lowest
    left = size
    at = x
    while left > 0:
        v = first_lanes(left, load(at), lowest)
        top = where_less(top, v, v, top)
        at += BYTES
        left -= LANES
    greatest = splat(largest(top))
    sum_ = splat(0.0)
    left = size
    i = 0
    while left > 0:
        e = first_lanes(left, exp(load(x + i) - greatest), splat(0.0))
        store(out + i, e)
        sum_ = sum_ + e
        i += BYTES
        left -= LANES
    whole = splat(total(sum_))
    while i > 0:
        i -= BYTES
        store(out + i, load(out + i) / whole)


@routine("void(int64, int64)")
def softmax(op: int, call: int) -> None:
    """All rows."""
    for r in range(field(call, ROW_COUNT)):
        row = field(call, ROWS) + r * field(call, ROW_STEP)
        _softmax_row(row + 4 * field(op, INPUT), field(op, INPUT_SIZE), row + 4 * field(op, OUTPUT))


def _reach(op: Record) -> Reach:
    return Reach([source(op)], [whole_vectors(op[OUTPUT], op[INPUT_SIZE])])


SOFTMAX = Kind(softmax, _reach)
