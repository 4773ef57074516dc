"""A convolution in which each output sees one input only."""

from __future__ import annotations

from ostinato.kernels.activations import activate
from ostinato.kernels.compiler import routine
from ostinato.kernels.operations.kind import Kind, Reach, Record, Region, activation, output, taps
from ostinato.kernels.operations.record import (
    ACTIVATION,
    BIAS,
    INPUT,
    OUTPUT,
    OUTPUT_SIZE,
    PARAMETERS,
    ROW_COUNT,
    ROW_STEP,
    ROWS,
    TAPS,
    WEIGHTS,
    W,
)  # fmt: skip
from ostinato.kernels.simd import BYTES, field, fma, load, load_float, store
from ostinato.lanes import LANES, padded


@routine("void(int64, int64)")
def depthwise(op: int, call: int) -> None:
    """The input is TAPS frames of the output's size, W [TAPS, padded size]: f(b + sum over taps of w x), in order."""
    size = field(op, OUTPUT_SIZE)
    vectors = (size + LANES - 1) // LANES
    weights = field(call, WEIGHTS) + 4 * field(op, W)
    bias = field(call, WEIGHTS) + 4 * field(op, BIAS)
    parameters = field(call, WEIGHTS) + 4 * field(op, PARAMETERS)
    alpha = load_float(parameters)
    beta = load_float(parameters + 4)
    for r in range(field(call, ROW_COUNT)):
        row = field(call, ROWS) + r * field(call, ROW_STEP)
        out = row + 4 * field(op, OUTPUT)
        for v in range(vectors):
            at = row + 4 * field(op, INPUT) + v * BYTES
            total = load(bias + v * BYTES)
            for j in range(field(op, TAPS)):
                total = fma(load(weights + (j * vectors + v) * BYTES), load(at + 4 * j * size), total)
            store(out + v * BYTES, total)
        if field(op, ACTIVATION) != 0:
            activate(field(op, ACTIVATION), alpha, beta, out, vectors)


def _reach(op: Record) -> Reach:
    size = padded(int(op[OUTPUT_SIZE]))
    weights = [Region(int(op[W]), int(op[TAPS]) * size), Region(int(op[BIAS]), size), activation(op)]
    found = taps(op)
    found.writes.append(output(op))
    found.weights += weights
    return found


DEPTHWISE = Kind(depthwise, _reach)
