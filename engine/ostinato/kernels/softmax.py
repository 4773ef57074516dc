"""Probabilities of a row's values: exp(x - max x) / sum of these."""

from __future__ import annotations

from ostinato.kernels.activations import exp
from ostinato.kernels.compiler import part
from ostinato.kernels.simd import BYTES, first_lanes, largest, load, splat, store, total, where_less
from ostinato.lanes import LANES


@part
def softmax_row(x: int, size: int, out: int) -> None:
    """exp(x - max x) / sum of these; lanes beyond ``size`` become 0. ``out`` may be ``x``."""
    lowest = splat(-3.5e38)
    top = lowest
    left = size
    at = x
    while left > 0:
        v = first_lanes(left, load(at), lowest)
        top = where_less(top, v, v, top)
        at += BYTES
        left -= LANES
    greatest = splat(largest(top))
    sum_ = splat(0.0)
    left = size
    i = 0
    while left > 0:
        e = first_lanes(left, exp(load(x + i) - greatest), splat(0.0))
        store(out + i, e)
        sum_ = sum_ + e
        i += BYTES
        left -= LANES
    whole = splat(total(sum_))
    while i > 0:
        i -= BYTES
        store(out + i, load(out + i) / whole)
