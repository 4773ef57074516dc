"""The one compiled entry for all models: runs a table of operations over packed frames.

`run` takes the address of a *call*: CALL_FIELDS int64 that say where everything is. An operation is FIELDS int64.
Offsets in operations count float32 values; addresses and steps in the code below count bytes.
"""

from __future__ import annotations

from typing import Any

from ostinato.kernels import cells, integer
from ostinato.kernels._jit import kernel, part, routine
from ostinato.kernels.activations import activate, exp
from ostinato.kernels.product import PANEL, product
from ostinato.kernels.simd import (
    BYTES,
    address,
    field,
    first_lanes,
    largest,
    load,
    load_float,
    load_int,
    splat,
    store,
    store_int,
    total,
    where_less,
)
from ostinato.lanes import LANES

# What an operation is.
RNN, GRU_AFTER, GRU_BEFORE, LSTM, DENSE, EMBEDDING, SOFTMAX = range(7)

# Fields of an operation. VECTORS: of gate sums (or dense outputs) per row, with W and BIAS; R, RECURRENT_BIAS and R2
# as the cell needs them; PARAMETERS: alpha and beta; PEEPHOLES -1: none; TOKENS 1: the input is a token id. W_INT8,
# R_INT8 1: W, or R and R2, are packed by `integer`. W -1: the input is a recurrent operation's gate sums, made by
# dense ones before; BIAS -1: a dense operation goes on with the sums in its output.
KIND, BACKWARD, TOKENS, INPUT, INPUT_SIZE, OUTPUT, OUTPUT_SIZE, VECTORS = range(8)
STATE_H, STATE_C, W, BIAS, R, RECURRENT_BIAS, R2, PEEPHOLES, ACTIVATION, PARAMETERS = range(8, 18)
W_INT8, R_INT8 = range(18, 20)
FIELDS = 20

KINDS = {
    "rnn": RNN, "gru-after": GRU_AFTER, "gru-before": GRU_BEFORE, "lstm": LSTM,
    "dense": DENSE, "embedding": EMBEDDING, "softmax": SOFTMAX,
}  # fmt: skip
"""Kinds of operations, as whoever makes a program names them."""

FIELD_NAMES = {
    "backward": BACKWARD, "vectors": VECTORS, "state_h": STATE_H, "state_c": STATE_C, "W": W, "bias": BIAS, "R": R,
    "recurrent_bias": RECURRENT_BIAS, "R2": R2, "peepholes": PEEPHOLES, "W_int8": W_INT8, "R_int8": R_INT8,
}  # fmt: skip
"""Fields of an operation, likewise."""

PLACES = (STATE_H, STATE_C, W, BIAS, R, RECURRENT_BIAS, R2, PEEPHOLES)
"""The fields that are places in a state row or the weight buffer: -1 where there is nothing."""

# Fields of a call.
OPERATIONS, FIRST, LAST, WEIGHTS, ROW_STEP, STATE_STEP = range(6)
STATE, STATE_ROWS, SLOTS, STREAMS, BATCH_SIZES, STEPS, ROWS, ROW_COUNT = range(6, 14)
TABLE, TABLE_H, TABLE_SLOTS, GATES, ASIDE, CAPACITY, BYTES_ASIDE = range(14, 21)
CALL_FIELDS = 21

BLOCK_ROWS = 64
"""Rows that are projected at once: enough to use each weight often, few enough for the sums to stay in L2."""

OK, BAD_SLOT, BAD_BATCH_SIZES, TOO_FEW_ROWS, NEEDS_CAPACITY = range(5)


@part
def apart(vectors: int) -> int:
    """How many vectors from one row to the next: rows that lie a multiple of 512 bytes apart would share cache sets,
    and drive each other out (some per cent of the speed at 256 and 512 hidden units)."""
    return vectors if vectors % 8 else vectors + 1


@part
def _fill(table: int, count: int, start: int, step: int) -> None:
    """Addresses of ``count`` rows that lie ``step`` apart."""
    for i in range(count):
        store_int(table + 8 * i, start + i * step)


@part
def _token(place: int, size: int) -> int:
    """The token id in the first value of a row; 0 for what is none, so that nothing outside the weights is read."""
    value = load_float(place)
    return int(value) if 0 <= value < size else 0


@routine("void(int64, int64, int64, int64, int64, int64, int64, int64, int64)")
def _look_up(
    table: int, offset: int, rows: int, size: int, weights: int, vectors: int, bias: int, out: int, out_step: int
) -> None:
    """The product with one-hot vectors: bias plus the token's column of the packed weights."""
    for r in range(rows):
        k = _token(load_int(table + 8 * r) + offset, size)
        for v in range(vectors):
            panel = v // PANEL * PANEL
            width = min(PANEL, vectors - panel)
            w = weights + (panel * size + k * width + v - panel) * BYTES
            store(out + r * out_step + v * BYTES, load(bias + v * BYTES) + load(w))


