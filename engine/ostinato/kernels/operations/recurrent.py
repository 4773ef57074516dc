"""What recurrent operations share: project a block of time steps by W, then recur over it, step by step.

A kind's *cell* is a routine ``cell(operation, call, rows, gates, out)``: one time step of ``rows`` streams. ``gates``
has bias + W x of each row, in blocks of 16 hidden units, gate after gate within a block; TABLE_H of the call has the
addresses from which h<t-1> of each row is read; h<t> goes to ``out``. Padding lanes hold what falls out; nothing
reads them. Arguments are int64, addresses and steps in bytes.

A cell without a matrix R is an elementwise recurrence: it does not call `recur`. One that does not look at h<t-1>
has no STATE_H: what it keeps from frame to frame is in the state row, at STATE_C, and `record.state_of` finds that.
"""

from __future__ import annotations

from typing import Any

from ostinato.kernels import integer
from ostinato.kernels.compiler import part, routine
from ostinato.kernels.copying import copy_cleared
from ostinato.kernels.operations.kind import Reach, Record, Region, activation, matrix, projection, whole_vectors
from ostinato.kernels.operations.project import project
from ostinato.kernels.operations.record import (
    BACKWARD,
    BATCH_SIZES,
    BLOCK_ROWS,
    CAPACITY,
    CELL,
    CLIP,
    FIELDS,
    GATES,
    INTEGERS,
    OUTPUT,
    OUTPUT_SIZE,
    R_INT8,
    ROW_COUNT,
    ROW_STEP,
    ROWS,
    STATE_H,
    STEPS,
    TABLE_H,
    TABLE_SLOTS,
    UNITS,
    VECTORS,
    R,
    fill,
    from_afar,
    row_pitch,
    together,
)  # fmt: skip
from ostinato.kernels.product import far_row, product
from ostinato.kernels.simd import BYTES, field, invoke_cell, load_int, store_int
from ostinato.lanes import LANES, padded


@part
def blocks_of(op: int) -> Any:
    """Vectors of hidden units."""
    return (field(op, UNITS) + LANES - 1) // LANES


@part
def gates_step(op: int) -> Any:
    """Bytes from one row of gate sums to the next."""
    return row_pitch(field(op, VECTORS)) * BYTES


@routine("void(int64, int64, int64, int64, int64, int64, int64)")
def recur(op: int, call: int, table: int, rows: int, R: int, vectors: int, sums: int) -> None:
    """Adds R h to ``sums``, of ``vectors`` vectors in a row of gates."""
    hidden = field(op, OUTPUT_SIZE)
    step = gates_step(op)
    if field(op, R_INT8):
        integer.product(table, 0, rows, hidden, R, vectors, sums, step, sums, step, field(call, INTEGERS))
    elif from_afar(op, call, rows):
        far_row(table, 0, hidden, R, vectors, sums, sums)
    else:
        product(table, 0, rows, hidden, R, vectors, sums, step, sums, step)


@routine("void(int64, int64, int64, int64, int64)")
def _keep_state(op: int, call: int, first: int, last: int, out: int) -> None:
    """Keep h of the streams first..last-1, whose last frame this was, in their state rows; padding becomes zero."""
    hidden = field(op, OUTPUT_SIZE)
    step = field(call, ROW_STEP)
    slots = field(call, TABLE_SLOTS)
    for b in range(first, last):
        copy_cleared(out + b * step, load_int(slots + 8 * b) + 4 * field(op, STATE_H), hidden)


