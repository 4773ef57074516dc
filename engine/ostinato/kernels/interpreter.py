"""The one compiled entry for all models: runs a table of operations over packed frames.

`run` takes the address of a *call*, as `operations.record` says; each operation has the address of what runs it.
"""

from __future__ import annotations

from typing import Any

from ostinato.kernels.compiler import kernel, part
from ostinato.kernels.operations.record import (
    BATCH_SIZES,
    CAPACITY,
    MEMORIES,
    MEMORY_STEP,
    ROW_COUNT,
    ROWS,
    SLOTS,
    STATE,
    STATE_ROWS,
    STATE_STEP,
    STEPS,
    STREAMS,
    TABLE_SLOTS,
)  # fmt: skip
from ostinato.kernels.simd import address, field, load_int, store_int
from ostinato.kernels.time_tiles import run_tiles

OK, BAD_SLOT, BAD_BATCH_SIZES, TOO_FEW_ROWS, NEEDS_CAPACITY, NO_MEMORY = range(6)


@part
def _check(call: int) -> Any:
    """Whether the call stays within its memory; fills TABLE_SLOTS."""
    streams = field(call, STREAMS)
    steps = field(call, STEPS)
    sizes = field(call, BATCH_SIZES)
    before = streams
    rows = 0
    for t in range(steps):
        batch = load_int(sizes + 8 * t)
        if batch < 1 or batch > before:
            return BAD_BATCH_SIZES
        before = batch
        rows += batch
    if rows != field(call, ROW_COUNT):
        return TOO_FEW_ROWS
    if field(call, MEMORY_STEP) > 0 and field(call, MEMORIES) == 0:
        return NO_MEMORY
    if streams > field(call, CAPACITY):
        return NEEDS_CAPACITY
    slots = field(call, SLOTS)
    table = field(call, TABLE_SLOTS)
    for b in range(streams):
        slot = load_int(slots + 8 * b)
        if slot < 0 or slot >= field(call, STATE_ROWS):
            return BAD_SLOT
        store_int(table + 8 * b, field(call, STATE) + slot * field(call, STATE_STEP))
    return OK


@part
def perform(call: int) -> Any:
    """`run`, for kernels."""
    code = _check(call)
    if code != OK:
        return code
    run_tiles(call)
    return code


@kernel("int64(int64)")
def run(call: int) -> Any:
    """Run operations FIRST..LAST-1 of a call; returns OK, or why nothing was done."""
    return perform(call)


@kernel("void(int64[::1], float32[:, ::1], int64[::1], int64[::1], float32[:, ::1])")
def point(call: Any, state: Any, slots: Any, batch_sizes: Any, rows: Any) -> None:
    """Write the places of a call's arrays into it: quicker than asking each array in Python."""
    call[STATE] = address(state)
    call[STATE_ROWS] = state.shape[0]
    call[SLOTS] = address(slots)
    call[STREAMS] = slots.shape[0]
    call[BATCH_SIZES] = address(batch_sizes)
    call[STEPS] = batch_sizes.shape[0]
    call[ROWS] = address(rows)
    call[ROW_COUNT] = rows.shape[0]
