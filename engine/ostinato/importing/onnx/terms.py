"""What a graph computes, without how it arranges it: terms, each a vector a frame, that read others' values.

    element of an input view  ──>  term  ──>  elements of its frames

Equal terms are one: what a graph writes anew for each step of a loop is the same term at another frame.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ostinato.errors import ForeignModelError
from ostinato.importing.onnx.elements import LONGEST, Array, Ids, element
from ostinato.model.framing import Framing
from ostinato.model.layers import Layer


class View(NamedTuple):
    """What a term's frame n reads: ``ids``, whose frames are offsets from frame n * ``stride`` of the terms that they
    are of; past the ends of these, zeros. ``rows``: how many frames there are so, if ``reframed``; else as many as of
    what is read. ``end``: the frame that padding, or what was cut off, ends before, where that is known."""

    ids: Ids
    stride: int = 1
    rows: int = 0
    reframed: bool = False
    end: int | None = None

    @property
    def size(self) -> int:
        """Values."""
        return self.ids.size


@dataclass(frozen=True)
class Input:
    """What comes from outside: the frames, or token ids."""

    size: int
    token: bool


@dataclass(frozen=True)
class State:
    """What a state's input holds: its output a frame before; ``initial`` at the first. ``backward``: a frame later,
    and at the last."""

    name: str
    initial: Array
    backward: bool = False


SAME = Framing()
"""Each position by itself."""


@dataclass(frozen=True)
class Affine:
    """``matrix`` [values, view's values] times the view, and ``bias``. The view may be of several ``positions``, one
    behind the other; then it is one ``window`` over these that ``matrix`` [values, taps * a position's values]
    multiplies, and all windows' values are given."""

    matrix: Array
    bias: Array
    positions: int = 1
    window: Framing = SAME

    @property
    def count(self) -> int:
        """Positions that come out."""
        return int(self.window.length(np.int64(self.positions)))

    def rows(self, index: Ids) -> Array:
        """As one matrix that reads the whole view: of the values ``index``."""
        outputs, columns = self.matrix.shape
        each, own = columns // self.window.taps, self.matrix[index % outputs].astype(np.float64)
        made = np.zeros((len(index), self.positions, each))
        for tap in range(self.window.taps):
            at = self.window.first(index // outputs) + tap * self.window.dilation
            inside = np.flatnonzero((at >= 0) & (at < self.positions))
            made[inside, at[inside]] = own[inside, tap * each : (tap + 1) * each]
        return made.reshape(len(index), -1)


@dataclass(frozen=True)
class Applied:
    """A layer of ours. ``weights`` by the last part of their names."""

    layer: Layer
    weights: dict[str, Array] = field(default_factory=dict)


@dataclass(frozen=True)
class Recurrence:
    """A recurrent layer of ours, and what its graph begins it from: elements of h and, for an LSTM, c, in the frame
    of their first; of each direction."""

    layer: Layer
    weights: dict[str, Array]
    begins: tuple[dict[str, Ids], ...]


@dataclass(frozen=True)
class CellState:
    """The cell state of a recurrent layer, which nothing but itself can read."""

    of: int


Operation = Input | State | Affine | Applied | Recurrence | CellState


@dataclass(frozen=True)
class Term:
    """``size`` values a frame; ``frames``: how many there are while the graph is traced. ``origin``: what the file
    calls what computes it."""

    number: int
    operation: Operation
    views: tuple[View, ...]
    size: int
    frames: int
    origin: str

    def at(self, frames: Any) -> Ids:
        """Its elements at ``frames``: [..., size]."""
        return element(self.number, np.asarray(frames, np.int64)[..., None], np.arange(self.size))


class Terms:
    """All that a graph computes, in the order in which it does."""

    def __init__(self, most: int) -> None:
        self.all: list[Term] = []
        self._known: dict[Any, Term] = {}
        self._most = most
        self.caches: dict[int, int] = {}
        """By an element of a state that stands before the first frame: what must be in it when frames are over."""
        self.cuts: dict[int, int] = {}
        """By a term's number: how many of its frames are left where zeros stand in the place of its last ones."""

    def __getitem__(self, number: int) -> Term:
        return self.all[number]

    def frames(self, number: int) -> int:
        """How many there are of a term, while it is traced."""
        return self.cuts.get(number, self.all[number].frames)

    def add(self, operation: Operation, views: Sequence[View], size: int, frames: int, origin: str) -> Term:
        """The term that computes this, which may be there already."""
        key = (
            key_of(operation),
            size,
            tuple((_digest(v.ids), v.stride, v.rows * v.reframed, v.end) for v in views),
        )
        if (found := self._known.get(key)) is None:
            if len(self.all) >= self._most:
                raise ForeignModelError(f"over {self._most} different computations: export a smaller graph")
            found = Term(len(self.all), operation, tuple(views), size, frames, origin)
            self.all.append(found)
            self._known[key] = found
        return found


def state_term(terms: Terms, name: str, initial: Array, backward: bool = False) -> Term:
    """A state that begins so."""
    return terms.add(State(name, np.asarray(initial, np.float32), backward), (), initial.size, LONGEST, name)


def _digest(array: Array) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(array).tobytes(), digest_size=16).digest()


def key_of(thing: Any) -> Any:
    """What two operations have in common if they are equal."""
    if isinstance(thing, np.ndarray):
        return thing.shape, thing.dtype.str, _digest(thing)
    if isinstance(thing, dict):
        return tuple((name, key_of(each)) for name, each in thing.items())
    if isinstance(thing, tuple):
        return tuple(key_of(each) for each in thing)
    if isinstance(thing, Operation):
        return type(thing).__name__, *(key_of(getattr(thing, name)) for name in thing.__dataclass_fields__)
    return repr(thing)
