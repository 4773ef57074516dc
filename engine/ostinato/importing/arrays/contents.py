"""What a file of arrays holds."""

from __future__ import annotations

import fnmatch
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.errors import ForeignModelError, did_you_mean
from ostinato.importing.draft import Decision

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]
MAX_ARRAYS = 1 << 16
_LONGEST = 500
_SHOWN = 6


@dataclass(frozen=True)
class Stored:
    """An array as its file has it. ``dtype``: what the file calls it; bfloat16, which NumPy does not have, lies in
    ``data`` as uint16."""

    dtype: str
    data: Array

    @property
    def shape(self) -> tuple[int, ...]:
        """As in the file."""
        return self.data.shape

    def float32(self, name: str) -> Floats:
        """Its values. Raises ForeignModelError if float32 has no place for them, or they are no real numbers."""
        if self.dtype == "bfloat16":
            return (self.data.astype(np.uint32) << 16).view(np.float32)
        if self.data.dtype.kind not in "fiub":
            raise ForeignModelError(f"array {name!r} is of type {self.dtype}: weights are real numbers")
        with np.errstate(over="ignore"):
            made: Floats = self.data.astype(np.float32)
        if (np.isinf(made) & np.isfinite(self.data)).any():
            raise ForeignModelError(f"array {name!r} has values beyond what float32 holds: scale the weights at home")
        return made


@dataclass(frozen=True)
class Contents:
    """The arrays of a file, by name, and what was ``decided`` to find them. ``modules``: names of the modules of a
    PyTorch model, also of those without arrays, where the file tells them. ``ordered``: whether arrays stand in the
    order in which they were saved. ``states``: names of a checkpoint's state dictionaries, of which they are one."""

    arrays: Mapping[str, Stored]
    decided: tuple[Decision, ...] = ()
    modules: tuple[str, ...] = ()
    ordered: bool = True
    states: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.arrays) > MAX_ARRAYS:
            raise ForeignModelError(f"{len(self.arrays)} arrays are over the limit of {MAX_ARRAYS}")
        for name in (*self.arrays, *self.modules):
            if not name.isprintable() or len(name) > _LONGEST:
                raise ForeignModelError(f"an array is called {name[:_LONGEST]!r}: names are up to {_LONGEST} letters")
        if not self.arrays:
            raise ForeignModelError("there is no array in it")


class Arrays:
    """The arrays of a file, of which each must be used."""

    def __init__(self, stored: Mapping[str, Stored]) -> None:
        self._stored = stored
        self._users: dict[str, str] = {}
        self._converted = Counter[str]()

    def __contains__(self, name: str) -> bool:
        return name in self._stored

    def __iter__(self) -> Any:
        return iter(self._stored)

    def shape(self, name: str) -> tuple[int, ...]:
        """Of an array that is there."""
        return self._stored[name].shape

    def use(self, name: str, user: str) -> None:
        """Say that an array that is there is needed, without reading it."""
        self._users.setdefault(name, user)

    def take(self, name: str, user: str) -> Floats:
        """The array, used by ``user`` (for messages). Raises ForeignModelError, with the name that is nearest, if
        there is none."""
        if name not in self._stored:
            raise ForeignModelError(
                f"{user}: there is no array {name!r}: the file has {self.listed()}{did_you_mean(name, self._stored)}"
            )
        stored = self._stored[name]
        if name not in self._users and stored.dtype != "float32":
            self._converted[stored.dtype] += 1
        self.use(name, user)
        return stored.float32(name)

    def listed(self, names: Sequence[str] | None = None) -> str:
        """Names and shapes, for messages: "w_x [256, 12], b [256] and 3 more"."""
        names = list(self._stored) if names is None else names
        text = ", ".join(f"{name} {list(self.shape(name))}" for name in names[:_SHOWN])
        return f"{text} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else text

    @property
    def left(self) -> list[str]:
        """Names of the arrays that nobody has used."""
        return [name for name in self._stored if name not in self._users]

    def finish(self, unused: Sequence[str]) -> list[Decision]:
        """What was converted and set aside, once all nodes are made. ``unused``: names of arrays that nobody needs,
        also with *.

        Raises ForeignModelError for an array that nobody uses, a name in ``unused`` that is none, or is used.
        """
        left, aside = self.left, list[str]()
        for pattern in unused:
            found = [name for name in left if fnmatch.fnmatchcase(name, pattern)]
            if not found:
                user = self._users.get(pattern)
                why = f"{user} uses it" if user else f"no array is called so{did_you_mean(pattern, self._stored)}"
                raise ForeignModelError(f"unused names {pattern!r}, but {why}")
            aside += found
        missed = [name for name in left if name not in aside]
        if attention := [name for name in missed if "in_proj_weight" in name]:
            raise ForeignModelError(
                f"{attention[0]} is attention's, which looks at the whole utterance at once: a model with it is not "
                "read here. Say that it is unused only if nothing is computed of it"
            )
        if missed:
            raise ForeignModelError(
                f"nothing uses {self.listed(missed)}: give each to a weight of a node, or say unused = "
                f"[{missed[0]!r}, …]".replace("'", '"')
            )
        made = []
        if self._converted:
            text = ", ".join(f"{count} of {dtype}" for dtype, count in sorted(self._converted.items()))
            made.append(Decision("converted", f"to float32: {text}"))
        if aside:
            made.append(Decision("set aside", self.listed(aside)))
        return made
