"""Terms become nodes of a network: what a frame is made of is looked up, sliced, put together or framed."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from ostinato.errors import ForeignModelError
from ostinato.importing.builder import Builder
from ostinato.importing.onnx.arranging import Arranging
from ostinato.importing.onnx.elements import Ids, element, frame_of, index_of, shifted, term_of, value
from ostinato.importing.onnx.folding import Computed, folded
from ostinato.importing.onnx.making import Made, grouped, within
from ostinato.importing.onnx.rows import whole
from ostinato.importing.onnx.states import Closed
from ostinato.importing.onnx.terms import Affine, Applied, CellState, Input, Operation, Recurrence, Term, View
from ostinato.model.layers import (
    Activate,
    Add,
    Concatenate,
    Dense,
    Each,
    Mean,
    Multiply,
    Slice,
    Stack,
)
from ostinato.model.specification import FRAMES


class Emission:
    """Of the terms that ``wanted`` views, the heads', need."""

    def __init__(self, closed: Closed, builder: Builder, wanted: Sequence[View]) -> None:
        self._closed, self._terms, self._builder = closed, closed.terms, builder
        self._nodes: dict[int, str] = {}
        self._begun: dict[int, Made] = {}
        self._made: dict[tuple[bytes, int, int], str] = {}
        self._arranging = Arranging(builder)
        self._views: dict[int, tuple[View, ...]] = {}
        self._order = self._ordered(wanted)
        self._readers = self._read(wanted)
        self._operations = self._folded(wanted)
        self._readers = self._read(wanted)
        self._needed = self._lengths(wanted)
        for number in self._order:
            if closed.terms.cuts.get(number, self._needed[number]) != self._needed[number]:
                raise ForeignModelError(
                    f"node {closed.terms[number].origin!r}: its last frames are cut off for one reader, and not for "
                    "another: not supported"
                )
        self._frames: dict[int, int] = {}

    def node(self, view: View) -> str:
        """The node whose frames are a view."""
        for number in self._order:
            if number not in self._nodes:
                self._nodes[number] = self._emitted(self._terms[number])
        return self._framed(self._resolved(view))

    def _resolved(self, view: View) -> View:
        return view._replace(ids=self._closed.resolve(view.ids))

    def _ordered(self, wanted: Sequence[View]) -> list[int]:
        """The terms that are needed, each behind those that it reads. Raises ForeignModelError for a circle."""
        order: list[int] = []
        state = dict[int, bool]()  # False while what it reads is looked at
        stack = [(int(n), False) for view in wanted for n in _numbers(self._resolved(view))]
        while stack:
            number, done = stack.pop()
            if done:
                state[number] = True
                order.append(number)
                continue
            if number in state:
                if not state[number]:
                    raise ForeignModelError(
                        f"node {self._terms[number].origin!r}: goes round through a state in a way that is none of "
                        "the known recurrent cells (RNN, GRU, LSTM): export the layer as ONNX's own operator"
                    )
                continue
            state[number] = False
            stack.append((number, True))
            term = self._terms[number]
            views = tuple(self._resolved(view) for view in term.views)
            self._views[number] = views
            if isinstance(term.operation, Recurrence):
                self._closed.check(term)
            if isinstance(term.operation, CellState):
                raise ForeignModelError(
                    f"node {term.origin!r}: its cell state is read by others: only its output can be"
                )
            for below in {int(n) for view in views for n in _numbers(view)}:
                if state.get(below) is not True:
                    stack.append((below, False))
        return order

    def _folded(self, wanted: Sequence[View]) -> dict[int, Operation]:
        """What each term computes that is still needed when some are put together."""
        terms = self._terms
        computed = {n: Computed(terms[n].operation, self._views[n], terms[n].size) for n in self._order}
        made = folded(computed, {number: len(readers) for number, readers in self._readers.items()})
        needed = {int(n) for view in wanted for n in _numbers(self._resolved(view))}
        for number in reversed(self._order):
            if number in needed:
                needed.update(int(n) for view in made[number].views for n in _numbers(view))
        self._order = [number for number in self._order if number in needed]
        self._views = {number: made[number].views for number in self._order}
        return {number: made[number].operation for number in self._order}

    def _read(self, wanted: Sequence[View]) -> dict[int, list[int]]:
        """By whom each term is read; -1: by a head."""
        readers: dict[int, list[int]] = {number: [] for number in self._order}
        for number in self._order:
            for below in {int(n) for view in self._views[number] for n in _numbers(view)}:
                readers[below].append(number)
        for view in wanted:
            for below in _numbers(self._resolved(view)):
                readers[int(below)].append(-1)
        return readers

    def _lengths(self, wanted: Sequence[View]) -> dict[int, int]:
        """How many frames of each term are read, while it was traced."""
        needed = dict.fromkeys(self._order, 0)

        def reads(view: View, frames: int) -> None:
            if view.stride > 1:  # what a stride leaves out depends on how many frames there are
                for below in _numbers(view):
                    needed[int(below)] = self._terms.frames(int(below))
                return
            traced = view.ids[view.ids >= 0]
            last = frame_of(traced) + (frames - 1) * view.stride + 1
            for below in _numbers(view):
                most = int(last[term_of(traced) == below].max())
                needed[int(below)] = max(needed[int(below)], min(most, self._terms.frames(int(below))))

        for view in wanted:
            reads(self._resolved(view), view.rows)
        for number in reversed(self._order):
            operation = self._operations[number]
            for view in self._views[number]:
                free = isinstance(operation, Affine) or not view.reframed
                reads(view, needed[number] if free else view.rows)
        return needed

    def _emitted(self, term: Term) -> str:
        """The term's node; none ("") if the one that reads it goes on with what is made so far."""
        views = self._views[term.number]
        self._frames[term.number] = self._length(term, views)
        if isinstance(self._operations[term.number], Input):
            return FRAMES
        made = self._made_of(term, views)
        if isinstance(made, str):
            return made
        if self._goes_on(term):
            self._begun[term.number] = made
            return ""
        return self._added(made)

    def _added(self, made: Made) -> str:
        return self._builder.add(made.layer, made.inputs, made.weights, name=made.name)

    def _made_of(self, term: Term, views: Sequence[View]) -> Made | str:
        """The node that computes a term, or one that there is already."""
        operation = self._operations[term.number]
        if isinstance(operation, Affine):
            return self._affine(term, views[0])
        if isinstance(operation, Recurrence):
            return self._recurrence(term, operation, views[0])
        assert isinstance(operation, Applied)
        below = int(term_of(views[0].ids[:1])[0]) if views[0].ids[0] >= 0 else -1
        if (begun := self._begun.pop(below, None)) is not None:
            self._frames[term.number] = self._frames[below]
            if isinstance(operation.layer, Activate):
                more = begun.activated(operation.layer.activation, term.origin)
                if more is not None:
                    return more
            self._nodes[below] = self._added(begun)
        joins = isinstance(operation.layer, (Add, Multiply, Mean))
        inputs = [self._framed(self._single(view) if joins else view) for view in views]
        if joins and all(self._builder.wires[name].size < term.size for name in inputs):
            inputs = [self._framed(views[0]), *inputs[1:]]
        return Made(operation.layer, inputs, operation.weights, term.origin)

    def _length(self, term: Term, views: Sequence[View]) -> int:
        if isinstance(self._operations[term.number], Affine) and views[0].reframed:
            return self._needed[term.number]
        if not views or any(view.reframed for view in views):
            return term.frames
        return min((self._frames[int(n)] for view in views for n in _numbers(view)), default=term.frames)

    def _goes_on(self, term: Term) -> bool:
        """Whether its only reader activates all of it."""
        readers = self._readers[term.number]
        if len(readers) != 1 or readers[0] < 0:
            return False
        reader, view = self._operations[readers[0]], self._views[readers[0]][0]
        return (
            isinstance(reader, Applied)
            and isinstance(reader.layer, Activate)
            and view.size == term.size
            and whole(view.ids)
            and not frame_of(view.ids).any()
        )

    def _single(self, view: View) -> View:
        """Of a view of one value many times, the value."""
        return view._replace(ids=view.ids[:1]) if (view.ids == view.ids[0]).all() else view

    def _recurrence(self, term: Term, operation: Recurrence, view: View) -> Made:
        layer, weights = operation.layer, dict(operation.weights)
        ways = getattr(layer.layer if isinstance(layer, Each) else layer, "directions")  # noqa: B009
        begins = {
            f"{way}.initial_{state}": self._closed.initial(ids)
            for way, of_way in zip(ways, operation.begins, strict=True)
            for state, ids in of_way.items()
        }
        if any(each is None for each in begins.values()):
            raise ForeignModelError(f"node {term.origin!r}: begins from states that are computed: not supported")
        if any(each.any() for each in begins.values() if each is not None):
            layer = dataclasses.replace(layer, initial=True)  # type: ignore[call-arg]
            weights |= {name: each for name, each in begins.items() if each is not None}
        return Made(layer, [self._framed(view)], weights, term.origin)

    def _affine(self, term: Term, view: View) -> Made | str:
        """A product with a frame, or with some that follow each other."""
        operation = self._operations[term.number]
        assert isinstance(operation, Affine)
        matrix, bias = operation.matrix, operation.bias.astype(np.float64)
        ids, fixed = view.ids, view.ids < 0
        if fixed.any() and operation.positions == 1:
            bias = bias + matrix[:, fixed].astype(np.float64) @ value(ids[fixed])
            ids, matrix, fixed = ids[~fixed], matrix[:, ~fixed], fixed[~fixed]
        if fixed.all():
            raise ForeignModelError(f"node {term.origin!r}: depends on nothing that comes in")
        offsets = frame_of(ids[~fixed])
        low, high = min(0, int(offsets.min())), int(offsets.max())
        rows = self._needed[term.number] if view.reframed else self._frames[term.number]
        have = min(self._frames[int(n)] for n in np.unique(term_of(ids[~fixed])))
        plain = low == high == 0 and view.stride == 1 and rows == have
        exact = rows == view.rows and view.end is not None
        right = (view.end if exact and view.end is not None else (rows - 1) * view.stride + high + 1) - have
        if right < 0:
            high, right = (high - right, 0) if view.stride == 1 or exact else (high, 0)
        if operation.positions > 1:
            if plain:
                source = self._framed(View(ids))
            else:
                source = self._stacked(ids, Stack(high - low + 1, view.stride, -low, right), low)
            return Made(*within(operation, source), term.origin)
        source, column, size = self._beside(shifted(ids, -offsets))
        if plain:
            W = np.zeros((term.size, size), np.float32)
            np.add.at(W.T, column, matrix.T)
            if not bias.any() and np.array_equal(W, np.eye(*W.shape)):
                return source  # a mean of one value, say
            return Made(Dense(term.size), [source], {"W": W, "b": bias}, term.origin)
        step = int(np.gcd.reduce(np.append(offsets - low, high - low))) or 1
        taps = (high - low) // step + 1
        W = np.zeros((term.size, taps, size), np.float32)
        np.add.at(W.transpose(1, 2, 0), ((offsets - low) // step, column), matrix.T)
        layer, W = grouped(W, view.stride, step, -low, right)
        return Made(layer, [source], {"W": W, "b": bias}, term.origin)

    def _stacked(self, ids: Ids, stack: Stack, low: int) -> str:
        """A node with these elements of several frames, the first of which is ``low`` before."""
        traced = ids >= 0
        offsets = frame_of(ids[traced])
        source, column, size = self._beside(shifted(ids[traced], -offsets))
        node = self._arranging.once(source, stack)
        places = np.array(ids)
        places[traced] = (offsets - low) * size + column
        return self._arranging.picked(places, {0: (node, stack.taps * size)})

    def _beside(self, ids: Ids) -> tuple[str, Ids, int]:
        """A node in which all these elements of one frame are, where each stands in it, and its size."""
        names, columns, at = [], np.empty(len(ids), np.int64), 0
        for number in np.unique(term_of(ids)):
            here = term_of(ids) == number
            first, last = int(index_of(ids[here]).min()), int(index_of(ids[here]).max())
            names.append(self._piece(int(number), first, last - first + 1))
            columns[here] = at + index_of(ids[here]) - first
            at += last - first + 1
        if len(names) == 1:
            return names[0], columns, at
        return self._builder.add(Concatenate(), names), columns, at

    def _piece(self, number: int, first: int, size: int) -> str:
        """Some values of a term's frame."""
        term = self._terms[number]
        node = self._nodes[number]
        if size == term.size or self._builder.wires[node].token:
            return node
        return self._arranging.once(node, Slice(first, size))

    def _framed(self, view: View) -> str:
        """A node whose frames are a view."""
        key = view.ids.tobytes(), view.stride, view.rows * view.reframed
        if key not in self._made:
            self._made[key] = self._new_frame(view)
        return self._made[key]

    def _new_frame(self, view: View) -> str:
        ids = view.ids
        traced = ids[ids >= 0]
        if not len(traced):
            raise ForeignModelError("a part of the graph depends on nothing that comes in")
        offsets = frame_of(traced)
        lengths = {int(n): self._frames[int(n)] for n in _numbers(view)}
        moved = view.stride > 1 or offsets.any() or (view.reframed and set(lengths.values()) != {view.rows})
        if not moved:
            return self._arranging.picked(
                ids, {number: (self._nodes[number], self._terms[number].size) for number in lengths}
            )
        places = np.array(ids)
        nodes: dict[int, tuple[str, int]] = {}
        for number, have in lengths.items():
            here = (ids >= 0) & (term_of(ids) == number)
            own = frame_of(ids[here])
            low, high = min(0, int(own.min())), max(0, int(own.max()))
            rows = view.rows if view.reframed else have
            first, last = int(index_of(ids[here]).min()), int(index_of(ids[here]).max())
            right = (rows - 1) * view.stride + high + 1 - have
            if right < 0:
                high, right = (high - right, 0) if view.stride == 1 else (high, 0)
            size, taps = last - first + 1, high - low + 1
            below = self._piece(number, first, size)
            if taps == view.stride == 1 and not right:
                nodes[number] = (below, size)
                places[here] = element(number, 0, index_of(ids[here]) - first)
                continue
            stack = Stack(taps, view.stride, -low, right)
            nodes[number] = (self._arranging.once(below, stack), taps * size)
            places[here] = element(number, 0, (own - low) * size + index_of(ids[here]) - first)
        return self._arranging.picked(places, nodes)


def _numbers(view: View) -> Ids:
    """The terms that a view reads."""
    found: Ids = np.unique(term_of(view.ids[view.ids >= 0]))
    return found
