"""Values of a row, in another order. Where 16 that follow each other are wanted, or 16 zeros, they are a vector.

The weight buffer has at W, as float32 (which has all whole numbers that can be places in a row), of each whole vector
of outputs where the input's values for it begin, NOTHING for zeros, or SINGLY; then the number of each value that is
wanted. What is no number of a value stands for a zero, so that nothing outside the input is read.
"""

from __future__ import annotations

from ostinato.kernels.compiler import routine
from ostinato.kernels.operations.elementwise import row_of
from ostinato.kernels.operations.kind import Kind, Reach, Record, Region
from ostinato.kernels.operations.record import INPUT, INPUT_SIZE, OUTPUT, OUTPUT_SIZE, ROW_COUNT, WEIGHTS, W
from ostinato.kernels.simd import BYTES, field, load, load_float, splat, store, store_float
from ostinato.lanes import LANES

NOTHING, SINGLY = -1, -2


@routine("void(int64, int64, int64, int64, int64, int64)")
def _singly(numbers: int, x: int, size: int, out: int, first: int, last: int) -> None:
    """The values from ``first`` to ``last`` - 1, of an input of ``size``."""
    for k in range(first, last):
        number = int(load_float(numbers + 4 * k))
        if 0 <= number < size:
            store_float(out + 4 * k, load_float(x + 4 * number))
        else:
            store_float(out + 4 * k, 0.0)


@routine("void(int64, int64)")
def gather(op: int, call: int) -> None:
    """All rows."""
    count = field(op, OUTPUT_SIZE)
    size = field(op, INPUT_SIZE)
    whole = count // LANES
    vectors = field(call, WEIGHTS) + 4 * field(op, W)
    numbers = vectors + 4 * whole
    zero = splat(0.0)
    for r in range(field(call, ROW_COUNT)):
        x = row_of(call, r) + 4 * field(op, INPUT)
        out = row_of(call, r) + 4 * field(op, OUTPUT)
        for v in range(whole):
            start = int(load_float(vectors + 4 * v))
            if 0 <= start <= size - LANES:
                store(out + v * BYTES, load(x + 4 * start))
            elif start == NOTHING:
                store(out + v * BYTES, zero)
            else:
                _singly(numbers, x, size, out, v * LANES, (v + 1) * LANES)
        _singly(numbers, x, size, out, whole * LANES, count)


def _reach(op: Record) -> Reach:
    size = int(op[OUTPUT_SIZE])
    return Reach(
        [Region(int(op[INPUT]), int(op[INPUT_SIZE]))],
        [Region(int(op[OUTPUT]), size)],
        weights=[Region(int(op[W]), size // LANES + size)],
    )


GATHER = Kind(gather, _reach)
