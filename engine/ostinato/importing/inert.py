"""Pickles read as data: nothing in them runs.

A pickle is a program that names functions and classes to be called. Here each name that a caller allows becomes a
class that only remembers what it was given (`Inert`), and any other name is an error that tells what it was. So an
array is no array yet, but what NumPy would have been told to make: `array` makes it, after looking at it.
"""

from __future__ import annotations

import io
import math
import pickle
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ostinato.errors import ForeignModelError

MAX_BYTES = 16 << 20
"""Of a pickle, besides what lies outside of it."""
Allowed = Callable[[str], bool]
"""Whether a name ("collections.OrderedDict") is known to be data."""

_DTYPES = {"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"}
NUMPY = frozenset(
    {"numpy.ndarray", "numpy.dtype", "_codecs.encode", "__builtin__.bytes", "builtins.bytes"}
    | {
        f"numpy.{core}.{name}"
        for core in ("core", "_core")
        for name in ("multiarray._reconstruct", "multiarray.scalar", "numeric._frombuffer")
    }
)
"""What a pickled array names."""
PLAIN = frozenset(
    {"collections.OrderedDict"}
    | {f"{module}.{name}" for module in ("copy_reg", "copyreg") for name in ("_reconstructor",)}
    | {f"{module}.object" for module in ("builtins", "__builtin__")}
)
"""Names that stand for no more than the object that they make."""


class Inert:
    """What a pickle would have made by calling ``name`` with ``args``. ``state``: what it would have been given
    afterwards; ``entries``: what it would have held as a dictionary or list."""

    name: ClassVar[str] = ""

    def __init__(self, *args: Any) -> None:
        self.args = args
        self.state: Any = None
        self.entries: list[Any] = []

    def __new__(cls, *args: Any) -> Inert:
        """Also for pickles that make an object and do not initialise it."""
        made = super().__new__(cls)
        made.__init__(*args)  # type: ignore[misc]
        return made

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __setitem__(self, key: Any, value: Any) -> None:
        self.entries.append((key, value))

    def append(self, value: Any) -> None:
        """One more entry."""
        self.entries.append(value)

    def extend(self, values: Any) -> None:
        """More entries."""
        self.entries.extend(values)

    def __repr__(self) -> str:
        return f"<{self.name}>"

    @property
    def fields(self) -> dict[str, Any]:
        """Its attributes, of a plain object."""
        found: dict[str, Any] = {}
        for part in self.state if isinstance(self.state, tuple) else (self.state,):
            if isinstance(part, dict):
                found |= {str(key): value for key, value in part.items()}
        return found


def loads(
    data: bytes,
    allowed: Allowed,
    persistent: Callable[[Any], Any] | None = None,
    cure: str = "save the weights alone, as arrays",
) -> Any:
    """What a pickle holds: Python's plain values, and an `Inert` for each object. ``persistent`` makes what stands
    for an outside reference; ``cure`` is what to do if something else is named.

    Raises ForeignModelError for one that is too large, damaged, or wants anything else.
    """
    if len(data) > MAX_BYTES:
        raise ForeignModelError(f"a pickle of {len(data)} bytes is over the limit of {MAX_BYTES}")
    try:
        return _Reader(io.BytesIO(data), allowed, persistent, cure).load()
    except ForeignModelError:
        raise
    except Exception as error:  # whatever a damaged pickle makes Python's reader say
        raise ForeignModelError(f"the pickle is damaged: {error}") from error


def array(value: Any) -> npt.NDArray[Any]:
    """The array of numbers that an `Inert` of NumPy stands for. Raises ForeignModelError if it is none."""
    if isinstance(value, Inert) and value.name.endswith("multiarray._reconstruct"):
        state = value.state
        if isinstance(state, tuple) and len(state) == 5:
            _, shape, dtype, fortran, raw = state
            return _filled(shape, _dtype(dtype), raw, bool(fortran))
    if isinstance(value, Inert) and value.name.endswith("multiarray.scalar") and len(value.args) == 2:
        return _filled((), _dtype(value.args[0]), value.args[1], False)
    if isinstance(value, Inert) and value.name.endswith("numeric._frombuffer") and len(value.args) == 4:
        raw, dtype, shape, order = value.args
        return _filled(shape, _dtype(dtype), raw, order == "F")
    raise ForeignModelError(f"the pickle holds {value!r} where an array is needed")


class _Reader(pickle._Unpickler):
    # The one in Python: the one in C reserves as much memory as a damaged pickle tells it to.

    def __init__(
        self, file: io.BytesIO, allowed: Allowed, persistent: Callable[[Any], Any] | None, cure: str
    ) -> None:
        super().__init__(file, encoding="latin1")
        self._allowed, self._persistent, self._cure = allowed, persistent, cure
        self._classes: dict[str, type[Inert]] = {}

    def find_class(self, module: str, name: str, /) -> Any:
        """An inert class in the place of what is named."""
        full = f"{module}.{name}"
        if full.endswith("._reconstructor") and full in PLAIN:
            return _reconstructed
        if full not in PLAIN and full not in NUMPY and not self._allowed(full):
            raise ForeignModelError(
                f"the pickle wants to use {full}, which is not known to be data: refused, as whatever a pickle names "
                f"may run; {self._cure}"
            )
        if full not in self._classes:
            self._classes[full] = type(name, (Inert,), {"name": full})
        return self._classes[full]

    def persistent_load(self, pid: Any, /) -> Any:
        """What a reference to outside of the pickle stands for."""
        if self._persistent is None:
            raise ForeignModelError("the pickle refers to what is outside of it: refused")
        return self._persistent(pid)


def _reconstructed(kind: Any, *_: Any) -> Inert:
    """As copyreg makes objects: of a class, without arguments."""
    if not (isinstance(kind, type) and issubclass(kind, Inert)):
        raise ForeignModelError("the pickle makes an object of no class")
    return kind()


def _dtype(value: Any) -> np.dtype[Any]:
    if isinstance(value, Inert) and value.name == "numpy.dtype" and value.args and value.args[0] in _DTYPES:
        order = value.state[1] if isinstance(value.state, tuple) and len(value.state) > 1 else "="
        if order in ("<", ">", "=", "|"):
            return np.dtype(f"{order}{value.args[0]}")
    raise ForeignModelError(f"the pickle has an array of {value!r}, not of plain numbers")


def _filled(shape: Any, dtype: np.dtype[Any], raw: Any, fortran: bool) -> npt.NDArray[Any]:
    if isinstance(raw, Inert) and raw.name in ("_codecs.encode", "__builtin__.bytes", "builtins.bytes"):
        raw = raw.args[0] if raw.args else b""  # as protocols that know no bytes have them
    if isinstance(raw, str):
        raw = raw.encode("latin1")
    if isinstance(raw, bytearray):
        raw = bytes(raw)
    plain = isinstance(shape, tuple) and all(isinstance(size, int) and size >= 0 for size in shape)
    if not plain or not isinstance(raw, bytes) or math.prod(shape) * dtype.itemsize != len(raw):
        raise ForeignModelError(f"the pickle has an array of shape {shape!r} that its bytes do not fill")
    return np.frombuffer(raw, dtype).reshape(shape, order="F" if fortran else "C")
