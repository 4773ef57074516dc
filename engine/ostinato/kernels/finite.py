"""Whether values are finite: what comes in is checked for it, and what a network gives."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.kernels.compiler import entry, kernel, part, prepare
from ostinato.kernels.simd import BYTES, address, fma, load, load_float, splat, total
from ostinato.lanes import LANES


@part
def finite(at: int, count: int) -> Any:
    """Whether none of ``count`` float32 at an address is infinite or NaN: their products with zero are zeros."""
    zero = splat(0.0)
    even = zero
    odd = zero
    left = count
    while left >= 2 * LANES:
        even = fma(load(at), zero, even)
        odd = fma(load(at + BYTES), zero, odd)
        at += 2 * BYTES
        left -= 2 * LANES
    found = total(even) + total(odd)
    for k in range(left):
        found += load_float(at + 4 * k) * 0.0
    return found == 0.0


@kernel("boolean(float32[:, ::1])")
def every_value(values: Any) -> Any:
    """Whether no value [n, any] is infinite or NaN."""
    return finite(address(values), values.size)


@cache
def _compiled() -> Callable[[npt.NDArray[np.float32]], bool]:
    prepare(every_value)
    return entry(every_value)


def all_finite(values: npt.NDArray[np.float32]) -> bool:
    """Whether no value of a float32 array [n, any] is infinite or NaN."""
    return _compiled()(values if values.flags.c_contiguous else np.ascontiguousarray(values))
