"""Outputs that are not finite, found before a decoder sees them: a network with growing states, or input far beyond
what it was trained on, overflows in one stream, which must not concern the others of its batch."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
SMALL = 4096
"""Values up to which one thread computes their sum of squares."""


def all_finite(values: Float32) -> bool:
    """Whether no value is infinite or NaN."""
    # A sum of squares is finite only if they all are, and takes a third of the time; a huge one is looked at again.
    if values.size <= SMALL and math.isfinite(np.vdot(values, values)):
        return True
    return bool(np.isfinite(values).all())


def finite_rows(outputs: Float32) -> int:
    """How many rows of ``outputs`` [n, size] come before the first that is not finite."""
    if all_finite(outputs):
        return len(outputs)
    return int(np.isfinite(outputs).all(axis=1).argmin())


def finite_parts(outputs: Float32, counts: Sequence[int]) -> tuple[list[int], Float32]:
    """Stream i has the next counts[i] rows of ``outputs``: how many of them are finite up to its first that is not,
    and those rows of all streams."""
    rows: npt.NDArray[np.bool_] = np.asarray(np.isfinite(outputs).all(axis=1))
    kept = np.zeros(len(outputs), bool)
    finite: list[int] = []
    end = 0
    for count in counts:
        start, end = end, end + count
        part = rows[start:end]
        finite.append(count if part.all() else int(part.argmin()))
        kept[start : start + finite[-1]] = True
    return finite, outputs[kept]
