"""Frames side by side: each row is given the TAPS frames, DILATION apart, that end with its own.

Frames of earlier calls lie in the state row, the last KEPT = (TAPS - 1) * DILATION of them, in a ring: frame n is
number n % KEPT. COUNT says how many frames there have been, as a float: from KEPT on only modulo KEPT, as no more
matters. Before the first frame lies padding, of the value at W.
"""

from __future__ import annotations

from ostinato.kernels.compiler import routine
from ostinato.kernels.copying import copy, copy_cleared
from ostinato.kernels.operations.kind import Kind, Reach, Record, Region, source
from ostinato.kernels.operations.record import (
    BATCH_SIZES,
    COUNT,
    DILATION,
    HISTORY,
    INPUT,
    INPUT_SIZE,
    KEPT,
    OUTPUT,
    ROW_STEP,
    ROWS,
    STEPS,
    TAPS,
    WEIGHTS,
    W,
    state_of,
)  # fmt: skip
from ostinato.kernels.simd import BYTES, field, load_float, load_int, splat, store, store_float
from ostinato.lanes import LANES, padded


@routine("void(int64, int64, int64, int64, int64, int64)")
def _gather(op: int, call: int, t: int, start: int, stream: int, count: int) -> None:
    """The window of one stream's frame, ``start`` the first row of its time step, t of this call."""
    sizes = field(call, BATCH_SIZES)
    step = field(call, ROW_STEP)
    rows = field(call, ROWS)
    size = field(op, INPUT_SIZE)
    vectors = (size + LANES - 1) // LANES
    taps = field(op, TAPS)
    history = state_of(call, stream) + 4 * field(op, HISTORY)
    target = rows + (start + stream) * step + 4 * field(op, OUTPUT)
    for j in range(taps):
        lag = (taps - 1 - j) * field(op, DILATION)
        at = target + 4 * j * size
        if lag <= t:
            row = start
            for before in range(t - lag, t):
                row -= load_int(sizes + 8 * before)
            copy(rows + (row + stream) * step + 4 * field(op, INPUT), at, vectors)
        elif lag - t <= count:
            number = (count - (lag - t)) % field(op, KEPT)
            copy(history + number * vectors * BYTES, at, vectors)
        else:
            pad = splat(load_float(field(call, WEIGHTS) + 4 * field(op, W)))
            for v in range(vectors):
                store(at + v * BYTES, pad)


@routine("void(int64, int64)")
def window(op: int, call: int) -> None:
    """All rows, in the order of time: a frame takes the place of the oldest one in the ring, which it was the last to
    need."""
    sizes = field(call, BATCH_SIZES)
    steps = field(call, STEPS)
    step = field(call, ROW_STEP)
    kept = field(op, KEPT)
    vectors = (field(op, INPUT_SIZE) + LANES - 1) // LANES
    start = 0
    for t in range(steps):
        batch = load_int(sizes + 8 * t)
        later = load_int(sizes + 8 * (t + 1)) if t + 1 < steps else 0
        for b in range(batch):
            state = state_of(call, b)
            count = int(load_float(state + 4 * field(op, COUNT)))
            _gather(op, call, t, start, b, count)
            frame = field(call, ROWS) + (start + b) * step + 4 * field(op, INPUT)
            place = state + 4 * field(op, HISTORY) + ((count + t) % kept) * vectors * BYTES
            copy_cleared(frame, place, field(op, INPUT_SIZE))
            if b >= later:  # its last frame
                count += t + 1
                if count >= 2 * kept:
                    count = kept + count % kept
                store_float(state + 4 * field(op, COUNT), count)
        start += batch


def _reach(op: Record) -> Reach:
    size, taps = int(op[INPUT_SIZE]), int(op[TAPS])
    written = Region(int(op[OUTPUT]), (taps - 1) * size + padded(size))
    ring = Region(int(op[HISTORY]), int(op[KEPT]) * padded(size))
    return Reach([source(op)], [written], [ring, Region(int(op[COUNT]), LANES)], [Region(int(op[W]), 1)])


WINDOW = Kind(window, _reach)
