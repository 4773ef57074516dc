"""Matrices in int8: how they are made of float32 ones, and what makes one valid.

A value is an integer times a scale: one scale for each row of a matrix, one for all of its inputs. The kernels need
the weights of one sign that meet in 16 bits to add up to at most LIMIT (`largest_sums`), so scales are chosen for
groups of weights, not for single ones.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.errors import BadModelFileError
from ostinato.kernels.integer import MAGNITUDE
from ostinato.kernels.integer_tile import LIMIT, largest_sums

Float32 = npt.NDArray[np.float32]
Int8 = npt.NDArray[np.int8]

SMALLEST, LARGEST = 1e-18, 1e18
"""Of a scale: the product of any two is a normal float32."""

_CANDIDATES = np.geomspace(1 / 16, 1, 81)  # of the largest magnitude, as what the greatest integer stands for


def to_integers(matrix: Float32) -> tuple[Int8, Float32]:
    """A matrix [outputs, inputs] as integers and their scales [outputs].

    Eight weights grow by at most 4 when they are rounded, which is left free below LIMIT.
    """
    groups = largest_sums(matrix) / (LIMIT - 4)
    single = np.abs(matrix.astype(np.float64)).max(axis=1, initial=0) / 127
    scale = np.clip(np.maximum(groups, single), SMALLEST, LARGEST).astype(np.float32)
    # A scale that was rounded down must not let a group grow beyond the limit.
    scale = np.nextafter(scale, np.float32(np.inf))
    return np.clip(np.rint(matrix / scale.astype(np.float64)[:, None]), -127, 127).astype(np.int8), scale


def input_scale(values: Float32) -> float:
    """The scale with which ``values``, any shape, become integers at the least squared error, clipping included."""
    x = np.abs(values[np.isfinite(values)].astype(np.float64))
    largest = float(x.max(initial=0))
    if largest == 0:
        return 1 / MAGNITUDE
    scales = np.clip(largest * _CANDIDATES / MAGNITUDE, SMALLEST, LARGEST).astype(np.float32)
    errors = [np.square(np.minimum(np.rint(x / s), MAGNITUDE) * s - x).sum() for s in scales.astype(np.float64)]
    return float(scales[int(np.argmin(errors))])


def check_integers(name: str, weights: npt.NDArray[Any], scale: Float32, inputs: Float32) -> None:
    """Raise BadModelFileError unless ``weights`` with their scales give the same integers on every host."""
    for which, array in ((f"{name}_scale", scale), (f"{name}_input_scale", inputs)):
        if not ((array >= SMALLEST) & (array <= LARGEST)).all():
            raise BadModelFileError(
                f"weight {which} has values that are not from {SMALLEST:g} to {LARGEST:g}: quantize the model again"
            )
    sums = largest_sums(weights)
    if (sums > LIMIT).any():
        row = int(np.argmax(sums > LIMIT))
        raise BadModelFileError(
            f"weight {name}: weights of one sign of row {row} that are added in 16 bits have magnitudes of "
            f"{sums[row]:g} together, over the limit of {LIMIT}, so hosts could differ: make the file again with "
            f"`ostinato quantize`"
        )
