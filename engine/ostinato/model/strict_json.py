"""Frozen dataclasses whose fields are what they say, to and from JSON: nothing unknown, missing or of another type
gets through.

Which dataclass of a union is meant is said by its field ``kind``.
"""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from numbers import Integral, Real
from typing import Any, Literal

from ostinato.errors import BadModelFileError

LATER = {"later": True}
"""Metadata of a field that came after files had been written: it is left out where it has its default, so that what
those files hold keeps its text and digest."""

MAX_NUMBER = 1e9
"""Numbers are at most this large, either way."""


def encode(value: Any) -> Any:
    """A dataclass of numbers, texts, tuples and dataclasses, as JSON values."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        found = {f: getattr(value, f.name) for f in dataclasses.fields(value)}
        return {f.name: encode(each) for f, each in found.items() if f.metadata != LATER or each != f.default}
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
            value = decode(hints[field.name], getattr(self, field.name), f"{name}.{field.name}")
            object.__setattr__(self, field.name, value)  # a list has become a tuple, a NumPy number a plain one
        self.check()

    def check(self) -> None:
        """Raise BadModelFileError if fields that have the right types do not make sense."""


@functools.cache
def _hints(wanted: Any) -> dict[str, Any]:
    return typing.get_type_hints(wanted)


def decode(wanted: Any, raw: Any, where: str) -> Any:
    """The value of type ``wanted`` that ``raw`` is, or that it stands for as JSON; BadModelFileError if there is
    none."""
    origin, parts = typing.get_origin(wanted), typing.get_args(wanted)
    if dataclasses.is_dataclass(wanted):
        return _decode_dataclass(typing.cast(type, wanted), raw, where)
    if origin in (types.UnionType, typing.Union):
        return _decode_union(parts, raw, where)
    if origin is Literal:
        if raw in parts and isinstance(raw, str):
            return raw
        raise BadModelFileError(f"{where} is {raw!r}, not one of {', '.join(map(repr, parts))}")
    if origin is tuple and isinstance(raw, list | tuple):
        return tuple(decode(parts[0], item, f"{where}[{i}]") for i, item in enumerate(raw))
    if origin is dict and isinstance(raw, dict):
        return {key: decode(parts[1], item, f"{where}.{key}") for key, item in raw.items()}
    if wanted is float and isinstance(raw, Real) and not isinstance(raw, bool):
        if abs(typing.cast(float, raw)) <= MAX_NUMBER:  # false for NaN
            return float(raw)
        raise BadModelFileError(f"{where} is {raw!r}, not a number within {MAX_NUMBER:g}")
    if wanted is int and isinstance(raw, Integral) and not isinstance(raw, bool):
        return int(raw)
    if isinstance(wanted, type) and type(raw) is wanted:
        if isinstance(raw, str) and any("\ud800" <= character <= "\udfff" for character in raw):
            raise BadModelFileError(f"{where} holds a lone surrogate, which is no character")
        return raw
    raise BadModelFileError(f"{where} is {raw!r}, not of type {getattr(wanted, '__name__', wanted)}")


def _decode_union(parts: tuple[Any, ...], raw: Any, where: str) -> Any:
    if type(None) in parts:
        return None if raw is None else decode(next(p for p in parts if p is not type(None)), raw, where)
    if isinstance(raw, parts):
        return raw
    by_kind = {typing.get_args(_hints(part)["kind"])[0]: part for part in parts}
    known = ", ".join(map(repr, by_kind))
    if not isinstance(raw, dict):
        raise BadModelFileError(f"{where} is {raw!r}, not of a kind among {known}")
    kind = raw.get("kind")
    if not isinstance(kind, str) or kind not in by_kind:
        raise BadModelFileError(f"{where}: kind {kind!r} is not one of {known}")
    return decode(by_kind[kind], raw, where)


def _decode_dataclass(wanted: type, raw: Any, where: str) -> Any:
    if isinstance(raw, wanted):
        return raw
    if not isinstance(raw, dict):
        raise BadModelFileError(f"{where} is {raw!r}, not of type {wanted.__name__}")
    hints, fields = _hints(wanted), {f.name: f for f in dataclasses.fields(wanted)}
    if unknown := sorted(set(raw) - set(fields)):
        raise BadModelFileError(f"{where}: unknown field {unknown[0]!r}")
    required = {
        name
        for name, f in fields.items()
        if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    }
    if missing := sorted(required - set(raw)):
        raise BadModelFileError(f"{where}: field {missing[0]!r} is missing")
    values = {name: decode(hints[name], value, f"{where}.{name}") for name, value in raw.items()}
    try:
        return wanted(**values)
    except BadModelFileError as error:
        raise BadModelFileError(f"{where}: {error}") from error
