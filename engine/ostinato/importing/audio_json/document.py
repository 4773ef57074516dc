"""JSON from strangers: bounded before it is decoded, and each field of it is asked for by type or refused by name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from ostinato.bounded import check_json
from ostinato.errors import ForeignModelError

Array = npt.NDArray[np.float32]
T = TypeVar("T")

MAX_BYTES = 128 << 20
MAX_VALUES, MAX_CONTAINERS = 1 << 22, 1 << 20
"""A number takes some 20 bytes of text, and 32 of memory."""


class Document:
    """A JSON object, and where it stands. What nobody asks for is refused by `end`."""

    def __init__(self, fields: dict[str, Any], where: str = "") -> None:
        self.where = where
        self._fields = dict(fields)

    def __contains__(self, name: str) -> bool:
        return name in self._fields

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._fields))

    def at(self, name: str) -> str:
        """How a field is named to people."""
        return f"{self.where}.{name}" if self.where else name

    def value(self, name: str) -> Any:
        """A field of any type. Raises ForeignModelError, naming it, if it is missing."""
        if name not in self._fields:
            raise ForeignModelError(f"field {self.at(name)!r} is missing: the file is damaged or of another format")
        return self._fields.pop(name)

    def take(self, name: str, wanted: type[T]) -> T:
        """A field of that type: int, float (also whole numbers), str, bool, list or dict.

        Raises ForeignModelError, naming the field, if it is missing or of another type.
        """
        value = self.value(name)
        if wanted is float and type(value) is int:
            value = float(value)
        if type(value) is not wanted:
            shown = repr(value)
            shown = f"{shown[:40]}…" if len(shown) > 40 else shown
            raise ForeignModelError(f"field {self.at(name)!r} is {shown}, not of type {wanted.__name__}")
        return value

    def get(self, name: str, wanted: type[T], default: T) -> T:
        """The same of a field that may be missing or null: then ``default``."""
        if self._fields.get(name) is None:
            self._fields.pop(name, None)
            return default
        return self.take(name, wanted)

    def size(self, name: str, default: int | None = None) -> int:
        """A whole number from 1."""
        value = self.take(name, int) if default is None else self.get(name, int, default)
        if value < 1:
            raise ForeignModelError(f"field {self.at(name)!r} is {value}, not a whole number from 1")
        return value

    def document(self, name: str) -> Document:
        """A field that is an object."""
        return Document(self.take(name, dict), self.at(name))

    def documents(self, name: str) -> list[Document]:
        """A field that is a list of objects."""
        found = []
        for number, each in enumerate(self.take(name, list)):
            if not isinstance(each, dict):
                raise ForeignModelError(f"{self.at(name)}[{number}] is no JSON object")
            found.append(Document(each, f"{self.at(name)}[{number}]"))
        return found

    def array(self, name: str) -> Array:
        """A field that is numbers, nested evenly."""
        return as_array(self.take(name, list), self.at(name))

    def drop(self, *names: str) -> None:
        """Fields that say nothing about what is computed."""
        for name in names:
            self._fields.pop(name, None)

    def end(self, cure: str) -> None:
        """Raise ForeignModelError, naming it, if something was not asked for: it would be lost."""
        for name in self._fields:
            raise ForeignModelError(f"field {self.at(name)!r} is not read here, so its part would be lost: {cure}")


def as_array(value: Any, where: str) -> Array:
    """Numbers, nested evenly, as float32. Raises ForeignModelError, naming the place, for anything else."""
    try:
        made = np.asarray(value)
    except ValueError:
        made = np.asarray(None)
    if made.dtype.kind not in "iuf":
        if made.size:
            raise ForeignModelError(f"{where} is no array of numbers, all rows as long as each other")
        made = np.zeros(made.shape)
    with np.errstate(over="ignore"):
        return made.astype(np.float32)  # what becomes infinite is refused by `Builder.add`


def read(path: Path) -> Document:
    """The JSON object that a file holds.

    Raises ForeignModelError if it is none, holds a field twice, or is larger than networks of that kind are.
    """
    with path.open("rb") as file:
        raw = file.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        raise ForeignModelError(f"over {MAX_BYTES} bytes of JSON are too many: use a smaller network")
    try:
        text = raw.decode("utf-8-sig")
        check_json(text, MAX_VALUES, MAX_CONTAINERS)
        found = json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise ForeignModelError(f"is no JSON that can be read: {error or type(error).__name__}") from error
    if not isinstance(found, dict):
        raise ForeignModelError("is no JSON object")
    return Document(found)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose fields all differ: of two of one name, one would be lost."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ForeignModelError(f"field {twice!r} is there twice")
    return found


def names_of(path: Path, start: bytes, *names: str) -> bool:
    """Whether a file may be a JSON object that has all these fields, at some depth: without decoding it."""
    if not start.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{"):
        return False
    with path.open("rb") as file:
        raw = file.read(MAX_BYTES)
    return all(f'"{name}"'.encode() in raw for name in names)


__all__ = ["Document", "as_array", "names_of", "read"]
