"""Loops of learning from one source: float32 in vectors of 16, float64, and what float32 leaves over, value by value.

A *body* is a `part` that does a row's values at ``j``: it reads them by `take`, computes, and writes by `put`. It is
given 1 in what it computes with, a vector of ones or a number: so it is compiled for both. A loop over H values is

    for j in range(0, whole(y), LANES):
        body(ones(y), j, …)
    for j in range(whole(y), H):
        body(one(y), j, …)
"""

from __future__ import annotations

from typing import Any

from numba import types
from numba.extending import overload

from ostinato.kernels.activations import exp
from ostinato.kernels.simd import address, largest, load, prefetch, splat, store, total, vector, where_less
from ostinato.lanes import LANES
from ostinato.training.packing import Array


def whole(array: Array) -> int:
    """How many of a row's values are computed in vectors: none of float64."""
    raise NotImplementedError


@overload(whole, strict=False)
def _whole(array: Any) -> Any:
    if array.dtype == types.float32:
        return lambda array: array.shape[1] // LANES * LANES
    return lambda array: 0


def one(array: Array) -> Any:
    """1 in the type of the array's values."""
    raise NotImplementedError


@overload(one, strict=False)
def _one(array: Any) -> Any:
    return lambda array: array.dtype.type(1)


def ones(array: Array) -> Any:
    """A vector of ones; of float64 `one`."""
    raise NotImplementedError


@overload(ones, strict=False)
def _ones(array: Any) -> Any:
    return (lambda array: splat(1.0)) if array.dtype == types.float32 else (lambda array: 1.0)


def take(array: Array, row: int, j: int, one: Any) -> Any:
    """What is in a row at ``j``: a vector or a number, as ``one`` is."""
    raise NotImplementedError


@overload(take, strict=False)
def _take(array: Any, row: Any, j: Any, one: Any) -> Any:
    if one == vector:
        return lambda array, row, j, one: load(address(array) + 4 * (row * array.shape[1] + j))
    return lambda array, row, j, one: array[row, j]


def put(array: Array, row: int, j: int, value: Any) -> None:
    """A vector or a number into a row at ``j``."""
    raise NotImplementedError


@overload(put, strict=False)
def _put(array: Any, row: Any, j: Any, value: Any) -> Any:
    if value == vector:
        return lambda array, row, j, value: store(address(array) + 4 * (row * array.shape[1] + j), value)

    def number(array: Any, row: Any, j: Any, value: Any) -> None:
        array[row, j] = value

    return number


def foresee(array: Array, row: int, j: int, one: Any) -> None:
    """A row's vector at ``j`` is read soon, and memory is slow; there need be no such row."""
    raise NotImplementedError


@overload(foresee, strict=False)
def _foresee(array: Any, row: Any, j: Any, one: Any) -> Any:
    if one == vector:
        return lambda array, row, j, one: prefetch(address(array) + 4 * (row * array.shape[1] + j))
    return lambda array, row, j, one: None


def highest(array: Array, row: int, count: int) -> Any:
    """The highest of a row's first ``count`` values, a multiple of `LANES` above 0; any of them if some are NaN."""
    raise NotImplementedError


@overload(highest, strict=False)
def _highest(array: Any, row: Any, count: Any) -> Any:
    if array.dtype != types.float32:
        return lambda array, row, count: array[row, 0]  # there are no vectors

    def of_vectors(array: Any, row: Any, count: Any) -> Any:
        start = address(array) + 4 * row * array.shape[1]
        high = load(start)
        for at in range(start + 4 * LANES, start + 4 * count, 4 * LANES):
            x = load(at)
            high = where_less(high, x, x, high)
        return largest(high)

    return of_vectors


def added(array: Array, row: int, count: int) -> Any:
    """The sum of a row's first ``count`` values, a multiple of `LANES`."""
    raise NotImplementedError


@overload(added, strict=False)
def _added(array: Any, row: Any, count: Any) -> Any:
    if array.dtype != types.float32:
        return lambda array, row, count: array.dtype.type(0)

    def of_vectors(array: Any, row: Any, count: Any) -> Any:
        sums, start = splat(0.0), address(array) + 4 * row * array.shape[1]
        for at in range(start, start + 4 * count, 4 * LANES):
            sums = sums + load(at)
        return total(sums)

    return of_vectors


def powers(array: Array, row: int, count: int) -> Any:
    """A row's first ``count`` values, a multiple of `LANES`, <- e to their power; their sum."""
    raise NotImplementedError


@overload(powers, strict=False)
def _powers(array: Any, row: Any, count: Any) -> Any:
    if array.dtype != types.float32:
        return lambda array, row, count: array.dtype.type(0)

    def of_vectors(array: Any, row: Any, count: Any) -> Any:
        sums, start = splat(0.0), address(array) + 4 * row * array.shape[1]
        for at in range(start, start + 4 * count, 4 * LANES):
            e = exp(load(at))
            store(at, e)
            sums = sums + e
        return total(sums)

    return of_vectors
