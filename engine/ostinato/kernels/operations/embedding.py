"""A look-up: token id to vector."""

from __future__ import annotations

from ostinato.kernels.compiler import routine
from ostinato.kernels.copying import copy
from ostinato.kernels.operations.kind import Kind, Reach, Record, Region, source, whole_vectors
from ostinato.kernels.operations.record import (
    INPUT,
    INPUT_SIZE,
    OUTPUT,
    ROW_COUNT,
    ROW_STEP,
    ROWS,
    VECTORS,
    WEIGHTS,
    W,
    token,
)
from ostinato.kernels.simd import BYTES, field
from ostinato.lanes import LANES


@routine("void(int64, int64)")
def embedding(op: int, call: int) -> None:
    """All rows."""
    vectors = field(op, VECTORS)
    for r in range(field(call, ROW_COUNT)):
        row = field(call, ROWS) + r * field(call, ROW_STEP)
        k = token(row + 4 * field(op, INPUT), field(op, INPUT_SIZE))
        copy(field(call, WEIGHTS) + 4 * field(op, W) + k * vectors * BYTES, row + 4 * field(op, OUTPUT), vectors)


def _reach(op: Record) -> Reach:
    table = Region(int(op[W]), int(op[INPUT_SIZE]) * int(op[VECTORS]) * LANES)
    return Reach([source(op)], [whole_vectors(op[OUTPUT], int(op[VECTORS]) * LANES)], weights=[table])


EMBEDDING = Kind(embedding, _reach)
