"""The greatest and the mean of several frames that lie side by side."""

from __future__ import annotations

from ostinato.kernels.compiler import routine
from ostinato.kernels.operations.kind import Kind, Reach, Record, output, taps
from ostinato.kernels.operations.record import INPUT, OUTPUT, OUTPUT_SIZE, ROW_COUNT, ROW_STEP, ROWS, TAPS
from ostinato.kernels.simd import BYTES, field, load, splat, store, where_less
from ostinato.lanes import LANES


@routine("void(int64, int64)")
def greatest(op: int, call: int) -> None:
    """The input is TAPS frames of the output's size; of each value the greatest."""
    size = field(op, OUTPUT_SIZE)
    for r in range(field(call, ROW_COUNT)):
        row = field(call, ROWS) + r * field(call, ROW_STEP)
        for v in range((size + LANES - 1) // LANES):
            at = row + 4 * field(op, INPUT) + v * BYTES
            most = load(at)
            for j in range(1, field(op, TAPS)):
                x = load(at + 4 * j * size)
                most = where_less(most, x, x, most)
            store(row + 4 * field(op, OUTPUT) + v * BYTES, most)


@routine("void(int64, int64)")
def mean(op: int, call: int) -> None:
    """The input is TAPS frames of the output's size; of each value the sum, in the order of time, times 1 / TAPS."""
    size = field(op, OUTPUT_SIZE)
    share = splat(1.0 / field(op, TAPS))
    for r in range(field(call, ROW_COUNT)):
        row = field(call, ROWS) + r * field(call, ROW_STEP)
        for v in range((size + LANES - 1) // LANES):
            at = row + 4 * field(op, INPUT) + v * BYTES
            total = load(at)
            for j in range(1, field(op, TAPS)):
                total = total + load(at + 4 * j * size)
            store(row + 4 * field(op, OUTPUT) + v * BYTES, total * share)


def _reach(op: Record) -> Reach:
    found = taps(op)
    found.writes.append(output(op))
    return found


MAX_POOL = Kind(greatest, _reach)
MEAN_POOL = Kind(mean, _reach)
