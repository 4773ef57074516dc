"""The fully connected operation: f(W x + b), or sums that another goes on with."""

from __future__ import annotations

from ostinato.kernels.activations import activate
from ostinato.kernels.compiler import routine
from ostinato.kernels.operations.kind import Kind, Reach, Record, Region, activation, projection, whole_vectors
from ostinato.kernels.operations.project import project
from ostinato.kernels.operations.record import (
    ACTIVATION,
    BIAS,
    BLOCK_ROWS,
    OUTPUT,
    OUTPUT_SIZE,
    PARAMETERS,
    ROW_COUNT,
    ROW_STEP,
    ROWS,
    TOKENS,
    VECTORS,
    W_INT8,
    WEIGHTS,
)  # fmt: skip
from ostinato.kernels.simd import field, load_float
from ostinato.lanes import LANES


@routine("void(int64, int64)")
def dense(op: int, call: int) -> None:
    """All rows, a block at a time."""
    count = field(call, ROW_COUNT)
    step = field(call, ROW_STEP)
    parameters = field(call, WEIGHTS) + 4 * field(op, PARAMETERS)
    for start in range(0, count, BLOCK_ROWS):
        rows = min(BLOCK_ROWS, count - start)
        out = field(call, ROWS) + start * step + 4 * field(op, OUTPUT)
        project(op, call, start, rows, out, step)
        if field(op, ACTIVATION) != 0:
            for r in range(rows):
                activate(
                    field(op, ACTIVATION),
                    load_float(parameters),
                    load_float(parameters + 4),
                    out + r * step,
                    field(op, VECTORS),
                )


def _reach(op: Record) -> Reach:
    # A product in int8 is rounded once, and a token's column is looked up: neither goes on with what is there.
    goes_on = op[BIAS] < 0 and not op[W_INT8] and not op[TOKENS]
    found = projection(op, goes_on=goes_on)
    found.writes.append(whole_vectors(op[OUTPUT], int(op[VECTORS]) * LANES))
    if goes_on:
        found.reads.append(Region(int(op[OUTPUT]), int(op[OUTPUT_SIZE])))
    found.weights.append(activation(op))
    return found


DENSE = Kind(dense, _reach)
