"""The arrays of one module of PyTorch, by the names that the module gives them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator

import numpy as np

from ostinato.errors import ForeignModelError, did_you_mean
from ostinato.importing.arrays.contents import Arrays, Floats

_COUNTERS = ("num_batches_tracked",)
"""Buffers that say nothing of what a module computes."""
_ENDINGS = re.compile(
    r"(?:^|\.)(?:parametrizations\.\w+\.original[01]|(?:weight|bias)(?:_[ih][hr])?(?:_l\d+)?(?:_reverse)?(?:_[gv])?"
    r"|running_(?:mean|var)|num_batches_tracked)$"
)
"""What the names of a module's arrays end in."""
_NORMALISED = re.compile(r"(?:parametrizations\.)?(\w+?)(?:_|\.original)([gv01])")
"""Both ways of weight normalisation: weight_g and weight_v, parametrizations.weight.original0 and original1."""


class Parameters:
    """Of the module called ``prefix`` in ``arrays``; all that it has must be taken. A normalised weight (Salimans and
    Kingma 2016) is one, w = g v / |v|, in the place of the two that are stored."""

    def __init__(self, arrays: Arrays, prefix: str, names: Iterable[str], what: str) -> None:
        self.prefix, self.what, self.names = prefix, what, list(names)
        self._arrays = arrays
        self._left: dict[str, tuple[str, ...]] = {}
        halves: dict[str, dict[str, str]] = {}
        for full in names:
            local = full[len(prefix) + 1 :] if prefix else full
            found = _NORMALISED.fullmatch(local)
            if found:
                halves.setdefault(found[1], {})["v" if found[2] in "v1" else "g"] = full
            else:
                self._left[local] = (full,)
        for local, pair in halves.items():
            if set(pair) == {"g", "v"} and local not in self._left:
                self._left[local] = (pair["v"], pair["g"])
            else:
                self._left |= {full[len(prefix) + 1 :] if prefix else full: (full,) for full in pair.values()}
        self._shapes = {local: arrays.shape(full[0]) for local, full in self._left.items()}

    @staticmethod
    def of(arrays: Arrays, prefix: object, what: str) -> Parameters:
        """Those whose names begin with ``prefix`` and a dot; for "", all. Raises ForeignModelError if there are
        none."""
        if not isinstance(prefix, str):
            raise ForeignModelError(f"{what}: torch is {prefix!r}, not the name of a module")
        names = [name for name in arrays if not prefix or name.startswith(f"{prefix}.")]
        if not names:
            near = did_you_mean(prefix, {name.rpartition(".")[0] for name in arrays})
            raise ForeignModelError(f"{what}: no array is called {prefix}.…: there are {arrays.listed()}{near}")
        return Parameters(arrays, prefix, names, what)

    @staticmethod
    def own(arrays: Arrays, name: str) -> Parameters:
        """Those of a module of `module_names`, and of no module in it."""
        names = [each for each in arrays if _ENDINGS.search(each) and _ENDINGS.sub("", each) == name]
        return Parameters(arrays, name, names, f"module {name!r}" if name else "the module")

    def __contains__(self, local: str) -> bool:
        return local in self._shapes

    def __iter__(self) -> Iterator[str]:
        return iter(self._shapes)

    def shape(self, local: str, axes: int | None = None) -> tuple[int, ...]:
        """Of one that is there. Raises ForeignModelError if it is not, or has another number of ``axes``."""
        if local not in self._shapes:
            raise ForeignModelError(f"{self.what}: {self.prefix} has no {local}; it has {self.listed()}")
        shape = self._shapes[local]
        if axes is not None and len(shape) != axes:
            raise ForeignModelError(f"{self.what}: {local} of {self.prefix} is {list(shape)}, not of {axes} axes")
        return shape

    def take(self, local: str, axes: int | None = None) -> Floats:
        """Its values. Raises ForeignModelError as `shape` does."""
        self.shape(local, axes)
        full = self._left.pop(local)
        values = [self._arrays.take(name, self.what) for name in full]
        if len(values) == 1:
            return values[0]
        v, g = values
        if g.ndim not in (0, v.ndim) or math.prod(g.shape) != max(g.shape, default=1):
            raise ForeignModelError(f"{self.what}: {local} {list(v.shape)} is normalised by {list(g.shape)}")
        over = tuple(axis for axis in range(v.ndim) if g.ndim == 0 or g.shape[axis] == 1)
        with np.errstate(divide="ignore", invalid="ignore"):  # a v of zeros gives NaN, which the builder finds
            scale = g / np.sqrt(np.square(v, dtype=np.float64).sum(axis=over, keepdims=True))
            made: Floats = (v * scale).astype(np.float32)
        return made

    def finish(self) -> None:
        """Raise ForeignModelError if something is left."""
        for local, names in self._left.items():
            if local not in _COUNTERS:
                raise ForeignModelError(
                    f"{self.what}: {self.prefix} also has {local} {list(self.shape(local))}, which is not read here"
                )
            self._arrays.use(names[0], self.what)

    def listed(self) -> str:
        """Names and shapes, for messages."""
        return ", ".join(f"{local} {list(shape)}" for local, shape in list(self._shapes.items())[:8])


def module_names(arrays: Iterable[str]) -> list[str]:
    """Names of the modules whose arrays have such names, in their order; "" is the model itself."""
    return list(dict.fromkeys(_ENDINGS.sub("", name) for name in arrays if _ENDINGS.search(name)))


def has_module(name: str) -> bool:
    """Whether an array of that name belongs to one of `module_names`."""
    return _ENDINGS.search(name) is not None
