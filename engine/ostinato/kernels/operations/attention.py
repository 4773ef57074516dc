"""Attention: the sum of a memory's values, each times how well its key fits the query.

    score of frame j      dot: scale * q · k<j>           additive: v · tanh(q + k<j>)
    context               sum over j of softmax(scores)<j> * values<j>

A score is summed lane by lane over the vectors in order, then over the lanes (`simd.total`); the context frame by
frame, in their order. So its bits depend on the memory's frames alone, whatever company the stream has.
"""

from __future__ import annotations

from typing import Any

from ostinato.kernels.activations import tanh
from ostinato.kernels.compiler import part, routine
from ostinato.kernels.operations.kind import Kind, Reach, Record, source, whole_vectors
from ostinato.kernels.operations.record import (
    BATCH_SIZES,
    INPUT,
    INPUT_SIZE,
    KEYS,
    MEMORY_STEP,
    OUTPUT,
    OUTPUT_SIZE,
    ROW_STEP,
    ROWS,
    SCORES,
    STEPS,
    VALUES,
    VARIANT,
    WEIGHTS,
    W,
    frames_of,
    memory_of,
)
from ostinato.kernels.simd import (
    BYTES,
    field,
    first_lanes,
    fma,
    load,
    load_float,
    load_int,
    splat,
    store,
    store_float,
    total,
)
from ostinato.kernels.softmax import softmax_row
from ostinato.lanes import LANES

DOT, ADDITIVE = range(2)
"""A VARIANT. W is where the scale is, or v."""


@part
def _dot(q: int, k: int, size: int) -> Any:
    sums = splat(0.0)
    for i in range(0, size, LANES):
        more = fma(load(q + 4 * i), load(k + 4 * i), sums)
        sums = first_lanes(size - i, more, sums)
    return total(sums)


@part
def _additive(q: int, k: int, size: int, v: int) -> Any:
    sums = splat(0.0)
    for i in range(0, size, LANES):
        more = fma(load(v + 4 * i), tanh(load(q + 4 * i) + load(k + 4 * i)), sums)
        sums = first_lanes(size - i, more, sums)
    return total(sums)


@routine("void(int64, int64, int64, int64, int64, int64)")
def _context(scores: int, values: int, count: int, step: int, vectors: int, out: int) -> None:
    """Four vectors at a time, so that the sums of one frame need not wait for those of the one before."""
    v = 0
    while v + 4 <= vectors:
        a = splat(0.0)
        b = splat(0.0)
        c = splat(0.0)
        d = splat(0.0)
        at = values + v * BYTES
        for j in range(count):
            w = splat(load_float(scores + 4 * j))
            a = fma(w, load(at), a)
            b = fma(w, load(at + BYTES), b)
            c = fma(w, load(at + 2 * BYTES), c)
            d = fma(w, load(at + 3 * BYTES), d)
            at += step
        store(out + v * BYTES, a)
        store(out + (v + 1) * BYTES, b)
        store(out + (v + 2) * BYTES, c)
        store(out + (v + 3) * BYTES, d)
        v += 4
    while v < vectors:
        a = splat(0.0)
        at = values + v * BYTES
        for j in range(count):
            a = fma(splat(load_float(scores + 4 * j)), load(at), a)
            at += step
        store(out + v * BYTES, a)
        v += 1


@routine("void(int64, int64, int64, int64)")
def _attend(op: int, call: int, row: int, stream: int) -> None:
    """One row of a stream."""
    scores = field(call, SCORES)
    memory = memory_of(call, stream)
    count = frames_of(call, stream)
    step = field(call, MEMORY_STEP)
    q = row + 4 * field(op, INPUT)
    size = field(op, INPUT_SIZE)
    w = field(call, WEIGHTS) + 4 * field(op, W)
    k = memory + 4 * field(op, KEYS)
    if field(op, VARIANT) == ADDITIVE:
        for j in range(count):
            store_float(scores + 4 * j, _additive(q, k + j * step, size, w))
    else:
        scale = load_float(w)
        for j in range(count):
            store_float(scores + 4 * j, scale * _dot(q, k + j * step, size))
    softmax_row(scores, count, scores)
    vectors = (field(op, OUTPUT_SIZE) + LANES - 1) // LANES
    _context(scores, memory + 4 * field(op, VALUES), count, step, vectors, row + 4 * field(op, OUTPUT))


@routine("void(int64, int64)")
def attention(op: int, call: int) -> None:
    """All rows: each sees what its stream's memory holds."""
    start = field(call, ROWS)
    for t in range(field(call, STEPS)):
        batch = load_int(field(call, BATCH_SIZES) + 8 * t)
        for b in range(batch):
            _attend(op, call, start + b * field(call, ROW_STEP), b)
        start += batch * field(call, ROW_STEP)


def _reach(op: Record) -> Reach:
    size, values = int(op[INPUT_SIZE]), int(op[OUTPUT_SIZE])
    return Reach(
        [source(op)],
        [whole_vectors(op[OUTPUT], values)],
        weights=[whole_vectors(op[W], size if op[VARIANT] == ADDITIVE else 1)],
        loads=[whole_vectors(op[INPUT], size)],
        memory=[whole_vectors(op[KEYS], size), whole_vectors(op[VALUES], values)],
    )


ATTENTION = Kind(attention, _reach)
