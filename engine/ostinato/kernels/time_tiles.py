"""Long sequences in time tiles: all operations that go in one direction run over some rows, then over the next ones.

Operation by operation over thousands of rows, each operation would fetch them from memory again; those of a tile stay
near. States go on from tile to tile as they do from call to call, so the bits are the same.
"""

from __future__ import annotations

from ostinato.kernels.compiler import part, routine
from ostinato.kernels.operations.record import (
    BACKWARD,
    BATCH_SIZES,
    FIELDS,
    FIRST,
    LAST,
    OPERATIONS,
    ROW_COUNT,
    ROW_STEP,
    ROWS,
    STEPS,
)
from ostinato.kernels.operations.running import run_operations
from ostinato.kernels.simd import field, load_int, store_int

TILE_ROWS = 256
"""Rows of a tile, or those of one step if they are more: some hundred kilobytes, and enough to use weights often."""


@routine("void(int64, int64, int64, int64, int64)")
def _run_tile(call: int, sizes: int, steps: int, rows: int, count: int) -> None:
    """The operations over these steps and rows."""
    store_int(call + 8 * BATCH_SIZES, sizes)
    store_int(call + 8 * STEPS, steps)
    store_int(call + 8 * ROWS, rows)
    store_int(call + 8 * ROW_COUNT, count)
    run_operations(call)


@routine("void(int64)")
def _forward(call: int) -> None:
    """From the first tile to the last."""
    sizes, steps, rows = field(call, BATCH_SIZES), field(call, STEPS), field(call, ROWS)
    step = field(call, ROW_STEP)
    t = 0
    while t < steps:
        end = t + 1
        count = load_int(sizes + 8 * t)
        while end < steps and count + load_int(sizes + 8 * end) <= TILE_ROWS:
            count += load_int(sizes + 8 * end)
            end += 1
        _run_tile(call, sizes + 8 * t, end - t, rows, count)
        rows += count * step
        t = end


@routine("void(int64)")
def _backward(call: int) -> None:
    """From the last tile to the first."""
    sizes, steps = field(call, BATCH_SIZES), field(call, STEPS)
    step = field(call, ROW_STEP)
    rows = field(call, ROWS) + field(call, ROW_COUNT) * step
    while steps > 0:
        t = steps - 1
        count = load_int(sizes + 8 * t)
        while t > 0 and count + load_int(sizes + 8 * (t - 1)) <= TILE_ROWS:
            t -= 1
            count += load_int(sizes + 8 * t)
        rows -= count * step
        _run_tile(call, sizes + 8 * t, steps - t, rows, count)
        steps = t


@routine("void(int64)")
def _tiled(call: int) -> None:
    """Operations FIRST..LAST-1, those of one direction after those of the other; the call is left as it was."""
    first, last = field(call, FIRST), field(call, LAST)
    sizes, steps = field(call, BATCH_SIZES), field(call, STEPS)
    rows, count = field(call, ROWS), field(call, ROW_COUNT)
    operations = field(call, OPERATIONS)
    start = first
    while start < last:
        backward = field(operations + 8 * FIELDS * start, BACKWARD)
        end = start + 1
        while end < last and field(operations + 8 * FIELDS * end, BACKWARD) == backward:
            end += 1
        store_int(call + 8 * FIRST, start)
        store_int(call + 8 * LAST, end)
        if backward:
            _backward(call)
        else:
            _forward(call)
        store_int(call + 8 * BATCH_SIZES, sizes)
        store_int(call + 8 * STEPS, steps)
        store_int(call + 8 * ROWS, rows)
        store_int(call + 8 * ROW_COUNT, count)
        start = end
    store_int(call + 8 * FIRST, first)
    store_int(call + 8 * LAST, last)


@part
def run_tiles(call: int) -> None:
    """`run_operations`, in tiles where there are more rows than one has."""
    if field(call, ROW_COUNT) > TILE_ROWS and field(call, STEPS) > 1:
        _tiled(call)
    else:
        run_operations(call)
