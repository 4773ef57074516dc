"""What normalising layers share: values to mean 0 and variance 1 along an axis, and the way back."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ostinato.training.packing import Array


class Normal(NamedTuple):
    """``values`` (x - mean) / sqrt(variance + epsilon), what x was divided by, and the statistics."""

    values: Array
    deviation: Array
    mean: Array
    variance: Array


def normalise(x: Array, axis: int, epsilon: float) -> Normal:
    """``x`` [N, size], by its own mean and variance along the axis."""
    mean = x.mean(axis=axis, keepdims=True)
    variance = x.var(axis=axis, keepdims=True)
    deviation = np.sqrt(variance + x.dtype.type(epsilon))
    return Normal((x - mean) / deviation, deviation, mean, variance)


def normalise_back(normal: Normal, d: Array, axis: int) -> Array:
    """Gradients of x from those of the values: all of them move the mean and the variance that each is taken by.

    dx = (d - mean d - values mean(d values)) / deviation"""
    along = (d * normal.values).mean(axis=axis, keepdims=True)
    dx: Array = (d - d.mean(axis=axis, keepdims=True) - normal.values * along) / normal.deviation
    return dx
