"""The plain recurrent operation: h<t> = f(W x + R h<t-1> + b)."""

from __future__ import annotations

from ostinato.kernels.activations import activate
from ostinato.kernels.compiler import routine
from ostinato.kernels.copying import copy
from ostinato.kernels.operations.gates import clip_sums
from ostinato.kernels.operations.kind import Kind
from ostinato.kernels.operations.record import ACTIVATION, CLIP, PARAMETERS, ROW_STEP, TABLE_H, VECTORS, WEIGHTS, R
from ostinato.kernels.operations.recurrent import blocks_of, gates_step, reach, recur, recurrent
from ostinato.kernels.simd import field, load_float


@routine("void(int64, int64, int64, int64, int64)")
def cell(op: int, call: int, rows: int, gates: int, out: int) -> None:
    """As `recurrent` has it."""
    weights = field(call, WEIGHTS)
    vectors = field(op, VECTORS)
    step = gates_step(op)
    out_step = field(call, ROW_STEP)
    recur(op, call, field(call, TABLE_H), rows, weights + 4 * field(op, R), vectors, gates)
    parameters = weights + 4 * field(op, PARAMETERS)
    alpha = load_float(parameters)
    beta = load_float(parameters + 4)
    for r in range(rows):
        if field(op, CLIP) >= 0:
            clip_sums(op, call, gates + r * step, vectors)
        activate(field(op, ACTIVATION), alpha, beta, gates + r * step, vectors)
        copy(gates + r * step, out + r * out_step, blocks_of(op))


RNN = Kind(recurrent, reach, cell)
