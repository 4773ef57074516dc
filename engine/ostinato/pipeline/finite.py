"""Whether values are finite, as quickly as that can be seen."""

from __future__ import annotations

import math

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
