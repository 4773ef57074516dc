"""Kernels called by compiled code: what they take without Python, and the product without all the rest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from ostinato.kernels import integer, interpreter
from ostinato.kernels.aligned import zeros
from ostinato.kernels.product import pack, product, vectors_of
from ostinato.kernels.program import Workspace, row_pitch
from ostinato.kernels.simd import address
from ostinato.lanes import LANES, padded
from ostinato_bench.cells import GATES, Cell

STEPS = 100
"""Of a loop."""
_ENOUGH = 1 << 22  # multiply-accumulates of a loop of products, at least


@numba.njit(nogil=True)
def advance(call: int, times: int) -> None:
    """Make a workspace's latest call, by its address, so many times."""
    for _ in range(times):
        interpreter.run(call)


@numba.njit(nogil=True)
def _multiply(table: Any, K: int, weights: Any, vectors: int, bias: Any, out: Any, times: int) -> None:
    for _ in range(times):
        product(
            address(table),
            0,
            table.size,
            K,
            address(weights),
            vectors,
            address(bias),
            0,
            address(out),
            4 * out.shape[1],
        )


@numba.njit(nogil=True)
def _multiply_int8(
    table: Any, K: int, weights: Any, vectors: int, bias: Any, out: Any, times: int, scratch: Any
) -> None:
    for _ in range(times):
        integer.product(
            address(table),
            0,
            table.size,
            K,
            address(weights),
            vectors,
            address(bias),
            0,
            address(out),
            4 * out.shape[1],
            address(scratch),
        )


def steps(workspace: Workspace) -> Callable[[], None]:
    """A function that makes the workspace's latest call `STEPS` times."""
    return lambda: advance(workspace.address, STEPS)


def products(cell: Cell) -> tuple[Callable[[], None], int]:
    """A function that multiplies a hidden state of each of the cell's streams by the first layer's R, several times,
    and how many multiply-accumulates that is."""
    outputs = GATES[cell.cell] * padded(cell.hidden)
    rng = np.random.default_rng(2)
    if cell.precision == "int8":
        R = rng.integers(-127, 128, (outputs, cell.hidden), np.int8)
        packed = integer.pack(R, np.full(outputs, 1e-3, np.float32), 1 / integer.MAGNITUDE)
    else:
        packed = pack(rng.uniform(-0.1, 0.1, (outputs, cell.hidden)).astype(np.float32))
    weights = zeros(packed.size)
    weights[:] = packed
    rows, out = (zeros(cell.batch, LANES * row_pitch(vectors_of(size))) for size in (cell.hidden, outputs))
    rows[:] = rng.uniform(-1, 1, rows.shape)
    table = rows.ctypes.data + rows.strides[0] * np.arange(cell.batch, dtype=np.int64)
    amount = cell.batch * outputs * cell.hidden
    times = -(-_ENOUGH // amount)
    arrays = (table, cell.hidden, weights, vectors_of(outputs), zeros(outputs), out, times)
    scratch = zeros(integer.BLOCK * padded(cell.hidden))

    def multiply(_keeps_alive: object = rows) -> None:
        if cell.precision == "int8":
            _multiply_int8(*arrays, scratch)
        else:
            _multiply(*arrays)

    return multiply, times * amount
