"""The sums bias + W x that an operation begins with: by a matrix, or looked up where x is a token's vector. Of such
there are only so many, so their sums are made once, as the network is compiled, and W is not read any more."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ostinato.kernels.arrays import sums

if TYPE_CHECKING:
    from ostinato.model.lowering import Lowering, Value

Array = npt.NDArray[Any]
MAX_TABLE = 1 << 22
"""Values of the sums of all tokens, 16 MiB: beyond that they take more memory than the time is worth."""


class Projection(NamedTuple):
    """What an operation reads: ``source``, with a matrix that is ``int8`` or not, from ``bias`` [outputs] on."""

    source: Value
    bias: Array
    int8: bool
    place: Callable[[slice], int]
    """Puts these columns of the matrix into the weight buffer, and says where."""


def projection(to: Lowering, name: str, source: Value, arranged: Callable[[Array], Array], bias: Array) -> Projection:
    """That of the matrix of that name with ``source``; ``arranged`` as `Lowering.matrix` has it. The bits are the
    same either way."""
    embedded = to.embedded.get(source)
    if embedded is None or len(embedded.table) * len(bias) > MAX_TABLE:
        return Projection(source, bias, to.is_int8(name), lambda columns: to.matrix(name, arranged, columns))
    made = sums(embedded.table, to.arranged(name, arranged), bias, to.is_int8(name))
    nothing = np.full(len(bias), -0.0, np.float32)  # to which anything may be added, and is itself, zeros too
    return Projection(embedded.token, nothing, False, lambda columns: to.packed(made.T[:, columns]))
