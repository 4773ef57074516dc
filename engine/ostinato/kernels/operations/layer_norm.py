"""Layer normalisation: (x - mean) / sqrt(variance + epsilon) of a row's values, times gamma, plus beta.

Sums are made lane by lane over the vectors in order, then over the lanes (`simd.total`): one order on all hosts, and
for any company.
"""

from __future__ import annotations

from ostinato.kernels.compiler import part, routine
from ostinato.kernels.operations.elementwise import row_of, weighted_reach
from ostinato.kernels.operations.kind import Kind, Reach, Record, Region
from ostinato.kernels.operations.record import BIAS, EPSILON, INPUT, OUTPUT, OUTPUT_SIZE, ROW_COUNT, WEIGHTS, W
from ostinato.kernels.simd import BYTES, field, first_lanes, fma, load, load_float, splat, sqrt, store, total
from ostinato.lanes import LANES


@part
def _layer_norm_row(x: int, size: int, gamma: int, beta: int, epsilon: float, out: int) -> None:
    """Three times over the values: their mean, their variance, the result."""
    zero = splat(0.0)
    vectors = (size + LANES - 1) // LANES
    sums = zero
    for i in range(vectors):
        sums = sums + first_lanes(size - i * LANES, load(x + i * BYTES), zero)
    mean = splat(total(sums) / size)
    sums = zero
    for i in range(vectors):
        d = first_lanes(size - i * LANES, load(x + i * BYTES) - mean, zero)
        sums = fma(d, d, sums)
    per_deviation = splat(1.0) / sqrt(splat(total(sums) / size) + splat(epsilon))
    for i in range(vectors):
        at = i * BYTES
        store(out + at, fma((load(x + at) - mean) * per_deviation, load(gamma + at), load(beta + at)))


@routine("void(int64, int64)")
def layer_norm(op: int, call: int) -> None:
    """All rows."""
    weights = field(call, WEIGHTS)
    for r in range(field(call, ROW_COUNT)):
        row = row_of(call, r)
        _layer_norm_row(
            row + 4 * field(op, INPUT),
            field(op, OUTPUT_SIZE),
            weights + 4 * field(op, W),
            weights + 4 * field(op, BIAS),
            load_float(weights + 4 * field(op, EPSILON)),
            row + 4 * field(op, OUTPUT),
        )


def _reach(op: Record) -> Reach:
    found = weighted_reach(op, op[W], op[BIAS])
    found.weights.append(Region(int(op[EPSILON]), 1))
    return found


LAYER_NORM = Kind(layer_norm, _reach)
