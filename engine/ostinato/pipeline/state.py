"""Stream state as plain data: dataclasses to and from dicts of msgpack types, strictly.

A state is a dataclass whose fields are numbers, text, arrays or further states; fields that it makes itself
(``init=False``) are left out. Array fields are declared with the aliases below, which carry dtype and number of
dimensions, so that `unpack` can refuse anything else. What a field may hold beyond its type (a tail no longer than a
window, an index below the number of labels) is known by the front end or decoder alone: their ``restore`` calls
`unpack` and checks that too, so a forged snapshot cannot lead a kernel out of its arrays.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import types
import typing
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import numpy as np
import numpy.typing as npt

from ostinato.errors import SnapshotError

S = TypeVar("S")
MAX_COUNT = 1 << 53
"""Counters beyond this are refused: no stream lives so long, and sums of two such still fit int64."""


@dataclass(frozen=True)
class ArraySpec:
    """Dtype and number of dimensions that an array field must have."""

    dtype: str
    ndim: int


F32Vector = Annotated[npt.NDArray[np.float32], ArraySpec("<f4", 1)]
F32Matrix = Annotated[npt.NDArray[np.float32], ArraySpec("<f4", 2)]
U16Matrix = Annotated[npt.NDArray[np.uint16], ArraySpec("<u2", 2)]
I32Vector = Annotated[npt.NDArray[np.int32], ArraySpec("<i4", 1)]
I32Matrix = Annotated[npt.NDArray[np.int32], ArraySpec("<i4", 2)]
F64Matrix = Annotated[npt.NDArray[np.float64], ArraySpec("<f8", 2)]
F64Cube = Annotated[npt.NDArray[np.float64], ArraySpec("<f8", 3)]
F64Vector = Annotated[npt.NDArray[np.float64], ArraySpec("<f8", 1)]


def pack(state: Any) -> dict[str, Any]:
    """A state as a dict of msgpack types: numbers and text as they are, arrays as {"shape", "data"},
    little-endian."""
    specs = _fields(typing.cast(Any, type(state)))
    return {name: _pack(getattr(state, name), wanted) for name, wanted in specs.items()}


def unpack(cls: type[S], packed: object, where: str = "state") -> S:
    """The state of type ``cls`` that `pack` packed.

    Raises SnapshotError naming the field for anything unknown, missing, of the wrong type, dtype or shape, or not
    finite. Arrays are writable copies.
    """
    if not isinstance(packed, dict):
        raise SnapshotError(f"{where} is a {type(packed).__name__}, not a map: the snapshot is damaged")
    specs = _fields(typing.cast(Any, cls))
    if packed.keys() != specs.keys():
        odd = sorted(map(repr, packed.keys() ^ specs.keys()))[0]
        raise SnapshotError(
            f"{where}: field {odd} is unknown or missing: the snapshot is damaged or of another version"
        )
    return cls(**{name: _unpack(wanted, packed[name], f"{where}.{name}") for name, wanted in specs.items()})


def held_bytes(state: Any) -> int:
    """Bytes of the arrays of a state, and of those in it."""
    values = [getattr(state, name) for name in _fields(typing.cast(Any, type(state)))]
    arrays = sum(value.nbytes for value in values if isinstance(value, np.ndarray))
    return arrays + sum(held_bytes(value) for value in values if dataclasses.is_dataclass(value))


def expect(holds: bool, what: str) -> None:
    """Raise SnapshotError unless what a ``restore`` checks holds."""
    if not holds:
        raise SnapshotError(f"{what}: the snapshot is damaged or of another model")


@functools.cache
def _fields(cls: Any) -> dict[str, Any]:
    hints = typing.get_type_hints(cls, include_extras=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls) if field.init}


def _optional(wanted: Any) -> Any:
    """X of ``X | None``; None for any other type."""
    if typing.get_origin(wanted) in (types.UnionType, typing.Union):
        return next(part for part in typing.get_args(wanted) if part is not types.NoneType)
    return None


def _pack(value: Any, wanted: Any) -> Any:
    if value is None:
        return None
    wanted = _optional(wanted) or wanted
    if typing.get_origin(wanted) is Annotated:
        spec: ArraySpec = wanted.__metadata__[0]
        return {"shape": list(value.shape), "data": np.ascontiguousarray(value, spec.dtype).tobytes()}
    return pack(value) if dataclasses.is_dataclass(value) else value


def _unpack(wanted: Any, raw: Any, where: str) -> Any:
    inner = _optional(wanted)
    if inner is not None:
        return None if raw is None else _unpack(inner, raw, where)
    if typing.get_origin(wanted) is Annotated:
        return _unpack_array(wanted.__metadata__[0], raw, where)
    if dataclasses.is_dataclass(wanted):
        return unpack(typing.cast(type, wanted), raw, where)
    if wanted == tuple[str, ...]:
        if not isinstance(raw, list) or not all(type(each) is str for each in raw):
            raise SnapshotError(f"{where} is no list of texts: the snapshot is damaged")
        return tuple(raw)
    if type(raw) is not wanted:
        raise SnapshotError(f"{where} is a {type(raw).__name__}, not a {wanted.__name__}: the snapshot is damaged")
    if wanted is float and not math.isfinite(raw):
        raise SnapshotError(f"{where} is not finite: the snapshot is damaged")
    if wanted is int and abs(raw) > MAX_COUNT:
        raise SnapshotError(f"{where} is out of range: the snapshot is damaged")
    return raw


def _unpack_array(spec: ArraySpec, raw: Any, where: str) -> npt.NDArray[Any]:
    if not isinstance(raw, dict) or raw.keys() != {"shape", "data"}:
        raise SnapshotError(f"{where} is not an array: the snapshot is damaged")
    shape, data = raw["shape"], raw["data"]
    if not isinstance(shape, list) or len(shape) != spec.ndim or not all(type(n) is int and n >= 0 for n in shape):
        raise SnapshotError(f"{where} does not have {spec.ndim} dimensions: the snapshot is damaged")
    dtype = np.dtype(spec.dtype)
    if not isinstance(data, bytes) or len(data) != math.prod(shape) * dtype.itemsize:
        raise SnapshotError(f"{where} does not hold as many values as its shape says: the snapshot is damaged")
    try:
        array = np.frombuffer(data, dtype).reshape(shape).astype(dtype.newbyteorder("="))
    except ValueError as error:  # nothing by too much, such as [0, 2^63 - 1]
        raise SnapshotError(f"{where} has a shape that no array has: the snapshot is damaged") from error
    if not np.isfinite(array).all():
        raise SnapshotError(f"{where} holds values that are not finite: the snapshot is damaged")
    return array
