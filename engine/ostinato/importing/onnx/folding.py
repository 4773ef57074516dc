"""Terms that are one layer together: a scale above a product, and layer normalisation that is spelled out."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from ostinato.errors import BadModelFileError
from ostinato.importing.onnx.elements import Ids, frame_of, index_of, term_of
from ostinato.importing.onnx.rows import whole
from ostinato.importing.onnx.terms import Affine, Applied, Operation, View
from ostinato.model.layers import Activate, Add, LayerNorm, Multiply, Scale, Within

_MOST_SEEN = 1 << 22
"""Values of a matrix that may be one of means."""


class Computed(NamedTuple):
    """What a term computes, and what it reads."""

    operation: Operation
    views: tuple[View, ...]
    size: int


def folded(computed: Mapping[int, Computed], readers: Mapping[int, int]) -> dict[int, Computed]:
    """The same with fewer terms to compute; ``computed`` in its order, ``readers``: how many read each."""
    found = dict(computed)
    for number in computed:
        for fold in (_scaled, _normalised):
            made = fold(found, readers, number)
            if made is not None:
                found[number] = made
    return found


def _scaled(found: Mapping[int, Computed], readers: Mapping[int, int], number: int) -> Computed | None:
    """A scale, and the product or normalisation below that nothing else reads."""
    term = found[number]
    if not isinstance(term.operation, Applied) or not isinstance(term.operation.layer, Scale):
        return None
    below = _all_of(found, term.views[0])
    if below is None or readers[below] != 1:
        return None
    a, b = (np.asarray(term.operation.weights[part], np.float64) for part in ("a", "b"))
    operation, views, size = found[below]
    if isinstance(operation, Affine):
        (a, *others), (b, *more) = (each.reshape(operation.count, -1) for each in (a, b))
        if any((each != a).any() for each in others) or any((each != b).any() for each in more):
            return None  # not the same at all positions
        matrix = (a[:, None] * operation.matrix).astype(np.float32)
        bias = (a * operation.bias + b).astype(np.float32)
        return Computed(dataclasses.replace(operation, matrix=matrix, bias=bias), views, size)
    if isinstance(operation, Applied):
        weights = {part: np.asarray(each, np.float64) for part, each in operation.weights.items()}
        if (changed := operation.layer.scaled(weights, a, b)) is not None:
            made = {part: each.astype(np.float32) for part, each in changed.items()}
            return Computed(Applied(operation.layer, made), views, size)
    return None


def _normalised(found: Mapping[int, Computed], readers: Mapping[int, int], number: int) -> Computed | None:
    """(x - mean x) / sqrt(mean (x - mean x)^2 + epsilon), over a frame or at each position of it."""
    term = found[number]
    for centred, root in _pairs(term, Multiply):
        heads = _spread(root)
        under = None if heads is None else _activated(found, heads, "reciprocal")
        variance = None if under is None else _activated(found, under, "sqrt")
        line = None if variance is None else _mean(found, variance)
        if line is None:
            continue
        squares, epsilon = line
        d = _square(found, squares)
        if d is None or not _same(d, centred) or _all_of(found, View(d)) is None:
            continue
        x = _centred(found, d, len(squares))
        if x is None or len(x) != term.size:
            continue
        positions, size = squares.shape
        weights = {"gamma": np.ones(size, np.float32), "beta": np.zeros(size, np.float32)}
        try:
            norm = LayerNorm(epsilon)
        except BadModelFileError:
            return None
        layer = norm if positions == 1 else Within(positions, norm)
        return Computed(Applied(layer, weights), (View(x),), len(x))
    return None


def _all_of(found: Mapping[int, Computed], view: View) -> int | None:
    """The term that a view is all of, at its own frame."""
    ids = view.ids
    if view.reframed or view.stride != 1 or not len(ids) or not whole(ids) or frame_of(ids).any():
        return None
    number = int(term_of(ids[:1])[0])
    return number if number in found and found[number].size == len(ids) else None


def _pairs(term: Computed, layer: type) -> Iterator[tuple[Ids, Ids]]:
    """What a joining layer reads, either first; of its own frame."""
    if isinstance(term.operation, Applied) and isinstance(term.operation.layer, layer) and len(term.views) == 2:
        left, right = (view.ids for view in term.views)
        if not any(view.reframed or frame_of(view.ids[view.ids >= 0]).any() for view in term.views):
            yield left, right
            yield right, left


def _spread(ids: Ids) -> Ids | None:
    """The values of which each stands so many times, one after the other."""
    heads: Ids = ids[np.append(True, np.diff(ids) != 0)]
    if (ids < 0).any() or len(ids) % len(heads) or not _same(np.repeat(heads, len(ids) // len(heads)), ids):
        return None
    return heads


def _same(left: Ids, right: Ids) -> bool:
    return left.shape == right.shape and bool((left == right).all())


def _activated(found: Mapping[int, Computed], ids: Ids, name: str) -> Ids | None:
    """What these values are that activation of."""
    term = _of_one(found, ids)
    if term is None or not isinstance(term.operation, Applied) or not isinstance(term.operation.layer, Activate):
        return None
    if term.operation.layer.activation.name != name:
        return None
    return term.views[0].ids[index_of(ids)]


def _of_one(found: Mapping[int, Computed], ids: Ids) -> Computed | None:
    """The one term that all these values are of, at its own frame."""
    if (ids < 0).any() or frame_of(ids).any() or len(np.unique(term_of(ids))) != 1:
        return None
    return found.get(int(term_of(ids[:1])[0]))


def _mean(found: Mapping[int, Computed], ids: Ids, sign: float = 1.0) -> tuple[Ids, float] | None:
    """Of which values [of each, of one] these are the means, plus a constant."""
    term = _of_one(found, ids)
    if term is None or not isinstance(term.operation, Affine) or term.views[0].reframed:
        return None
    operation, index, reads = term.operation, index_of(ids), term.views[0].ids
    bias = operation.bias[index % len(operation.bias)]
    if len(reads) * len(ids) > _MOST_SEEN or (bias != bias[0]).any():
        return None
    weights = operation.rows(index)
    used = weights != 0
    count = int(used[0].sum())
    if not count or (used.sum(axis=1) != count).any() or not np.allclose(weights[used], sign / count, rtol=1e-5):
        return None
    return np.broadcast_to(reads, used.shape)[used].reshape(len(ids), count), float(bias[0])


def _square(found: Mapping[int, Computed], squares: Ids) -> Ids | None:
    """What these values, one after the other, are the squares of."""
    ids = squares.reshape(-1)
    term, index = _of_one(found, ids), index_of(ids)
    if term is None:
        return None
    for left, right in _pairs(term, Multiply):
        return left[index] if _same(left[index], right[index]) else None
    if isinstance(term.operation, Applied) and isinstance(term.operation.layer, Activate):
        return term.views[0].ids[index] if term.operation.layer.activation.name == "square" else None
    return None


def _centred(found: Mapping[int, Computed], ids: Ids, positions: int) -> Ids | None:
    """What these values are, at each of so many positions, less its mean."""
    number = _all_of(found, View(ids))
    if number is None:
        return None
    for x, less in _pairs(found[number], Add):
        heads = _spread(less)
        line = None if heads is None or len(heads) != positions else _mean(found, heads, -1.0)
        if line is not None and line[1] == 0:
            reads, own = (np.sort(each.reshape(positions, -1), axis=1) for each in (line[0], x))
            if _same(reads, own):
                return x
    return None