@routine("void(int64, int64, int64, int64, int64)")
def _recur_once(op: int, call: int, t: int, start: int, gates: int) -> None:
    """Time step t, whose frames are the rows from ``start`` on: find h<t-1> (h<t+1> if backward), run the cell."""
    sizes = field(call, BATCH_SIZES)
    steps = field(call, STEPS)
    step = field(call, ROW_STEP)
    table = field(call, TABLE_H)
    slots = field(call, TABLE_SLOTS)
    batch = load_int(sizes + 8 * t)
    earlier = load_int(sizes + 8 * (t - 1)) if t > 0 else 0
    later = load_int(sizes + 8 * (t + 1)) if t + 1 < steps else 0
    output = field(call, ROWS) + 4 * field(op, OUTPUT)
    backward = field(op, BACKWARD)
    begun = later if backward else min(earlier, batch)
    going_on = min(earlier, batch) if backward else later
    fill(table, begun, output + (start + batch if backward else start - earlier) * step, step)
    for b in range(begun, batch):
        store_int(table + 8 * b, load_int(slots + 8 * b) + 4 * field(op, STATE_H))
    out = output + start * step
    invoke_cell(field(op, CELL), op, call, batch, gates, out)
    if field(op, STATE_H) >= 0:
        _keep_state(op, call, going_on, batch, out)


@routine("void(int64, int64, int64, int64)")
def _project(op: int, call: int, start: int, rows: int) -> None:
    """Gate sums of a block of rows, of all operations that recur together."""
    gates = field(call, GATES)
    for _ in range(together(op, call)):
        project(op, call, start, rows, gates, gates_step(op))
        gates += field(call, CAPACITY) * gates_step(op)
        op += 8 * FIELDS


@routine("void(int64, int64, int64, int64, int64)")
def _step(op: int, call: int, t: int, start: int, row: int) -> None:
    """Time step t, whose frames are the rows from ``start`` on, of all operations that recur together: what one of
    them waits for, a sum of many terms, the others' arithmetic fills. ``row``: of the block."""
    gates = field(call, GATES) + row * gates_step(op)
    for _ in range(together(op, call)):
        _recur_once(op, call, t, start, gates)
        gates += field(call, CAPACITY) * gates_step(op)
        op += 8 * FIELDS


@routine("void(int64, int64)")
def recurrent(op: int, call: int) -> None:
    """Project a block of time steps, then recur over it; block after block, from the last one if backward."""
    sizes = field(call, BATCH_SIZES)
    steps = field(call, STEPS)
    if field(op, BACKWARD):
        end_step = steps
        end = field(call, ROW_COUNT)
        while end_step > 0:
            t = end_step - 1
            start = end - load_int(sizes + 8 * t)
            while t > 0 and end - start + load_int(sizes + 8 * (t - 1)) <= BLOCK_ROWS:
                t -= 1
                start -= load_int(sizes + 8 * t)
            _project(op, call, start, end - start)
            at = end
            for s in range(end_step - 1, t - 1, -1):
                at -= load_int(sizes + 8 * s)
                _step(op, call, s, at, at - start)
            end_step = t
            end = start
    else:
        t = 0
        start = 0
        while t < steps:
            last = t + 1
            end = start + load_int(sizes + 8 * t)
            while last < steps and end - start + load_int(sizes + 8 * last) <= BLOCK_ROWS:
                end += load_int(sizes + 8 * last)
                last += 1
            _project(op, call, start, end - start)
            at = start
            for s in range(t, last):
                _step(op, call, s, at, at - start)
                at += load_int(sizes + 8 * s)
            t = last
            start = end


def reach(op: Record, gates: int = 1, *, width: int | None = None, h: bool = True, matrix_R: bool = True) -> Reach:
    """What a cell of so many gates touches: W x, R h (``matrix_R``), and a state that is ``h``; a kind that has more
    adds it. ``width``: how many values of h the cell reads and writes; None: one of each unit."""
    found = projection(op)
    found.scratch = gates * padded(int(op[UNITS])) // LANES
    width = max(int(op[UNITS]), int(op[OUTPUT_SIZE])) if width is None else width
    found.writes.append(whole_vectors(op[OUTPUT], width))
    if h or op[STATE_H] >= 0:
        found.states.append(Region(int(op[STATE_H]), padded(width)))
    if matrix_R:
        found.weights.append(matrix(op[R], op[OUTPUT_SIZE], op[VECTORS], op[R_INT8]))
    if op[CLIP] >= 0:
        found.weights.append(Region(int(op[CLIP]), 1))
    found.weights.append(activation(op))
    return found