@routine("void(int64, int64, int64, int64, int64, int64)")
def _project(op: int, call: int, start: int, rows: int, out: int, out_step: int) -> None:
    """Sums bias + W x of ``rows`` rows from row ``start`` on, or those that are in the rows already (no W)."""
    table = field(call, TABLE)
    weights = field(call, WEIGHTS)
    step = field(call, ROW_STEP)
    if field(op, W) < 0:
        sums = field(call, ROWS) + start * step + 4 * field(op, INPUT)
        for r in range(rows):
            cells.copy(sums + r * step, out + r * out_step, field(op, VECTORS))
        return
    _fill(table, rows, field(call, ROWS) + start * step, step)
    w = weights + 4 * field(op, W)
    bias = weights + 4 * field(op, BIAS)
    offset = 4 * field(op, INPUT)
    if field(op, TOKENS):
        _look_up(table, offset, rows, field(op, INPUT_SIZE), w, field(op, VECTORS), bias, out, out_step)
    elif field(op, W_INT8):
        scratch = field(call, BYTES_ASIDE)
        integer.product(
            table, offset, rows, field(op, INPUT_SIZE), w, field(op, VECTORS), bias, 0, out, out_step, scratch
        )
    elif field(op, BIAS) < 0:
        product(table, offset, rows, field(op, INPUT_SIZE), w, field(op, VECTORS), out, out_step, out, out_step)
    else:
        product(table, offset, rows, field(op, INPUT_SIZE), w, field(op, VECTORS), bias, 0, out, out_step)


@routine("void(int64, int64, int64, int64, int64, int64, int64)")
def _recur(op: int, call: int, table: int, rows: int, R: int, vectors: int, sums: int) -> None:
    """Adds R h to ``sums``, of ``vectors`` vectors in a row of gates."""
    hidden = field(op, OUTPUT_SIZE)
    step = apart(field(op, VECTORS)) * BYTES
    if field(op, R_INT8):
        integer.product(table, 0, rows, hidden, R, vectors, sums, step, sums, step, field(call, BYTES_ASIDE))
    else:
        product(table, 0, rows, hidden, R, vectors, sums, step, sums, step)


@routine("void(int64, int64, int64, int64, int64)")
def _cell(op: int, call: int, rows: int, gates: int, out: int) -> None:
    """One time step of ``rows`` streams: ``gates`` has bias + W x, TABLE_H where h<t-1> is; h<t> goes to ``out``."""
    kind = field(op, KIND)
    weights = field(call, WEIGHTS)
    table = field(call, TABLE_H)
    step = field(call, ROW_STEP)
    aside = field(call, ASIDE)
    hidden = field(op, OUTPUT_SIZE)
    vectors = field(op, VECTORS)
    blocks = (hidden + LANES - 1) // LANES
    gates_step = apart(vectors) * BYTES
    recurrent = weights + 4 * field(op, R)
    if kind == GRU_AFTER:
        cells.gru_set_aside(rows, blocks, gates, gates_step, aside, weights + 4 * field(op, RECURRENT_BIAS))
        _recur(op, call, table, rows, recurrent, vectors, gates)
        cells.gru_after(table, rows, blocks, gates, gates_step, aside, out, step)
    elif kind == GRU_BEFORE:
        _recur(op, call, table, rows, recurrent, 2 * blocks, gates)
        cells.gru_reset(table, rows, blocks, gates, gates_step, aside)
        candidate = gates + 2 * blocks * BYTES
        second = field(call, TABLE)
        _fill(second, rows, aside, blocks * BYTES)
        _recur(op, call, second, rows, weights + 4 * field(op, R2), blocks, candidate)
        cells.gru_before(table, rows, blocks, gates, gates_step, out, step)
    else:
        _recur(op, call, table, rows, recurrent, vectors, gates)
        if kind == LSTM:
            slots = field(call, TABLE_SLOTS)
            c = 4 * field(op, STATE_C)
            if field(op, PEEPHOLES) >= 0:
                peepholes = weights + 4 * field(op, PEEPHOLES)
                cells.lstm_peepholes(slots, c, rows, blocks, gates, gates_step, peepholes, out, step)
            else:
                cells.lstm(slots, c, rows, blocks, gates, gates_step, out, step)
        else:
            parameters = weights + 4 * field(op, PARAMETERS)
            alpha = load_float(parameters)
            beta = load_float(parameters + 4)
            for r in range(rows):
                activate(field(op, ACTIVATION), alpha, beta, gates + r * gates_step, vectors)
                cells.copy(gates + r * gates_step, out + r * step, blocks)


@routine("void(int64, int64, int64, int64, int64)")
def _keep_state(op: int, call: int, first: int, last: int, out: int) -> None:
    """Keep h of the streams first..last-1, whose last frame this was, in their state rows; padding becomes zero."""
    hidden = field(op, OUTPUT_SIZE)
    step = field(call, ROW_STEP)
    slots = field(call, TABLE_SLOTS)
    for b in range(first, last):
        target = load_int(slots + 8 * b) + 4 * field(op, STATE_H)
        left = hidden
        source = out + b * step
        while left > 0:
            store(target, first_lanes(left, load(source), splat(0.0)))
            target += BYTES
            source += BYTES
            left -= LANES


