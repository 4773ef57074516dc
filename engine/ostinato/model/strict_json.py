"""Frozen dataclasses whose fields are what they say, to and from JSON: nothing unknown, missing or of another type
gets through.

Where a *family* of classes may stand, which one is meant is said by ``kind``: a class attribute, in JSON a field.
"""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any, Literal

from ostinato.errors import BadModelFileError, did_you_mean

Families = Mapping[type, Mapping[str, type]]
"""For each base class that annotations name, the classes of its kinds."""

LATER: Mapping[str, Any] = types.MappingProxyType({"later": True})
"""Metadata of a field that came later: at its default it is not written, so that what was there before keeps its
text, and with that its digest."""

MAX_NUMBER = 1e9
"""Numbers are at most this large, either way."""


def encode(value: Any) -> Any:
    """A dataclass of numbers, texts, tuples and dataclasses, as JSON values."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        kind = {"kind": value.kind} if hasattr(value, "kind") else {}
        values = [(field, getattr(value, field.name)) for field in dataclasses.fields(value)]
        return kind | {f.name: encode(v) for f, v in values if not ("later" in f.metadata and v == f.default)}
    if isinstance(value, tuple):
        return [encode(item) for item in value]
    return value


class Strict:
    """A dataclass that is refused as it is made, whoever makes it, unless its fields are of their types and
    `check` finds nothing wrong: BadModelFileError."""

    def __post_init__(self) -> None:
        name = getattr(self, "kind", type(self).__name__.lower())
        made: Any = type(self)
        hints = _hints(made)
        for field in dataclasses.fields(made):
            value = decode(hints[field.name], getattr(self, field.name), f"{name}.{field.name}", {})
            object.__setattr__(self, field.name, value)  # a list has become a tuple, a NumPy number a plain one
        self.check()

    def check(self) -> None:
        """Raise BadModelFileError if fields that have the right types do not make sense."""


@functools.cache
def _hints(wanted: Any) -> dict[str, Any]:
    return typing.get_type_hints(wanted)


def decode(wanted: Any, raw: Any, where: str, families: Families) -> Any:
    """The value of type ``wanted`` that ``raw`` is, or that it stands for as JSON; BadModelFileError if there is
    none."""
    origin, parts = typing.get_origin(wanted), typing.get_args(wanted)
    if wanted in families:
        return _decode_family(wanted, families[wanted], raw, where, families)
    if dataclasses.is_dataclass(wanted):
        return _decode_dataclass(typing.cast(type, wanted), raw, where, families)
    if origin in (types.UnionType, typing.Union):
        return None if raw is None else decode(next(p for p in parts if p is not type(None)), raw, where, families)
    if origin is Literal:
        if raw in parts and isinstance(raw, str):
            return raw
        raise BadModelFileError(f"{where} is {raw!r}, not one of {', '.join(map(repr, parts))}")
    if origin is tuple and isinstance(raw, list | tuple):
        return tuple(decode(parts[0], item, f"{where}[{i}]", families) for i, item in enumerate(raw))
    if origin is dict and isinstance(raw, dict):
        return {key: decode(parts[1], item, f"{where}.{key}", families) for key, item in raw.items()}
    if wanted in (float, int) and isinstance(raw, Real) and not isinstance(raw, bool):
        if not abs(typing.cast(float, raw)) <= MAX_NUMBER:  # also NaN
            shown = f"a number of {len(str(abs(raw)))} digits" if isinstance(raw, int) else repr(raw)
            raise BadModelFileError(f"{where} is {shown}, not a number within {MAX_NUMBER:g}")
        if wanted is float:
            return float(raw)
        if isinstance(raw, Integral):
            return int(raw)
    if isinstance(wanted, type) and type(raw) is wanted:
        if isinstance(raw, str) and any("\ud800" <= character <= "\udfff" for character in raw):
            raise BadModelFileError(f"{where} holds a lone surrogate, which is no character")
        return raw
    raise BadModelFileError(f"{where} is {raw!r}, not of type {getattr(wanted, '__name__', wanted)}")


def _decode_family(wanted: type, kinds: Mapping[str, type], raw: Any, where: str, families: Families) -> Any:
    if isinstance(raw, wanted):
        return raw
    known = ", ".join(map(repr, kinds))
    if not isinstance(raw, dict):
        raise BadModelFileError(f"{where} is {raw!r}, not of a kind among {known}")
    kind = raw.get("kind")
    if not isinstance(kind, str) or kind not in kinds:
        raise BadModelFileError(f"{where}: kind {kind!r} is not one of {known}{did_you_mean(str(kind), kinds)}")
    rest = {name: value for name, value in raw.items() if name != "kind"}
    return _decode_dataclass(kinds[kind], rest, where, families)


def _decode_dataclass(wanted: type, raw: Any, where: str, families: Families) -> Any:
    if isinstance(raw, wanted):
        return raw
    if not isinstance(raw, dict):
        known = ", ".join(field.name for field in dataclasses.fields(wanted))
        raise BadModelFileError(f"{where} is {raw!r}, not {wanted.__name__}: give its fields by name, of {known}")
    hints, fields = _hints(wanted), {f.name: f for f in dataclasses.fields(wanted)}
    if unknown := sorted(set(raw) - set(fields)):
        raise BadModelFileError(f"{where}: unknown field {unknown[0]!r}{did_you_mean(unknown[0], fields)}")
    required = {
        name
        for name, f in fields.items()
        if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    }
    if missing := sorted(required - set(raw)):
        raise BadModelFileError(f"{where}: field {missing[0]!r} is missing")
    values = {name: decode(hints[name], value, f"{where}.{name}", families) for name, value in raw.items()}
    try:
        return wanted(**values)
    except BadModelFileError as error:
        raise BadModelFileError(f"{where}: {error}") from error
