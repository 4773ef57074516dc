"""Probabilities: exp(x - max x) / sum of these."""

from __future__ import annotations

from ostinato.kernels.compiler import routine
from ostinato.kernels.operations.kind import Kind, Reach, Record, source, whole_vectors
from ostinato.kernels.operations.record import INPUT, INPUT_SIZE, OUTPUT, ROW_COUNT, ROW_STEP, ROWS
from ostinato.kernels.simd import field
from ostinato.kernels.softmax import softmax_row


@routine("void(int64, int64)")
def softmax(op: int, call: int) -> None:
    """All rows."""
    for r in range(field(call, ROW_COUNT)):
        row = field(call, ROWS) + r * field(call, ROW_STEP)
        softmax_row(row + 4 * field(op, INPUT), field(op, INPUT_SIZE), row + 4 * field(op, OUTPUT))


def _reach(op: Record) -> Reach:
    return Reach([source(op)], [whole_vectors(op[OUTPUT], op[INPUT_SIZE])])


SOFTMAX = Kind(softmax, _reach)
