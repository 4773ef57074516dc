"""Cells: from the gates' sums to the next hidden state, as vector code.

Gate sums of a row lie in blocks of 16 hidden units, gate after gate within a block (GRU reset before: z r in blocks,
then all n). ``table`` holds the addresses from which h<t-1> of each row is read; h<t> goes to ``out``.
Padding lanes hold what falls out; nothing reads them. Arguments are int64, addresses and steps in bytes.
"""

from __future__ import annotations

from ostinato.kernels._jit import part, routine
from ostinato.kernels.activations import sigmoid, tanh
from ostinato.kernels.simd import BYTES, fma, load, load_int, store


@part
def copy(source: int, target: int, count: int) -> None:
    """``count`` vectors."""
    for i in range(count):
        store(target + i * BYTES, load(source + i * BYTES))


@routine("void(int64, int64, int64, int64, int64, int64)")
def gru_set_aside(rows: int, blocks: int, gates: int, gates_step: int, aside: int, bias: int) -> None:
    """GRU, reset after: W x of the candidate goes to ``aside`` [rows, blocks], its place starts anew from Rb."""
    for r in range(rows):
        for j in range(blocks):
            n = gates + r * gates_step + (3 * j + 2) * BYTES
            store(aside + (r * blocks + j) * BYTES, load(n))
            store(n, load(bias + j * BYTES))


@routine("void(int64, int64, int64, int64, int64, int64, int64, int64)")
def gru_after(
    table: int, rows: int, blocks: int, gates: int, gates_step: int, aside: int, out: int, out_step: int
) -> None:
    """GRU, reset after: n = tanh(W x + r * (R h + Rb)); h' = n + z * (h - n)."""
    for r in range(rows):
        before = load_int(table + 8 * r)
        for j in range(blocks):
            at = gates + r * gates_step + 3 * j * BYTES
            z = sigmoid(load(at))
            reset = sigmoid(load(at + BYTES))
            n = tanh(fma(reset, load(at + 2 * BYTES), load(aside + (r * blocks + j) * BYTES)))
            store(out + r * out_step + j * BYTES, fma(z, load(before + j * BYTES) - n, n))


@routine("void(int64, int64, int64, int64, int64, int64)")
def gru_reset(table: int, rows: int, blocks: int, gates: int, gates_step: int, aside: int) -> None:
    """GRU, reset before: r * h to ``aside`` [rows, blocks]."""
    for r in range(rows):
        before = load_int(table + 8 * r)
        for j in range(blocks):
            reset = sigmoid(load(gates + r * gates_step + (2 * j + 1) * BYTES))
            store(aside + (r * blocks + j) * BYTES, reset * load(before + j * BYTES))


@routine("void(int64, int64, int64, int64, int64, int64, int64)")
def gru_before(table: int, rows: int, blocks: int, gates: int, gates_step: int, out: int, out_step: int) -> None:
    """GRU, reset before: n = tanh(W x + R (r * h)); h' = n + z * (h - n)."""
    for r in range(rows):
        before = load_int(table + 8 * r)
        for j in range(blocks):
            at = gates + r * gates_step
            z = sigmoid(load(at + 2 * j * BYTES))
            n = tanh(load(at + (2 * blocks + j) * BYTES))
            store(out + r * out_step + j * BYTES, fma(z, load(before + j * BYTES) - n, n))


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
            o = sigmoid(load(at + BYTES))
            f = sigmoid(load(at + 2 * BYTES))
            new = fma(f, load(cell + j * BYTES), i * tanh(load(at + 3 * BYTES)))
            store(cell + j * BYTES, new)
            store(out + r * out_step + j * BYTES, o * tanh(new))


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
            new = fma(f, old, i * tanh(load(at + 3 * BYTES)))
            o = sigmoid(fma(load(p + BYTES), new, load(at + BYTES)))
            store(cell + j * BYTES, new)
            store(out + r * out_step + j * BYTES, o * tanh(new))
