"""The arrays of one module of PyTorch, by the names that the module gives them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from ostinato.errors import ForeignModelError, did_you_mean
from ostinato.importing.arrays.contents import Arrays, Floats

_COUNTERS = ("num_batches_tracked",)
"""Buffers that say nothing of what a module computes."""
_ENDINGS = re.compile(
    r"(?:^|\.)(?:parametrizations\.\w+\.(?:original[01]?|\d+\._[uv])"
    r"|(?:weight|bias)(?:_[ih][hr])?(?:_l\d+)?(?:_reverse)?(?:_(?:[guv]|orig))?|in_proj_(?:weight|bias)"
    r"|running_(?:mean|var)|num_batches_tracked)$"
)
"""What the names of a module's arrays end in."""
_NORMALISED = re.compile(r"(?:parametrizations\.)?(\w+?)(?:_|\.original)([gv01])")
"""Both ways of weight normalisation: weight_g and weight_v, parametrizations.weight.original0 and original1."""
_SPECTRAL = re.compile(r"(?:parametrizations\.)?(\w+?)(?:_|\.)(orig|original|u|v|\d+\._u|\d+\._v)")
"""Both of spectral normalisation: weight_orig, weight_u and weight_v; parametrizations.weight.original, 0._u and
0._v."""


class Parameters:
    """Of the module called ``prefix`` in ``arrays``; all that it has must be taken. A normalised weight is one, in
    the place of those that are stored: w = g v / |v| (Salimans and Kingma 2016), or w / (u W v), W being w as a
    matrix (spectral normalisation, Miyato et al. 2018)."""

    def __init__(self, arrays: Arrays, prefix: str, names: Iterable[str], what: str) -> None:
        self.prefix, self.what, self.names = prefix, what, list(names)
        self._arrays = arrays
        self._left: dict[str, tuple[str, ...]] = {}
        halves: dict[str, dict[str, str]] = {}
        locals_ = {full: full[len(prefix) + 1 :] if prefix else full for full in self.names}
        spectral = _spectral(locals_)
        self._left |= spectral
        for full, local in locals_.items():
            if any(full in triple for triple in spectral.values()):
                continue
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

    def take(self, local: str, axes: int | None = None, *, rows: int = 0) -> Floats:
        """Its values. ``rows``: which axis its norm takes for a matrix's rows, where its sizes do not tell. Raises
        ForeignModelError as `shape` does."""
        self.shape(local, axes)
        full = self._left.pop(local)
        values = [self._arrays.take(name, self.what) for name in full]
        if len(values) == 1:
            return values[0]
        if len(values) == 3:
            return self._spectral(local, values, rows)
        v, g = values
        if g.ndim not in (0, v.ndim) or math.prod(g.shape) != max(g.shape, default=1):
            raise ForeignModelError(f"{self.what}: {local} {list(v.shape)} is normalised by {list(g.shape)}")
        over = tuple(axis for axis in range(v.ndim) if g.ndim == 0 or g.shape[axis] == 1)
        with np.errstate(divide="ignore", invalid="ignore"):  # a v of zeros gives NaN, which the builder finds
            scale = g / np.sqrt(np.square(v, dtype=np.float64).sum(axis=over, keepdims=True))
            made: Floats = (v * scale).astype(np.float32)
        return made

    def _spectral(self, local: str, parts: Sequence[Floats], rows: int) -> Floats:
        w, u, v = parts
        fits = [
            axis
            for axis in dict.fromkeys((rows, 0, 1))
            if axis < w.ndim and u.shape == (w.shape[axis],) and v.shape == (w.size // w.shape[axis],)
        ]
        if not fits or not w.size:
            raise ForeignModelError(
                f"{self.what}: {local} {list(w.shape)} is normalised by {list(u.shape)} and {list(v.shape)}"
            )
        matrix = np.moveaxis(w, fits[0], 0).reshape(len(u), -1).astype(np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):  # as above
            made: Floats = (w / (u @ matrix @ v)).astype(np.float32)
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


def _spectral(locals_: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Of each weight with spectral normalisation the names in full of w, u and v. ``locals_``: names by full ones."""
    found: dict[str, dict[str, str]] = {}
    for full, local in locals_.items():
        if match := _SPECTRAL.fullmatch(local):
            found.setdefault(match[1], {})[match[2][-1] if match[2][-1] in "uv" else "w"] = full
    return {local: (parts["w"], parts["u"], parts["v"]) for local, parts in found.items() if set(parts) == set("wuv")}


def module_names(arrays: Iterable[str]) -> list[str]:
    """Names of the modules whose arrays have such names, in their order; "" is the model itself."""
    return list(dict.fromkeys(_ENDINGS.sub("", name) for name in arrays if _ENDINGS.search(name)))


def has_module(name: str) -> bool:
    """Whether an array of that name belongs to one of `module_names`."""
    return _ENDINGS.search(name) is not None
