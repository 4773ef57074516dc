"""Attention over what an encoder has made of the source, learning."""
# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ostinato.model.layers import Attention
from ostinato.training.activations import compiled, tanh
from ostinato.training.layers.layer import Buffers, Parameters
from ostinato.training.packing import Array, Packing


@compiled
def dot_scores(query: Array, keys: Array, scale: Array, sequence: Array, seen: Array, scores: Array) -> None:
    """``scores`` [N, S] <- scale * query [N, D] . keys [B, S, D], of the first ``seen`` [N] of each."""
    for n in range(len(query)):
        q, k = query[n], keys[sequence[n]]
        for s in range(seen[n]):
            total = query.dtype.type(0)
            for j in range(q.shape[0]):
                total += q[j] * k[s, j]
            scores[n, s] = scale[0] * total


@compiled
def dot_scores_back(
    query: Array, keys: Array, scale: Array, sequence: Array, seen: Array, d_scores: Array, d_query: Array,
    d_keys: Array, d_scale: Array,
) -> None:  # fmt: skip
    """Add to the gradients those by `dot_scores`; the scale is a setting, and has none."""
    for n in range(len(query)):
        q, k, dq, dk = query[n], keys[sequence[n]], d_query[n], d_keys[sequence[n]]
        for s in range(seen[n]):
            d = d_scores[n, s] * scale[0]
            for j in range(q.shape[0]):
                dq[j] += d * k[s, j]
                dk[s, j] += d * q[j]


@compiled
def additive_scores(query: Array, keys: Array, v: Array, sequence: Array, seen: Array, scores: Array) -> None:
    """``scores`` [N, S] <- v . tanh(query + key), likewise."""
    for n in range(len(query)):
        q, k = query[n], keys[sequence[n]]
        for s in range(seen[n]):
            total = query.dtype.type(0)
            for j in range(q.shape[0]):
                total += v[j] * tanh(q[j] + k[s, j])
            scores[n, s] = total


@compiled
def additive_scores_back(
    query: Array, keys: Array, v: Array, sequence: Array, seen: Array, d_scores: Array, d_query: Array,
    d_keys: Array, d_v: Array,
) -> None:  # fmt: skip
    """Add to the gradients those by `additive_scores`."""
    one = query.dtype.type(1)
    for n in range(len(query)):
        q, k, dq, dk = query[n], keys[sequence[n]], d_query[n], d_keys[sequence[n]]
        for s in range(seen[n]):
            d = d_scores[n, s]
            for j in range(q.shape[0]):
                h = tanh(q[j] + k[s, j])
                d_v[j] += d * h
                e = d * v[j] * (one - h * h)
                dq[j] += e
                dk[s, j] += e


@compiled
def look_up(values: Array, sequence: Array, seen: Array, shares: Array, context: Array) -> None:
    """``shares`` [N, S], scores before, <- their softmax; ``context`` [N, V] <- the sum of values [B, S, V] by it."""
    for n in range(len(shares)):
        a, v, c = shares[n], values[sequence[n]], context[n]
        count = seen[n]
        top = a[0]
        for s in range(1, count):
            top = max(top, a[s])
        total = shares.dtype.type(0)
        for s in range(count):
            a[s] = math.exp(a[s] - top)
            total += a[s]
        c[:] = 0
        for s in range(count):
            a[s] /= total
            for j in range(c.shape[0]):
                c[j] += a[s] * v[s, j]


@compiled
def look_up_back(
    values: Array, sequence: Array, seen: Array, shares: Array, d_context: Array, d_values: Array, d_scores: Array
) -> None:
    """Add to ``d_values``; fill ``d_scores`` [N, S]."""
    for n in range(len(shares)):
        a, v, dc, dv, d = shares[n], values[sequence[n]], d_context[n], d_values[sequence[n]], d_scores[n]
        mean = shares.dtype.type(0)
        for s in range(seen[n]):
            total = shares.dtype.type(0)
            for j in range(dc.shape[0]):
                total += dc[j] * v[s, j]
                dv[s, j] += a[s] * dc[j]
            d[s] = total
            mean += a[s] * total
        for s in range(seen[n]):
            d[s] = a[s] * (d[s] - mean)


class LearningAttention:
    """Of kind "attention": query [N, D], keys [B, S, D] and values [B, S, V] of the sources' frames."""

    def __init__(self, name: str, layer: Attention) -> None:
        self.layer, self.v = layer, f"{name}.v"
        self.additive = layer.score == "additive"
        self.buffers = Buffers()

    def forward(self, parameters: Parameters, inputs: Sequence[Array], packing: Packing) -> Array:
        """As `LearningLayer.forward`."""
        query, keys, values = self.inputs = [np.ascontiguousarray(each) for each in inputs]
        assert packing.seen is not None
        self.rows = packing.sequence, packing.seen
        self.shares = self.buffers("shares", (len(query), keys.shape[1]), query.dtype)
        context = self.buffers("context", (len(query), values.shape[2]), query.dtype)
        (additive_scores if self.additive else dot_scores)(
            query, keys, self._weight(parameters, query), *self.rows, self.shares
        )
        look_up(values, *self.rows, self.shares, context)
        return context

    def backward(
        self, parameters: Parameters, dy: Array, gradients: dict[str, Array], wanted: bool = True
    ) -> Sequence[Array | None]:
        """As `LearningLayer.backward`."""
        query, keys, values = self.inputs
        weight = self._weight(parameters, query)
        d_query, d_keys, d_values, d_weight = (np.zeros_like(each) for each in (query, keys, values, weight))
        d_scores = self.buffers("d_scores", self.shares.shape, query.dtype)
        look_up_back(values, *self.rows, self.shares, np.ascontiguousarray(dy), d_values, d_scores)
        (additive_scores_back if self.additive else dot_scores_back)(
            query, keys, weight, *self.rows, d_scores, d_query, d_keys, d_weight
        )
        if self.additive:
            gradients[self.v] = d_weight
        return [d_query, d_keys, d_values]

    def _weight(self, parameters: Parameters, like: Array) -> Array:
        """What scores are made with: v, or the scale."""
        return parameters[self.v] if self.additive else np.array([self.layer.scale], like.dtype)
