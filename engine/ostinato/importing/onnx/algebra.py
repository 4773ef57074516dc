"""What vectors of terms are, multiplied out: sums of products of *atoms*, and sums of matrices times vectors.

An atom is a vector that is neither a sum nor a product: what an activation gives, a state, a frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ostinato.importing.onnx.elements import Array, Ids, frame_of, index_of, term_of, value
from ostinato.importing.onnx.states import Closed
from ostinato.importing.onnx.terms import Affine, Applied, Term, View
from ostinato.model.activation import Activation
from ostinato.model.layers import Activate, Add, Multiply, Scale

_MOST_PRODUCTS = 16
_DEEPEST = 32
Vector = tuple[int, ...]
"""The elements of a vector of values, as an atom is known by."""


class Sum(NamedTuple):
    """A vector as a sum of products of atoms, each times coefficients [values]."""

    parts: dict[tuple[Vector, ...], Array]


@dataclass(frozen=True)
class Line:
    """A vector as W x + b of the elements ``x``."""

    x: Ids
    W: Array
    b: Array


class NoCell(Exception):  # noqa: N818  it is an answer
    """It is none of the cells that are known."""


class Algebra:
    """Of a graph whose states are closed."""

    def __init__(self, closed: Closed) -> None:
        self._closed, self._terms = closed, closed.terms

    def activated(self, atom: Vector) -> tuple[Activation, Vector]:
        """The activation that an atom is of, and what it is applied to."""
        ids = np.array(atom)
        term = self._of_one(ids)
        if term is None or not isinstance(term.operation, Applied) or not isinstance(term.operation.layer, Activate):
            raise NoCell
        return term.operation.layer.activation, tuple(term.views[0].ids[index_of(ids)].tolist())

    def _of_one(self, ids: Ids) -> Term | None:
        """The one term that all these elements are of, at its own frame."""
        if (ids < 0).any() or frame_of(ids).any() or len(np.unique(term_of(ids))) != 1:
            return None
        term = self._terms[int(term_of(ids[:1])[0])]
        return None if any(view.reframed or view.stride != 1 for view in term.views) else term

    def sum(self, ids: Ids, depth: int = 0) -> Sum:
        """A vector multiplied out. Raises NoCell if it has too many parts."""
        ids = self._closed.replaced(ids)
        if (ids < 0).all():
            return Sum({(): value(ids).astype(np.float64)})
        term = self._of_one(ids)
        if depth > _DEEPEST:
            raise NoCell
        whole = Sum({(tuple(ids.tolist()),): np.ones(len(ids))})
        if term is None or not isinstance(term.operation, Applied):
            return whole
        index, layer, weights = index_of(ids), term.operation.layer, term.operation.weights
        if isinstance(layer, Scale) and (hard := self._hard_sigmoid(term)) is not None:
            return Sum({(tuple(hard.at(0)[index].tolist()),): np.ones(len(ids))})
        if isinstance(layer, Scale):
            made = self.sum(term.views[0].ids[index], depth + 1)
            scaled = _times(made, Sum({(): weights["a"][index].astype(np.float64)}))
            return _plus(scaled, Sum({(): weights["b"][index].astype(np.float64)}))
        if isinstance(layer, Activate) and layer.activation.name == "affine":
            activation = layer.activation
            a = 1.0 if activation.alpha is None else activation.alpha
            made = self.sum(term.views[0].ids[index], depth + 1)
            scaled = _times(made, Sum({(): np.full(len(ids), a)}))
            return _plus(scaled, Sum({(): np.full(len(ids), activation.beta or 0.0)}))
        if isinstance(layer, (Add, Multiply)):
            join = _plus if isinstance(layer, Add) else _times
            return join(*(self.sum(view.ids[index], depth + 1) for view in term.views))
        return whole

    def _hard_sigmoid(self, scale: Term) -> Term | None:
        """Of a x where x is clipped to [0, 1 / a], the activation that it is."""
        assert isinstance(scale.operation, Applied)
        a, b = scale.operation.weights["a"], scale.operation.weights["b"]
        below = self._of_one(scale.views[0].ids)
        if below is None or b.any() or (a != a[0]).any() or not isinstance(below.operation, Applied):
            return None
        layer, index = below.operation.layer, index_of(scale.views[0].ids)
        if not isinstance(layer, Activate) or layer.activation.name != "clip" or layer.activation.alpha != 0:
            return None
        if not np.isclose(a[0] * (layer.activation.beta or np.inf), 1):
            return None
        hard = Applied(Activate(Activation("hard-sigmoid", float(a[0]), 0.0)))
        view = View(below.views[0].ids[index])
        return self._terms.add(hard, [view], scale.size, scale.frames, scale.origin)

    def line(self, vector: Vector, through: bool = False, depth: int = 0) -> Line:
        """A vector as W x + b. ``through``: what is no sum is no line either."""
        made = self._lines(np.array(vector), depth)
        if through and len(made.x) and tuple(made.x.tolist()) == vector:
            raise NoCell
        return made

    def _lines(self, ids: Ids, depth: int) -> Line:
        if depth > _DEEPEST:
            raise NoCell
        n, ids = len(ids), self._closed.replaced(ids)
        if (ids < 0).all():
            return Line(np.zeros(0, np.int64), np.zeros((n, 0)), value(ids).astype(np.float64))
        term = self._of_one(ids)
        if term is not None:
            index, operation = index_of(ids), term.operation
            if isinstance(operation, Affine):
                inner = self._lines(term.views[0].ids, depth + 1)
                if not self._closed.is_state(inner.x).any():  # what is below is not the cell's
                    inner = _itself(term.views[0].ids)
                matrix, bias = operation.rows(index), operation.bias[index % len(operation.bias)]
                return Line(inner.x, matrix @ inner.W, matrix @ inner.b + bias)
            if isinstance(operation, Applied):
                layer, weights = operation.layer, operation.weights
                if isinstance(layer, Scale):
                    inner = self._lines(term.views[0].ids[index], depth + 1)
                    a = weights["a"][index].astype(np.float64)
                    return Line(inner.x, a[:, None] * inner.W, a * inner.b + weights["b"][index])
                if isinstance(layer, Activate) and layer.activation.name == "affine":
                    inner = self._lines(term.views[0].ids[index], depth + 1)
                    slope = 1.0 if layer.activation.alpha is None else layer.activation.alpha
                    return Line(inner.x, slope * inner.W, slope * inner.b + (layer.activation.beta or 0.0))
                if isinstance(layer, Add):
                    return _added([self._lines(view.ids[index], depth + 1) for view in term.views])
        elif not frame_of(ids[ids >= 0]).any() and len(np.unique(term_of(ids))) > 1:
            return self._mixed(ids, depth)
        return _itself(ids)

    def _mixed(self, ids: Ids, depth: int) -> Line:
        """Of several terms, a part from each."""
        lines, places = [], []
        for number in np.unique(term_of(ids)):
            here = np.flatnonzero(term_of(ids) == number)
            lines.append(self._lines(ids[here], depth + 1))
            places.append(here)
        spread = []
        for line, here in zip(lines, places, strict=True):
            W, b = np.zeros((len(ids), len(line.x))), np.zeros(len(ids))
            W[here], b[here] = line.W, line.b
            spread.append(Line(line.x, W, b))
        return _added(spread)

    def without(self, vector: Vector, atoms: tuple[Vector, ...], depth: int = 0) -> Line:
        """A sum as a line, one product of it left out."""
        ids = np.array(vector)
        term = self._of_one(ids)
        if depth > _DEEPEST or term is None or not isinstance(term.operation, Applied):
            return self.line(vector)
        index = index_of(ids)
        if isinstance(term.operation.layer, Multiply) and set(self.sum(ids).parts) == {atoms}:
            return Line(np.zeros(0, np.int64), np.zeros((len(ids), 0)), np.zeros(len(ids)))
        if isinstance(term.operation.layer, Add):
            return _added([self.without(tuple(v.ids[index].tolist()), atoms, depth + 1) for v in term.views])
        return self.line(vector)


def _itself(ids: Ids) -> Line:
    """A vector as a line of its own values."""
    x, column = np.unique(ids[ids >= 0], return_inverse=True)
    W, b = np.zeros((len(ids), len(x))), np.zeros(len(ids))
    W[np.flatnonzero(ids >= 0), column] = 1
    b[ids < 0] = value(ids[ids < 0])
    return Line(x, W, b)


def _added(lines: Sequence[Line]) -> Line:
    x = np.unique(np.concatenate([line.x for line in lines]))
    W = np.zeros((len(lines[0].b), len(x)))
    for line in lines:
        np.add.at(W.T, np.searchsorted(x, line.x), line.W.T)
    return Line(x, W, np.sum([line.b for line in lines], axis=0))


def _plus(left: Sum, right: Sum) -> Sum:
    parts = dict(left.parts)
    for atoms, coefficients in right.parts.items():
        parts[atoms] = parts[atoms] + coefficients if atoms in parts else coefficients
    return _bounded(parts)


def _times(left: Sum, right: Sum) -> Sum:
    parts: dict[tuple[Vector, ...], Array] = {}
    for some, a in left.parts.items():
        for others, b in right.parts.items():
            atoms = tuple(sorted((*some, *others)))
            parts[atoms] = parts[atoms] + a * b if atoms in parts else a * b
    return _bounded(parts)


def _bounded(parts: dict[tuple[Vector, ...], Array]) -> Sum:
    kept = {atoms: coefficients for atoms, coefficients in parts.items() if coefficients.any()}
    if len(kept) > _MOST_PRODUCTS:
        raise NoCell
    return Sum(kept)
