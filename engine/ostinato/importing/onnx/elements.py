"""Tensors that are not computed but traced: each element says where its value comes from.

While a graph is read, a tensor that depends on the input is an int64 array of its own shape. An element is either

    a constant         -1 - (the 32 bits of the float32)
    a traced value     term << 40 | (frame + 2^15) << 24 | index      value number `index` of a term's frame

so that whatever moves values about (Transpose, Reshape, Slice, Concat, Pad, Gather, …) is done to the elements by the
operator itself, and how a graph arranges frames, channels and caches needs not be understood, but is read off at the
end. Frames are counted from the utterance's first; relative to another frame, they are offsets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Ids: TypeAlias = npt.NDArray[np.int64]
Array: TypeAlias = npt.NDArray[Any]
_INDEX_BITS, _FRAME_BITS = 24, 16
_TERM_SHIFT = _INDEX_BITS + _FRAME_BITS
_FRAME_ZERO = 1 << (_FRAME_BITS - 1)
FRAME = 1 << _INDEX_BITS
"""The difference of the same value's elements in two neighbouring frames."""
LONGEST = _FRAME_ZERO - 1
"""Frames that can be told apart."""


@dataclass(frozen=True)
class Traced:
    """A tensor of elements. ``token``: whether its values are token ids."""

    ids: Ids
    token: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the tensor."""
        return self.ids.shape


Tensor: TypeAlias = Traced | Array
"""Or a constant, an array of its own type."""


def constant(values: Any) -> Ids:
    """Elements of these values."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32).astype(np.int64)
    made: Ids = -1 - bits.reshape(np.shape(values))
    return made


def value(ids: Ids) -> npt.NDArray[np.float32]:
    """The values of constant elements."""
    return (-1 - ids).astype(np.uint32).view(np.float32).reshape(ids.shape)


ZERO = int(constant(0.0))


def element(term: Any, frame: Any, index: Any) -> Ids:
    """Elements of the values ``index`` of a term's frames."""
    made: Ids = (
        (np.asarray(term, np.int64) << _TERM_SHIFT)
        | ((np.asarray(frame, np.int64) + _FRAME_ZERO) << _INDEX_BITS)
        | np.asarray(index, np.int64)
    )
    return made


def term_of(ids: Ids) -> Ids:
    """The numbers of the terms of traced elements."""
    return ids >> _TERM_SHIFT


def frame_of(ids: Ids) -> Ids:
    """Their frames, or offsets."""
    return ((ids >> _INDEX_BITS) & ((1 << _FRAME_BITS) - 1)) - _FRAME_ZERO


def index_of(ids: Ids) -> Ids:
    """Which value of the frame they are."""
    return ids & (FRAME - 1)


def shifted(ids: Ids, frames: Any) -> Ids:
    """The same values, ``frames`` later; constants as they are."""
    return np.where(ids >= 0, ids + np.asarray(frames, np.int64) * FRAME, ids)


def elements(tensor: Tensor) -> Ids:
    """Those of a tensor, or of a constant."""
    return tensor.ids if isinstance(tensor, Traced) else constant(tensor)
