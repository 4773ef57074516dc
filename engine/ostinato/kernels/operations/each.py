"""A program at each position of a frame [positions, channels], from frame to frame: to it, each position of each
stream is a stream by itself, whose state is a part of the stream's state row. So one product serves them all.

`kernels.several` makes the *plan* of such an operation. A block of positions is brought into rows of the program,
advanced by one step, and brought back; what the program needs besides, it takes of the call's.
"""

from __future__ import annotations

from ostinato.kernels.compiler import routine
from ostinato.kernels.copying import copy
from ostinato.kernels.operations.kind import Kind, Reach, Record, Region
from ostinato.kernels.operations.record import (
    BATCH_SIZES,
    BLOCK_ROWS,
    CALL_FIELDS,
    INPUT,
    INPUT_SIZE,
    KEPT,
    OUTPUT,
    OUTPUT_SIZE,
    PLAN,
    ROOM,
    ROW_COUNT,
    ROW_STEP,
    ROWS,
    STATE_H,
    STATE_STEP,
    STEPS,
    STREAMS,
    TABLE_SLOTS,
    WEIGHTS,
    state_of,
)
from ostinato.kernels.operations.running import run_all
from ostinato.kernels.simd import field, load_int, store_int
from ostinato.lanes import LANES

# A plan: int64. What is "at" a place lies so many bytes from the start of the call's ROOM.
#   POSITIONS          of a frame
#   OPERATIONS, COUNT, ROW, STATE, PROGRAM_WEIGHTS    the program's: where they are and how many, bytes of a row and
#                      of a state, where its weights are
#   X, X_SIZE, Y, Y_SIZE    where a row has a position's values before and after, in bytes, and how many there are
#   CALL_AT, SLOTS_AT, SIZES_AT, ROWS_AT    the program's call, TABLE_SLOTS, BATCH_SIZES, and rows of a block
(
    POSITIONS, OPERATIONS, COUNT, ROW, STATE, PROGRAM_WEIGHTS, X, X_SIZE, Y, Y_SIZE, CALL_AT, SLOTS_AT, SIZES_AT,
    ROWS_AT,
) = range(14)  # fmt: skip


@routine("void(int64, int64, int64, int64, int64)")
def _advance(op: int, call: int, start: int, first: int, count: int) -> None:
    """One step of ``count`` positions from number ``first`` on, counted over all streams whose frames of this step
    are the rows from ``start`` on."""
    plan = field(op, PLAN)
    room = field(call, ROOM)
    inner = room + field(plan, CALL_AT)
    rows = room + field(plan, ROWS_AT)
    slots = room + field(plan, SLOTS_AT)
    positions = field(plan, POSITIONS)
    x_size = field(plan, X_SIZE)
    y_size = field(plan, Y_SIZE)
    for k in range(count):
        stream = (first + k) // positions
        position = (first + k) % positions
        row = field(call, ROWS) + (start + stream) * field(call, ROW_STEP)
        state = state_of(call, stream) + 4 * field(op, STATE_H) + position * field(plan, STATE)
        store_int(slots + 8 * k, state)
        target = rows + k * field(plan, ROW) + field(plan, X)
        copy(row + 4 * (field(op, INPUT) + position * x_size), target, (x_size + LANES - 1) // LANES)
    store_int(room + field(plan, SIZES_AT), count)
    store_int(inner + 8 * STREAMS, count)
    store_int(inner + 8 * ROW_COUNT, count)
    run_all(inner, field(plan, OPERATIONS), field(plan, COUNT))
    for k in range(count):
        stream = (first + k) // positions
        position = (first + k) % positions
        row = field(call, ROWS) + (start + stream) * field(call, ROW_STEP)
        target = row + 4 * (field(op, OUTPUT) + position * y_size)
        copy(rows + k * field(plan, ROW) + field(plan, Y), target, (y_size + LANES - 1) // LANES)


@routine("void(int64, int64)")
def each(op: int, call: int) -> None:
    """Step by step. Whole vectors are brought back: what falls behind a position's values is overwritten by the next
    one's, or lies where nothing is yet."""
    plan = field(op, PLAN)
    room = field(call, ROOM)
    inner = room + field(plan, CALL_AT)
    for f in range(CALL_FIELDS):
        store_int(inner + 8 * f, field(call, f))
    store_int(inner + 8 * WEIGHTS, field(plan, PROGRAM_WEIGHTS))
    store_int(inner + 8 * ROW_STEP, field(plan, ROW))
    store_int(inner + 8 * STATE_STEP, field(plan, STATE))
    store_int(inner + 8 * TABLE_SLOTS, room + field(plan, SLOTS_AT))
    store_int(inner + 8 * BATCH_SIZES, room + field(plan, SIZES_AT))
    store_int(inner + 8 * STEPS, 1)
    store_int(inner + 8 * ROWS, room + field(plan, ROWS_AT))
    start = 0
    for t in range(field(call, STEPS)):
        batch = load_int(field(call, BATCH_SIZES) + 8 * t)
        total = batch * field(plan, POSITIONS)
        for first in range(0, total, BLOCK_ROWS):
            _advance(op, call, start, first, min(BLOCK_ROWS, total - first))
        start += batch


def _reach(op: Record) -> Reach:
    """Whole vectors are read and written from any value on."""
    x, y = (Region(int(op[place]), int(op[size])) for place, size in ((INPUT, INPUT_SIZE), (OUTPUT, OUTPUT_SIZE)))
    loads, writes = (Region(region.offset, region.size + LANES - 1) for region in (x, y))
    states = [Region(int(op[STATE_H]), int(op[KEPT]))] if op[KEPT] else []
    return Reach([x], [writes], states, loads=[loads])


EACH = Kind(each, _reach, inner=True)
