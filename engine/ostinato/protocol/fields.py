"""Strict reading of decoded msgpack maps: each field has the type and range that docs/protocol.md says, or is named.

Messages never quote what was decoded: deep nesting decodes but its repr raises, and input belongs in no log.
"""

from __future__ import annotations

import math
from typing import Any, TypeVar, cast

from ostinato.errors import BadMessageError
from ostinato.protocol.messages import STREAM_ID_BYTES

MAX_INTEGER = 2**63 - 1
T = TypeVar("T", bound=str)


class Fields:
    """The fields of one map. Read each once, then `finish`."""

    __slots__ = ("_left", "where")

    def __init__(self, raw: object, where: str) -> None:
        if type(raw) is not dict:
            raise BadMessageError(f"{where} is not a map")
        self._left = raw.copy()
        self.where = where

    def __contains__(self, key: str) -> bool:
        return key in self._left

    def _take(self, key: str) -> Any:
        try:
            return self._left.pop(key)
        except KeyError:
            raise BadMessageError(f"{self.where}: field {key!r} is missing") from None

    def _wrong(self, key: str, want: str) -> BadMessageError:
        return BadMessageError(f"{self.where}: field {key!r} is not {want}")

    def finish(self) -> None:
        """Raise if fields are left."""
        if self._left:
            raise BadMessageError(f"{self.where} has {len(self._left)} field(s) that version 1 does not know")

    def integer(self, key: str, low: int = 0, high: int = MAX_INTEGER) -> int:
        """An integer from low to high."""
        value = self._take(key)
        if type(value) is not int or not low <= value <= high:
            raise self._wrong(key, f"an integer from {low} to {high}")
        return value

    def number(self, key: str, above_zero: bool = False) -> float:
        """A finite number, at least 0 (or above it)."""
        value = self._take(key)
        if type(value) not in (int, float) or not (value > 0 if above_zero else value >= 0) or value > 1e300:
            raise self._wrong(key, f"a finite number {'above' if above_zero else 'of at least'} 0")
        return float(value)

    def boolean(self, key: str) -> bool:
        """A boolean."""
        value = self._take(key)
        if type(value) is not bool:
            raise self._wrong(key, "a boolean")
        return value

    def text(self, key: str, most: int, least: int = 0) -> str:
        """A string of least to most characters."""
        value = self._take(key)
        if type(value) is not str or not least <= len(value) <= most:
            raise self._wrong(key, f"a string of {least} to {most} characters")
        return value

    def choice(self, key: str, choices: tuple[T, ...]) -> T:
        """One of several strings."""
        value = self._take(key)
        if type(value) is not str or value not in choices:
            raise self._wrong(key, f"one of {', '.join(choices)}")
        return value

    def binary(self, key: str, least: int, most: int) -> bytes:
        """A binary of least to most bytes."""
        value = self._take(key)
        if type(value) is not bytes or not least <= len(value) <= most:
            raise self._wrong(key, f"a binary of {least if least == most else f'{least} to {most}'} bytes")
        return value

    def array(self, key: str, most: int) -> list[Any]:
        """An array of at most so many elements, of any types."""
        value = self._take(key)
        if type(value) is not list or len(value) > most:
            raise self._wrong(key, f"an array of at most {most} elements")
        return value

    def texts(self, key: str, most: int, longest: int, least: int = 0) -> tuple[str, ...]:
        """An array of at most so many strings, each of least to longest characters."""
        values = self.array(key, most)
        if not all(type(each) is str and least <= len(each) <= longest for each in values):
            raise self._wrong(key, f"an array of strings of {least} to {longest} characters")
        return tuple(values)

    def map(self, key: str) -> object:
        """A field that `Fields` of its own will read."""
        return self._take(key)

    def is_text(self, key: str) -> bool:
        """Whether a field is there and a string."""
        return type(self._left.get(key)) is str


def stream_id(f: Fields) -> bytes:
    """The field ``stream``, which most messages have."""
    return f.binary("stream", STREAM_ID_BYTES, STREAM_ID_BYTES)


def finite(value: object) -> bool:
    """Whether a decoded value is a finite number."""
    return type(value) in (int, float) and math.isfinite(cast(float, value))
