"""Gates in the order of another framework, put into ours."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def reordered(stacked: Array, theirs: str, ours: str) -> Array:
    """``stacked`` [gates * hidden, …] whose gates come in the order ``theirs``, a letter each ("ifco"), in the order
    ``ours`` ("iofc")."""
    gates = np.split(stacked, len(theirs))
    return np.concatenate([gates[theirs.index(letter)] for letter in ours])
