"""A model's arrays, by its layers. Where a layer's lie differs between the two files; their order does not."""

from __future__ import annotations

import itertools
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

from ostinato.errors import ForeignModelError
from ostinato.importing.keras.hdf5 import Array, Contents

_PARTS = ("vars", "cell", "layer", "forward_layer", "backward_layer")
"""Groups in which a layer's arrays lie, in the order of Keras's own list of a layer's weights."""
_CONTAINERS = ("layers", "_layer_checkpoint_dependencies", "cells")
"""What a group of layers is called: the second by Keras 2, the last of cells that are stacked."""
_NOT_WEIGHTS = ("seed_generator", "_seed_generator", "metrics")
"""Groups of arrays that are not the network's: random number generators, what was counted while it learnt."""
_GROUP = "model_weights/"


class Named(NamedTuple):
    """A layer, as far as its weights' place depends on it."""

    kind: str
    name: str
    is_model: bool


class Weights(Protocol):
    """Those of a model, or of a layer."""

    def of(self, layers: Sequence[Named]) -> Sequence[Weights]:
        """Those of each layer of the model that they are of."""

    def inside(self, part: str) -> Weights:
        """Of a wrapper: those of what it wraps, its attribute ``part``."""

    def arrays(self) -> list[Array]:
        """Of a layer: all, in Keras's order."""

    def left(self) -> list[str]:
        """The names of all arrays of the file that nobody took."""


class ArchiveWeights:
    """Of a .keras archive: groups called by the layers' classes, which are numbered in the order of the layers."""

    def __init__(self, contents: Contents, below: str = "", whole: ArchiveWeights | None = None) -> None:
        self._contents, self._below = contents, below
        self._paths: list[str] = whole._paths if whole else sorted(_weights([*contents.arrays, *contents.others]))
        self._taken: set[str] = whole._taken if whole else set()

    def of(self, layers: Sequence[Named]) -> list[ArchiveWeights]:
        """As `Weights.of`."""
        container = next((each for each in _CONTAINERS if any(self._in(f"{self._below}{each}/"))), _CONTAINERS[0])
        seen, found = Counter[str](), []
        for layer in layers:
            name = _snake(layer.kind)
            label = f"{name}_{seen[name]}" if seen[name] else name
            seen[name] += 1
            found.append(ArchiveWeights(self._contents, f"{self._below}{container}/{label}/", self))
        return found

    def inside(self, part: str) -> ArchiveWeights:
        """As `Weights.inside`."""
        return ArchiveWeights(self._contents, f"{self._below}{part}/", self)

    def arrays(self) -> list[Array]:
        """As `Weights.arrays`."""
        mine = sorted(
            self._in(self._below), key=lambda path: [_order(part) for part in path[len(self._below) :].split("/")]
        )
        self._taken.update(mine)
        return [_array(self._contents, path) for path in mine]

    def left(self) -> list[str]:
        """As `Weights.left`."""
        return [path for path in self._paths if path not in self._taken]

    def _in(self, below: str) -> Iterator[str]:
        """The paths that begin so."""
        first = bisect_left(self._paths, below)
        return itertools.takewhile(lambda path: path.startswith(below), itertools.islice(self._paths, first, None))


class ListedWeights:
    """Of an .h5 file: a group for each layer of the model, with a list of the names of its arrays."""

    def __init__(self, contents: Contents) -> None:
        self._contents = contents
        self._lists = {
            path.removeprefix(_GROUP): [f"{path}/{name}" for name in names]
            for path, names in contents.lists.items()
            if path.startswith(_GROUP)
        }
        self._taken: set[str] = set()

    def of(self, layers: Sequence[Named]) -> list[_List]:
        """As `Weights.of`."""
        return [_List(self, self._lists.get(layer.name, [])) for layer in layers]

    def inside(self, part: str) -> ListedWeights:
        """As `Weights.inside`."""
        return self

    def arrays(self) -> list[Array]:
        """As `Weights.arrays`: a model has none of its own."""
        return []

    def left(self) -> list[str]:
        """As `Weights.left`."""
        return sorted({*self._contents.arrays, *self._contents.others} - self._taken)

    def read(self, path: str) -> Array:
        """An array, which is taken then."""
        self._taken.add(path)
        return _array(self._contents, path)


class _List:
    """Of a layer of an .h5 file, or of a model within the model, whose layers' names are parts of their arrays'."""

    def __init__(self, whole: ListedWeights, paths: list[str]) -> None:
        self._whole, self._paths = whole, paths

    def of(self, layers: Sequence[Named]) -> list[_List]:
        """As `Weights.of`. Keras 2 leaves out the names of models."""
        by_part: dict[str, list[str]] = {}
        for path in self._paths:
            for part in dict.fromkeys(path.split("/")[2:-1]):
                by_part.setdefault(part, []).append(path)
        return [
            _List(self._whole, by_part.get(layer.name, self._paths if layer.is_model else [])) for layer in layers
        ]

    def inside(self, part: str) -> _List:
        """As `Weights.inside`: the names of all stand in one list."""
        return self

    def arrays(self) -> list[Array]:
        """As `Weights.arrays`."""
        return [self._whole.read(path) for path in self._paths]

    def left(self) -> list[str]:
        """As `Weights.left`."""
        return self._whole.left()


def _snake(name: str) -> str:
    """A class's name as Keras makes a group's of it: "SeparableConv1D" is "separable_conv1d"."""
    words = re.sub(r"\W+", "", name)
    words = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", words)
    return re.sub("([a-z])([A-Z])", r"\1_\2", words).lower()


def _order(part: str) -> tuple[int, int, str]:
    """Numbers by their size, groups in their order."""
    if part.isdigit():
        return 0, int(part), ""
    return 1, _PARTS.index(part) if part in _PARTS else len(_PARTS), part


def _weights(paths: Iterable[str]) -> Iterator[str]:
    """Those that are the network's."""
    return (path for path in paths if not any(part in _NOT_WEIGHTS for part in path.split("/")))


def _array(contents: Contents, path: str) -> Array:
    if path in contents.others:
        raise ForeignModelError(f"array {path!r} is not of numbers")
    if path not in contents.arrays:
        raise ForeignModelError(f"array {path!r} is named, and is not there: the file is damaged")
    return contents.arrays[path]
