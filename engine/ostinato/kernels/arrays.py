"""Kernels over plain arrays, for front ends: logarithm, activations, and the product with a fixed matrix.

The same vector code as in programs, hence the same bits on every host, and for one row as for many. Denormals are
zeros, those of the arguments too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.activations import parameters
from ostinato.kernels import activations, integer
from ostinato.kernels.aligned import zeros
from ostinato.kernels.compiler import kernel, prepare
from ostinato.kernels.integer_tile import GROUP
from ostinato.kernels.product import pack, product, vectors_of
from ostinato.kernels.simd import BYTES, address, flushed, load, store, store_int
from ostinato.lanes import LANES, padded

Floats = npt.NDArray[np.float32]

_LOG, _EXP = -1, -2
_CHUNK = 64
_NOTHING = zeros(0)


@kernel("void(int64, float64, float64, float32[::1])")
def _apply(number: int, alpha: int, beta: int, x: Any) -> None:
    """In ``x``: whole vectors, in place."""
    count = x.shape[0] // LANES
    start = address(x)
    for i in range(count):
        at = start + i * BYTES
        value = flushed(load(at))
        if number == _LOG:
            value = activations.log(value)
        elif number == _EXP:
            value = activations.exp(value)
        store(at, value)
    if number >= 0:
        activations.activate(number, alpha, beta, start, count)


@kernel("void(int64[::1], float32[:, ::1], boolean, float32[::1], float32[::1], float32[:, ::1], float32[::1])")
def _multiply(table: Any, x: Any, int8: bool, weights: Any, bias: Any, out: Any, scratch: Any) -> None:
    step = 4 * x.shape[1]
    out_step = 4 * out.shape[1]
    for start in range(0, x.shape[0], _CHUNK):
        rows = min(_CHUNK, x.shape[0] - start)
        for r in range(rows):
            store_int(address(table) + 8 * r, address(x) + (start + r) * step)
        if int8:
            integer.product(
                address(table),
                0,
                rows,
                x.shape[1],
                address(weights),
                out.shape[1] // LANES,
                address(bias),
                0,
                address(out) + start * out_step,
                out_step,
                address(scratch),
            )
            continue
        product(
            address(table),
            0,
            rows,
            x.shape[1],
            address(weights),
            out.shape[1] // LANES,
            address(bias),
            0,
            address(out) + start * out_step,
            out_step,
        )


def _elementwise(number: int, alpha: float, beta: float, x: npt.ArrayLike) -> Floats:
    prepare(_apply)
    values = np.asarray(x, np.float32)
    work = np.ones(padded(values.size), np.float32)
    work[: values.size] = values.ravel()
    _apply(number, alpha, beta, work)
    return work[: values.size].reshape(values.shape)


def log(x: npt.ArrayLike) -> Floats:
    """Natural logarithm of float32 values, any shape: within 2 units in the last place; of 0 -inf, below NaN."""
    return _elementwise(_LOG, 0.0, 0.0, x)


def exp(x: npt.ArrayLike) -> Floats:
    """Powers e^x of float32 values, any shape: within 2 units in the last place."""
    return _elementwise(_EXP, 0.0, 0.0, x)


def activate(name: str, x: npt.ArrayLike, alpha: float | None = None, beta: float | None = None) -> Floats:
    """An activation of `ostinato.activations` on float32 values, any shape. Raises ValueError for an unknown name."""
    return _elementwise(*parameters(name, alpha, beta), x)


@dataclass(frozen=True, eq=False)
class PackedMatrix:
    """A matrix [inputs, outputs], ready to be multiplied."""

    inputs: int
    outputs: int
    weights: Floats
    bias: Floats


def pack_matrix(matrix: npt.ArrayLike, bias: npt.ArrayLike | None = None) -> PackedMatrix:
    """Pack ``matrix`` [inputs, outputs] and, if given, ``bias`` [outputs] for `multiply`."""
    prepare(_multiply)
    dense = np.asarray(matrix, np.float32)
    inputs, outputs = dense.shape
    wide = np.zeros((vectors_of(outputs) * LANES, inputs), np.float32)
    wide[:outputs] = dense.T
    start = zeros(len(wide))
    if bias is not None:
        start[:outputs] = bias
    weights = zeros(wide.size)
    weights[:] = pack(wide)
    return PackedMatrix(inputs, outputs, weights, start)


def multiply(packed: PackedMatrix, x: npt.ArrayLike) -> Floats:
    """Rows x [n, inputs] times the matrix, plus its bias: float32 [n, outputs].

    Each output is summed over the inputs in order, fused: the same bits for a row alone as among many.
    """
    rows = np.ascontiguousarray(x, np.float32)
    if rows.ndim != 2 or rows.shape[1] != packed.inputs:
        raise ValueError(f"x {rows.shape} is not [n, {packed.inputs}]")
    out = np.empty((len(rows), len(packed.bias)), np.float32)
    _multiply(np.empty(_CHUNK, np.int64), rows, False, packed.weights, packed.bias, out, _NOTHING)
    return out[:, : packed.outputs]


def sums(x: Floats, weights: Floats, bias: Floats, int8: bool) -> Floats:
    """What an operation begins with: bias + W x for rows x [n, inputs], as [n, outputs]. W [outputs, inputs], outputs
    a multiple of 16, is packed by `product.pack` or, if ``int8``, `integer.pack`."""
    prepare(_multiply)
    rows = zeros(len(x) * x.shape[1] + GROUP)  # int8 rounds whole groups, and there is one behind the last row
    rows[: x.size] = x.ravel()
    out = np.empty((len(x), len(bias)), np.float32)
    scratch = zeros(integer.BLOCK * padded(x.shape[1] + GROUP) // 4)
    _multiply(np.empty(_CHUNK, np.int64), rows[: x.size].reshape(x.shape), int8, weights, bias, out, scratch)
    return out
