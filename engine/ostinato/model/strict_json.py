"""JSON to and from frozen dataclasses, strictly: nothing unknown, missing or of another type gets through.

Which dataclass of a union is meant is said by its field ``kind``.
"""

from __future__ import annotations

import dataclasses
import types
import typing
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


def decode(wanted: Any, raw: Any, where: str) -> Any:
    """The value of type ``wanted`` that the JSON value ``raw`` stands for; BadModelFileError if there is none."""
    origin, parts = typing.get_origin(wanted), typing.get_args(wanted)
    if dataclasses.is_dataclass(wanted):
        return _decode_dataclass(typing.cast(type, wanted), raw, where)
    if origin in (types.UnionType, typing.Union):
        return _decode_union(parts, raw, where)
    if origin is Literal:
        if raw in parts and isinstance(raw, str):
            return raw
        raise BadModelFileError(f"{where} is {raw!r}, not one of {', '.join(map(repr, parts))}")
    if origin is tuple and isinstance(raw, list):
        return tuple(decode(parts[0], item, f"{where}[{i}]") for i, item in enumerate(raw))
    if origin is dict and isinstance(raw, dict):
        return {key: decode(parts[1], item, f"{where}.{key}") for key, item in raw.items()}
    if wanted is float and isinstance(raw, int | float) and not isinstance(raw, bool):
        if abs(raw) <= MAX_NUMBER:  # false for NaN
            return float(raw)
        raise BadModelFileError(f"{where} is {raw!r}, not a number within {MAX_NUMBER:g}")
    if isinstance(wanted, type) and type(raw) is wanted:
        if isinstance(raw, str) and any("\ud800" <= character <= "\udfff" for character in raw):
            raise BadModelFileError(f"{where} holds a lone surrogate, which is no character")
        return raw
    raise BadModelFileError(f"{where} is {raw!r}, not of type {getattr(wanted, '__name__', wanted)}")


def _decode_union(parts: tuple[Any, ...], raw: Any, where: str) -> Any:
    if type(None) in parts:
        return None if raw is None else decode(next(p for p in parts if p is not type(None)), raw, where)
    by_kind = {typing.get_args(typing.get_type_hints(part)["kind"])[0]: part for part in parts}
    kind = raw.get("kind") if isinstance(raw, dict) else None
    if kind not in by_kind:
        raise BadModelFileError(f"{where}: kind {kind!r} is not one of {', '.join(map(repr, by_kind))}")
    return decode(by_kind[kind], raw, where)


def _decode_dataclass(wanted: type, raw: Any, where: str) -> Any:
    if not isinstance(raw, dict):
        raise BadModelFileError(f"{where} is not a JSON object")
    hints, fields = typing.get_type_hints(wanted), {f.name: f for f in dataclasses.fields(wanted)}
    if unknown := sorted(set(raw) - set(fields)):
        raise BadModelFileError(f"{where}: unknown field {unknown[0]!r}")
    required = {
        name
        for name, f in fields.items()
        if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    }
    if missing := sorted(required - set(raw)):
        raise BadModelFileError(f"{where}: field {missing[0]!r} is missing")
    return wanted(**{name: decode(hints[name], value, f"{where}.{name}") for name, value in raw.items()})