@routine("void(int64, int64, int64, int64, int64)")
def _step(op: int, call: int, t: int, start: int, gates: int) -> None:
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
    _fill(table, begun, output + (start + batch if backward else start - earlier) * step, step)
    for b in range(begun, batch):
        store_int(table + 8 * b, load_int(slots + 8 * b) + 4 * field(op, STATE_H))
    out = output + start * step
    _cell(op, call, batch, gates, out)
    _keep_state(op, call, going_on, batch, out)


@routine("void(int64, int64)")
def _recurrent(op: int, call: int) -> None:
    """Project a block of time steps, then recur over it; block after block, from the last one if backward."""
    sizes = field(call, BATCH_SIZES)
    steps = field(call, STEPS)
    gates = field(call, GATES)
    gates_step = apart(field(op, VECTORS)) * BYTES
    if field(op, BACKWARD):
        end_step = steps
        end = field(call, ROW_COUNT)
        while end_step > 0:
            t = end_step - 1
            start = end - load_int(sizes + 8 * t)
            while t > 0 and end - start + load_int(sizes + 8 * (t - 1)) <= BLOCK_ROWS:
                t -= 1
                start -= load_int(sizes + 8 * t)
            _project(op, call, start, end - start, gates, gates_step)
            at = end
            for s in range(end_step - 1, t - 1, -1):
                at -= load_int(sizes + 8 * s)
                _step(op, call, s, at, gates + (at - start) * gates_step)
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
            _project(op, call, start, end - start, gates, gates_step)
            at = start
            for s in range(t, last):
                _step(op, call, s, at, gates + (at - start) * gates_step)
                at += load_int(sizes + 8 * s)
            t = last
            start = end


@routine("void(int64, int64)")
def _dense(op: int, call: int) -> None:
    count = field(call, ROW_COUNT)
    step = field(call, ROW_STEP)
    parameters = field(call, WEIGHTS) + 4 * field(op, PARAMETERS)
    for start in range(0, count, BLOCK_ROWS):
        rows = min(BLOCK_ROWS, count - start)
        out = field(call, ROWS) + start * step + 4 * field(op, OUTPUT)
        _project(op, call, start, rows, out, step)
        if field(op, ACTIVATION) != 0:
            for r in range(rows):
                activate(
                    field(op, ACTIVATION),
                    load_float(parameters),
                    load_float(parameters + 4),
                    out + r * step,
                    field(op, VECTORS),
                )


@routine("void(int64, int64)")
def _embedding(op: int, call: int) -> None:
    vectors = field(op, VECTORS)
    for r in range(field(call, ROW_COUNT)):
        row = field(call, ROWS) + r * field(call, ROW_STEP)
        k = _token(row + 4 * field(op, INPUT), field(op, INPUT_SIZE))
        cells.copy(
            field(call, WEIGHTS) + 4 * field(op, W) + k * vectors * BYTES, row + 4 * field(op, OUTPUT), vectors
        )


@part
def _softmax_row(x: int, size: int, out: int) -> None:
    """exp(x - max x) / sum of these; lanes beyond ``size`` become 0."""
    lowest = splat(-3.5e38)
    top = lowest
    left = size
    at = x
    while left > 0:
        v = first_lanes(left, load(at), lowest)
        top = where_less(top, v, v, top)
        at += BYTES
        left -= LANES
    greatest = splat(largest(top))
    sum_ = splat(0.0)
    left = size
    i = 0
    while left > 0:
        e = first_lanes(left, exp(load(x + i) - greatest), splat(0.0))
        store(out + i, e)
        sum_ = sum_ + e
        i += BYTES
        left -= LANES
    whole = splat(total(sum_))
    while i > 0:
        i -= BYTES
        store(out + i, load(out + i) / whole)


@routine("void(int64, int64)")
def _softmax(op: int, call: int) -> None:
    for r in range(field(call, ROW_COUNT)):
        row = field(call, ROWS) + r * field(call, ROW_STEP)
        _softmax_row(row + 4 * field(op, INPUT), field(op, INPUT_SIZE), row + 4 * field(op, OUTPUT))


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


@kernel("int64(int64)")
def run(call: int) -> Any:
    """Run operations FIRST..LAST-1 of a call; returns OK, or why nothing was done."""
    code = _check(call)
    if code != OK:
        return code
    for o in range(field(call, FIRST), field(call, LAST)):
        op = field(call, OPERATIONS) + o * FIELDS * 8
        kind = field(op, KIND)
        if kind <= LSTM:
            _recurrent(op, call)
        elif kind == DENSE:
            _dense(op, call)
        elif kind == EMBEDDING:
            _embedding(op, call)
        else:
            _softmax(op, call)
    return code


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
