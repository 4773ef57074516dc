"""Cells: from the gates' sums to the next hidden state, as vector code.

Gate sums of a row lie in blocks of 16 hidden units, gate after gate within a block (GRU reset before: z r in blocks,
then all n). ``table`` holds the addresses from which h<t-1> of each row is read; h<t> goes to ``out``.
Padding lanes hold what falls out; nothing reads them. Arguments are int64, addresses and steps in bytes.

What needs one activation after another is made in two loops over a row: between short chains the processor finds more
to do at once than within long ones, which takes a sixth less time.
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
    """GRU, reset after: n = tanh(W x + r * (R h + Rb)); h' = n + z * (h - n). What is ``aside`` is used up."""
    for r in range(rows):
        before = load_int(table + 8 * r)
        candidate = aside + r * blocks * BYTES
        for j in range(blocks):
            at = gates + r * gates_step + (3 * j + 1) * BYTES
            n = candidate + j * BYTES
            store(n, fma(sigmoid(load(at)), load(at + BYTES), load(n)))
        for j in range(blocks):
            z = sigmoid(load(gates + r * gates_step + 3 * j * BYTES))
            n = tanh(load(candidate + j * BYTES))
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
