"""The sums bias + W x that an operation begins with, where x is a token's vector. Of such there are only so many, so
their sums are made once, as the network is compiled, and W is not read any more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.kernels.arrays import sums

Floats = npt.NDArray[np.float32]
MAX_TABLE = 1 << 22
"""Values of the sums of all tokens, 16 MiB: beyond that they take more memory than the time is worth."""
NOTHING = np.float32(-0.0)
"""To which anything may be added, and is itself, zeros too."""


def sums_by_token(vectors: Floats, packed: Callable[[], Floats], bias: Any, int8: bool) -> Floats | None:
    """[outputs, tokens], from ``bias`` [outputs] on, of each token's row of ``vectors`` [tokens, size], by the packed
    matrix, ``int8`` or not; the bits are those of the product of one row. None if they would be too many."""
    if len(vectors) * len(bias) > MAX_TABLE:
        return None
    return sums(vectors, packed(), np.ascontiguousarray(bias, np.float32), int8).T
