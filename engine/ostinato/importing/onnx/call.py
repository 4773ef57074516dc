"""One node of a graph, as its operator's room sees it: inputs, attributes, and ways to answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np

from ostinato.errors import ForeignModelError
from ostinato.importing.onnx.elements import Array, Ids, Tensor, Traced, constant, element, elements, term_of, value
from ostinato.importing.onnx.evaluation import Evaluator
from ostinato.importing.onnx.orders import unfolded
from ostinato.importing.onnx.rows import CannotFollow, Vectors, frames_in, vectors, view_of
from ostinato.importing.onnx.terms import Affine, Applied, Input, State, Term, Terms
from ostinato.importing.onnx.unstacking import unstacked
from ostinato.model.framing import Framing
from ostinato.model.layers import Layer, Within

MOST_VALUES = 1 << 22
"""Values of all positions of a frame that an operator reads or makes."""


class UnclearError(ForeignModelError):
    """Of a graph that more frames may make clear: its windows are wider than what it was traced with."""


class WrongAxisError(ForeignModelError):
    """Of a plan that takes the batch for time."""


@dataclass(frozen=True)
class Call:
    """``inputs``: those that are left out are None. ``opset``: the version of its operator set."""

    node: Any
    inputs: Sequence[Tensor | None]
    terms: Terms
    evaluator: Evaluator
    opset: int
    notes: dict[str, list[str]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What the file calls it."""
        return str(self.node.name or next(iter(self.node.output), ""))

    @cached_property
    def attributes(self) -> Mapping[str, Any]:
        """All that are given; texts are str."""
        from onnx import helper

        found = {each.name: helper.get_attribute_value(each) for each in self.node.attribute}
        return {name: each.decode() if isinstance(each, bytes) else each for name, each in found.items()}

    def refuse(self, reason: str) -> ForeignModelError:
        """An error that names the node."""
        return ForeignModelError(f"node {self.name!r} ({self.node.op_type}): {reason}")

    def unclear(self, reason: str) -> UnclearError:
        """The same, of what more frames may make clear."""
        return UnclearError(str(self.refuse(reason)))

    def mixes_frames(self) -> ForeignModelError:
        """The error of what needs an utterance from its first frame to its last."""
        return self.unclear(
            "mixes values of all frames (attention, a mean or a softmax over time), so it could answer only at the "
            "utterance's end: it cannot be streamed; cut the graph below it"
        )

    def input(self, number: int) -> Tensor:
        """An input that must be there."""
        found = self.optional(number)
        if found is None:
            raise self.refuse(f"input number {number + 1} is missing")
        return found

    def optional(self, number: int) -> Tensor | None:
        """An input that may be left out."""
        return self.inputs[number] if number < len(self.inputs) else None

    def traced(self, number: int) -> Ids:
        """The elements of an input."""
        return elements(self.input(number))

    def framed(self, number: int) -> Ids:
        """The elements of an input, with a whole time axis if it has any."""
        return unstacked(self.traced(number), self.terms, self.name)

    def constant(self, number: int, what: str) -> Array:
        """An input that must be the same always."""
        found = self.input(number)
        if isinstance(found, Traced):
            if (found.ids >= 0).any():
                raise self.refuse(f"{what} is computed from the model's input, and must be constant")
            return value(found.ids)
        return found

    def run(self, inputs: Sequence[Array | None]) -> list[Array]:
        """What the operator makes of these arrays: elements too, where it only moves values about."""
        try:
            return self.evaluator.run(self.node, inputs)
        except ValueError as error:
            raise self.refuse(str(error)) from error

    def vectors(self, ids: Ids) -> Vectors:
        """The vectors along the last axis."""
        try:
            return vectors(ids, self.terms)
        except CannotFollow:
            if len(frames_in(ids)) > 1:
                raise self.mixes_frames() from None
            raise self.unclear("reads frames in an order that cannot be followed") from None

    def per_vector(self, ids: Ids, size: int, layer: Layer, weights: Mapping[str, Array] | None = None) -> Ids:
        """A layer at each vector [..., K] of a tensor: [..., size]. Several vectors of a frame are its positions."""
        found = self.vectors(ids)
        if (found.which < 0).any():
            raise self.refuse("has frames of constants among those that are computed")
        P, lone = len(found.kinds), isinstance(layer, Within) or any(token_of(self.terms, ids))
        if P > 1 and not lone:
            term = self.apply(Within(P, layer), [found.kinds.reshape(-1)], P * size, weights, found=found)
            made = element(term.number, found.frame[:, None], found.which[:, None] * size + np.arange(size))
            return made.reshape(*ids.shape[:-1], size)
        numbers = [self.apply(layer, [kind], size, weights, found=found).number for kind in found.kinds]
        ids_of = element(np.array(numbers)[found.which][:, None], found.frame[:, None], np.arange(size))
        return ids_of.reshape(*ids.shape[:-1], size)

    def apply(
        self, layer: Layer, inputs: Sequence[Ids], size: int, weights: Mapping[str, Array] | None = None, *,
        found: Vectors | None = None,
    ) -> Term:  # fmt: skip
        """The term of a layer that reads ``inputs``, each the elements of a frame relative to its own."""
        views = [view_of(found or Vectors(*(np.zeros(0, np.int64),) * 3), each) for each in inputs]
        frames = found.rows if found and found.reframed else self.frames(inputs)
        return self.terms.add(Applied(layer, dict(weights or {})), views, size, frames, self.name)

    def frames(self, inputs: Sequence[Ids]) -> int:
        """How many there are of what is read."""
        found = {self.terms.frames(int(each)) for ids in inputs for each in np.unique(ids[ids >= 0] >> 40)}
        return min(found, default=1)

    def affine(self, ids: Ids, W: Array, b: Array | None = None, end: int | None = None) -> Ids:
        """``ids`` [..., K] times ``W`` [M, K], plus ``b`` [M]: [..., M]. ``end``: where their padding ends, as
        `View.end`. Several vectors of a frame are its positions."""
        M, K = W.shape
        W, bias = np.asarray(W, np.float64), np.zeros(M) if b is None else np.asarray(b, np.float64).reshape(M)
        found = self.vectors(ids)._replace(end=end)
        P = len(found.kinds)
        out = np.empty((len(found.which), M), np.int64)
        fixed = found.which < 0
        if fixed.any():
            out[fixed] = constant(value(ids.reshape(-1, K)[fixed]).astype(np.float64) @ W.T + bias)
        if P:
            if P * max(M, K) > MOST_VALUES:
                raise self.refuse(f"runs at {P} positions of a frame, with {M} outputs of {K} values: too large")
            operation, view = self._same(found.kinds, W, bias) if P == 1 else self._each(found.kinds, W, bias)
            number = self._term(operation, view, found)
            which = found.which[~fixed]
            out[~fixed] = element(number, found.frame[~fixed][:, None], which[:, None] * M + np.arange(M))
        return out.reshape(*ids.shape[:-1], M)

    def slid(self, ids: Ids, W: Array, b: Array | None, window: Framing, end: int | None = None) -> Ids:
        """``W`` [M, taps, C] at each ``window`` over the positions of ``ids`` [..., positions, C]: [..., positions',
        M]. ``end``: as `affine` has it."""
        *lead, Q, C = ids.shape
        (M, taps, _), count = W.shape, int(window.length(np.int64(Q)))
        if max(Q * C, count * M) > MOST_VALUES:
            raise self.refuse(f"makes {count} positions of {M} values out of {Q} of {C} in a frame: too large")
        bias = np.zeros(M) if b is None else np.asarray(b, np.float64).reshape(M)
        found = self.vectors(ids.reshape(*lead, Q * C))._replace(end=end)
        if (found.which < 0).any():
            raise self.refuse("has frames of constants among those that are computed")
        matrix, small = W.reshape(M, taps * C).astype(np.float32), bias.astype(np.float32)
        operation = Affine(matrix, small, Q, window)
        numbers = np.array([self._term(operation, kind, found) for kind in found.kinds])
        made = element(numbers[found.which][:, None], found.frame[:, None], np.arange(count * M))
        return made.reshape(*lead, count, M)

    def _term(self, operation: Affine, ids: Ids, found: Vectors) -> int:
        """The term of a product with ``ids``, read as the vectors were."""
        frames = found.rows if found.reframed else self.frames([ids])
        size = operation.count * len(operation.matrix)
        return self.terms.add(operation, [view_of(found, ids)], size, frames, self.name).number

    def _same(self, kinds: Ids, W: Array, bias: Array) -> tuple[Affine, Ids]:
        """One product, which reads each value once, and no constants."""
        (kind,), (M, K) = kinds, W.shape
        seen, column = np.unique(kind, return_inverse=True)
        product = np.zeros((M, len(seen)))
        if len(seen) == K:
            product[:, column.reshape(-1)] = W
        else:
            np.add.at(product.T, column.reshape(-1), W.T)
        known = seen < 0
        if known.any():
            bias = bias + product[:, known] @ value(seen[known]).astype(np.float64)
        return Affine(product[:, ~known].astype(np.float32), bias.astype(np.float32)), seen[~known]

    def _each(self, kinds: Ids, W: Array, bias: Array) -> tuple[Affine, Ids]:
        """The same product at each position; as one of all of them where states are read, of which a cell may be
        made."""
        P, M = len(kinds), len(W)
        traced = np.unique(term_of(kinds[kinds >= 0]))
        states = all(isinstance(self.terms[int(number)].operation, State) for number in traced)
        if states and (P * M) * (P * W.shape[1]) <= MOST_VALUES:
            full = Affine(W, bias, P).rows(np.arange(P * M))
            return self._same(kinds.reshape(1, -1), full, np.tile(bias, P))
        known = (kinds[0] < 0) & (kinds == kinds[0]).all(axis=0)
        if known.any():
            bias = bias + W[:, known] @ value(kinds[0, known]).astype(np.float64)
        own, kinds, small = W[:, ~known].astype(np.float32), kinds[:, ~known], bias.astype(np.float32)
        if (found := unfolded(kinds)) is not None:
            taps = own[:, found.columns].reshape(M, -1)
            return Affine(taps, small, len(found.positions), found.framing), found.positions.reshape(-1)
        return Affine(own, small, P), kinds.reshape(-1)


def token_of(terms: Terms, ids: Ids) -> list[bool]:
    """Of the terms that elements are of, whether they are token ids."""
    operations = [terms[int(number)].operation for number in np.unique(term_of(ids[ids >= 0]))]
    return [isinstance(each, Input) and each.token for each in operations]


Convert: TypeAlias = Callable[[Call], Sequence[Tensor]]
"""What an operator's room does with a node whose inputs are not all constant."""
