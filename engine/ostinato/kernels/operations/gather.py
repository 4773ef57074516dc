"""Values of a row, in another order: the numbers of those that are wanted stand in the weight buffer, as float32
(which has all whole numbers that can be places in a row). What is no number of a value stands for a zero, so that
nothing outside the input is read."""

from __future__ import annotations

from ostinato.kernels.compiler import routine
from ostinato.kernels.operations.elementwise import row_of
from ostinato.kernels.operations.kind import Kind, Reach, Record, Region
from ostinato.kernels.operations.record import INPUT, INPUT_SIZE, OUTPUT, OUTPUT_SIZE, ROW_COUNT, WEIGHTS, W
from ostinato.kernels.simd import field, load_float, store_float


@routine("void(int64, int64)")
def gather(op: int, call: int) -> None:
    """All rows."""
    numbers = field(call, WEIGHTS) + 4 * field(op, W)
    size = field(op, INPUT_SIZE)
    for r in range(field(call, ROW_COUNT)):
        x = row_of(call, r) + 4 * field(op, INPUT)
        out = row_of(call, r) + 4 * field(op, OUTPUT)
        for k in range(field(op, OUTPUT_SIZE)):
            number = int(load_float(numbers + 4 * k))
            if 0 <= number < size:
                store_float(out + 4 * k, load_float(x + 4 * number))
            else:
                store_float(out + 4 * k, 0.0)


def _reach(op: Record) -> Reach:
    size = int(op[OUTPUT_SIZE])
    return Reach(
        [Region(int(op[INPUT]), int(op[INPUT_SIZE]))],
        [Region(int(op[OUTPUT]), size)],
        weights=[Region(int(op[W]), size)],
    )


GATHER = Kind(gather, _reach)
