"""The last frame of a memory, as far as a stream sees it."""

from __future__ import annotations

from ostinato.kernels.compiler import routine
from ostinato.kernels.copying import copy
from ostinato.kernels.operations.kind import Kind, Reach, Record, whole_vectors
from ostinato.kernels.operations.record import (
    BATCH_SIZES,
    MEMORY_STEP,
    OUTPUT,
    OUTPUT_SIZE,
    ROW_STEP,
    ROWS,
    STEPS,
    VALUES,
    frames_of,
    memory_of,
)
from ostinato.kernels.simd import field, load_int
from ostinato.lanes import LANES


@routine("void(int64, int64)")
def last(op: int, call: int) -> None:
    """All rows."""
    vectors = (field(op, OUTPUT_SIZE) + LANES - 1) // LANES
    out = field(call, ROWS) + 4 * field(op, OUTPUT)
    for t in range(field(call, STEPS)):
        batch = load_int(field(call, BATCH_SIZES) + 8 * t)
        for b in range(batch):
            frame = memory_of(call, b) + (frames_of(call, b) - 1) * field(call, MEMORY_STEP)
            copy(frame + 4 * field(op, VALUES), out + b * field(call, ROW_STEP), vectors)
        out += batch * field(call, ROW_STEP)


def _reach(op: Record) -> Reach:
    size = int(op[OUTPUT_SIZE])
    return Reach(writes=[whole_vectors(op[OUTPUT], size)], memory=[whole_vectors(op[VALUES], size)])


LAST = Kind(last, _reach)
