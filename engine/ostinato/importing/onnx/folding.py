"""Terms that are one layer together: a scale above a product, and layer normalisation that is spelled out."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from ostinato.errors import BadModelFileError
from ostinato.importing.onnx.elements import Array, Ids, frame_of, index_of, term_of
from ostinato.importing.onnx.rows import whole
from ostinato.importing.onnx.terms import Affine, Applied, Operation, View
from ostinato.model.layers import Activate, Add, LayerNorm, Multiply, Scale


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
    """(x - mean x) / sqrt(mean (x - mean x)^2 + epsilon)."""
    term = found[number]
    for centred, root in _pairs(term, Multiply):
        under = _activated(found, root, "reciprocal")
        variance = None if under is None else _activated(found, under, "sqrt")
        line = None if variance is None else _mean(found, variance)
        if line is None:
            continue
        squares, epsilon = line
        d = _square(found, squares)
        if d is None or not _same(d, centred) or _all_of(found, View(d)) is None:
            continue
        x = _centred(found, d)
        if x is None or len(x) != term.size:
            continue
        ones, zeros = np.ones(len(x), np.float32), np.zeros(len(x), np.float32)
        try:
            return Computed(Applied(LayerNorm(epsilon), {"gamma": ones, "beta": zeros}), (View(x),), len(x))
        except BadModelFileError:
            return None
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


def _one(ids: Ids) -> bool:
    return bool(ids[0] >= 0 and (ids == ids[0]).all())


def _same(left: Ids, right: Ids) -> bool:
    return left.shape == right.shape and bool((left == right).all())


def _activated(found: Mapping[int, Computed], ids: Ids, name: str) -> Ids | None:
    """What one value, which may stand there often, is that activation of."""
    term = found.get(int(term_of(ids[:1])[0])) if _one(ids) else None
    if term is None or not isinstance(term.operation, Applied) or not isinstance(term.operation.layer, Activate):
        return None
    if term.operation.layer.activation.name != name:
        return None
    return term.views[0].ids[index_of(ids[:1])]


def _mean(found: Mapping[int, Computed], ids: Ids) -> tuple[Ids, float] | None:
    """Of what one value is the mean, plus a constant."""
    term = found.get(int(term_of(ids[:1])[0])) if _one(ids) else None
    if term is None or not isinstance(term.operation, Affine):
        return None
    weights, bias, reads = *_row(term.operation, ids), term.views[0]
    used = weights != 0
    if reads.reframed or not used.any() or not np.allclose(weights[used], 1 / used.sum(), rtol=1e-5):
        return None
    return reads.ids[used], bias


def _row(operation: Affine, ids: Ids) -> tuple[Array, float]:
    """Of the first of these values, what each of the view's is multiplied by, and the constant."""
    index = index_of(ids[:1])
    return operation.rows(index)[0], float(operation.bias[index[0] % len(operation.bias)])


def _square(found: Mapping[int, Computed], ids: Ids) -> Ids | None:
    """What these values are the squares of."""
    if (ids < 0).any() or len(np.unique(term_of(ids))) != 1:
        return None
    term, index = found[int(term_of(ids[:1])[0])], index_of(ids)
    for left, right in _pairs(term, Multiply):
        return left[index] if _same(left[index], right[index]) else None
    if isinstance(term.operation, Applied) and isinstance(term.operation.layer, Activate):
        return term.views[0].ids[index] if term.operation.layer.activation.name == "square" else None
    return None


def _centred(found: Mapping[int, Computed], ids: Ids) -> Ids | None:
    """What these values are, less its mean."""
    number = _all_of(found, View(ids))
    if number is None:
        return None
    for x, less in _pairs(found[number], Add):
        if not _one(less):
            continue
        mean = found.get(int(term_of(less[:1])[0]))
        if mean is None or not isinstance(mean.operation, Affine) or mean.views[0].reframed:
            continue
        weights, bias = _row(mean.operation, less)
        used = weights != 0
        reads = mean.views[0].ids[used]
        if bias == 0 and np.allclose(weights[used], -1 / len(x), rtol=1e-5) and _same(np.sort(reads), np.sort(x)):
            return x
    return None
