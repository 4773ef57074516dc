"""Outputs that are not finite, found before a decoder sees them: a network with growing states, or input far beyond
what it was trained on, overflows in one stream, which must not concern the others of its batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ostinato.kernels.finite import all_finite

Float32 = npt.NDArray[np.float32]


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
