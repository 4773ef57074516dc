"""Long short-term memory, with peepholes or without. Activations are in short chains, as in `gru`."""

from __future__ import annotations

from ostinato.kernels.activations import sigmoid, tanh
from ostinato.kernels.compiler import routine
from ostinato.kernels.operations.kind import Kind, Reach, Record, Region
from ostinato.kernels.operations.record import (
    DIAGONAL,
    ROW_STEP,
    STATE_C,
    TABLE_H,
    TABLE_SLOTS,
    UNITS,
    VECTORS,
    WEIGHTS,
    R,
)  # fmt: skip
from ostinato.kernels.operations.recurrent import blocks_of, gates_step, reach, recur, recurrent
from ostinato.kernels.simd import BYTES, field, fma, load, load_int, store
from ostinato.lanes import padded


@routine("void(int64, int64, int64, int64, int64, int64, int64, int64)")
def lstm(slots: int, c: int, rows: int, blocks: int, gates: int, gates_step: int, out: int, out_step: int) -> None:
    """LSTM: c' = f * c + i * tanh(c~); h' = o * tanh(c').

    ``slots`` holds the addresses of the state rows, whose cell states are at ``c``.
    """
    for r in range(rows):
        cell = load_int(slots + 8 * r) + c
        for j in range(blocks):
            at = gates + r * gates_step + 4 * j * BYTES
            i = sigmoid(load(at))
            f = sigmoid(load(at + 2 * BYTES))
            store(cell + j * BYTES, fma(f, load(cell + j * BYTES), i * tanh(load(at + 3 * BYTES))))
        for j in range(blocks):
            o = sigmoid(load(gates + r * gates_step + (4 * j + 1) * BYTES))
            store(out + r * out_step + j * BYTES, o * tanh(load(cell + j * BYTES)))


@routine("void(int64, int64, int64, int64, int64, int64, int64, int64, int64)")
def lstm_peepholes(
    slots: int, c: int, rows: int, blocks: int, gates: int, gates_step: int, peepholes: int, out: int, out_step: int
) -> None:
    """`lstm` whose i and f also see c<t-1>, and o c<t>, through diagonal weights ``peepholes`` [blocks][i o f]."""
    for r in range(rows):
        cell = load_int(slots + 8 * r) + c
        for j in range(blocks):
            at = gates + r * gates_step + 4 * j * BYTES
            p = peepholes + 3 * j * BYTES
            old = load(cell + j * BYTES)
            i = sigmoid(fma(load(p), old, load(at)))
            f = sigmoid(fma(load(p + 2 * BYTES), old, load(at + 2 * BYTES)))
            store(cell + j * BYTES, fma(f, old, i * tanh(load(at + 3 * BYTES))))
        for j in range(blocks):
            new = load(cell + j * BYTES)
            peephole = load(peepholes + (3 * j + 1) * BYTES)
            o = sigmoid(fma(peephole, new, load(gates + r * gates_step + (4 * j + 1) * BYTES)))
            store(out + r * out_step + j * BYTES, o * tanh(new))


@routine("void(int64, int64, int64, int64, int64)")
def cell(op: int, call: int, rows: int, gates: int, out: int) -> None:
    """As `recurrent` has it."""
    weights = field(call, WEIGHTS)
    slots = field(call, TABLE_SLOTS)
    blocks = blocks_of(op)
    step = gates_step(op)
    out_step = field(call, ROW_STEP)
    c = 4 * field(op, STATE_C)
    recur(op, call, field(call, TABLE_H), rows, weights + 4 * field(op, R), field(op, VECTORS), gates)
    if field(op, DIAGONAL) >= 0:
        lstm_peepholes(slots, c, rows, blocks, gates, step, weights + 4 * field(op, DIAGONAL), out, out_step)
    else:
        lstm(slots, c, rows, blocks, gates, step, out, out_step)


def _reach(op: Record) -> Reach:
    hidden = padded(int(op[UNITS]))
    found = reach(op, 4)
    found.states.append(Region(int(op[STATE_C]), hidden))
    if op[DIAGONAL] >= 0:
        found.weights.append(Region(int(op[DIAGONAL]), 3 * hidden))
    return found


LSTM = Kind(recurrent, _reach, cell)
