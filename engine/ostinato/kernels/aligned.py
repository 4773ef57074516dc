"""Arrays that begin at a cache line."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

_ALIGNMENT = 64


def zeros(*shape: int) -> npt.NDArray[np.float32]:
    """float32 zeros that begin at a cache line, as rows and states best do."""
    count = math.prod(shape)
    raw = np.zeros(4 * count + _ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % _ALIGNMENT
    return raw[start : start + 4 * count].view(np.float32).reshape(shape)
