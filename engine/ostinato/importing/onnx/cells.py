"""Recurrent cells that are written out in a graph, with products, gates and all, become the layers that they are.

What a state becomes is multiplied out into a sum of products of *atoms*: states, and what activations give. The sum
tells which cell it is, whatever the order of its operators; the sums within the activations tell the weights.

    RNN     h' = f(a)
    GRU     h' = n - z n + z h            (1 - z) n + z h, or with 1 - z in the place of z
    LSTM    c' = f c + i g, h' = o g(c')  or f = 1 - i
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any, NamedTuple

import numpy as np

from ostinato.importing.onnx.elements import Array, Ids, frame_of, index_of, term_of, value
from ostinato.importing.onnx.states import Closed
from ostinato.importing.onnx.terms import Affine, Applied, CellState, Recurrence, State, Term, View
from ostinato.model.activation import Activation
from ostinato.model.layers import Activate, Add, Gru, Lstm, Multiply, Recurrent, Rnn, Scale

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
    """It is none of these cells."""


def recognise(closed: Closed) -> list[str]:
    """Take over what states go round in: `Closed.instead` says which elements are a layer's from now on. What was
    found, in words."""
    found = []
    cells = Cells(closed)
    for ids in cells.rounds():
        try:
            found += cells.take(ids)
        except NoCell:
            continue
    return found


class Cells:
    """The cells of a graph."""

    def __init__(self, closed: Closed) -> None:
        self._closed, self._terms = closed, closed.terms

    def rounds(self) -> Iterator[Ids]:
        """The elements of each state that become one vector of a term, [values] at the state's first frame."""
        by_term: dict[tuple[int, int], list[tuple[int, int]]] = {}
        for before, after in self._closed.closings.items():
            if after >= 0:
                key = (int(term_of(np.array(before))), int(term_of(np.array(after))))
                by_term.setdefault(key, []).append((before, after))
        for _, pairs in sorted(by_term.items(), key=lambda item: item[0][1]):  # those that others read come first
            runs: list[list[tuple[int, int]]] = []
            for pair in sorted(pairs, key=lambda pair: pair[1]):
                if runs and pair[1] == runs[-1][-1][1] + 1:
                    runs[-1].append(pair)
                else:
                    runs.append([pair])
            for run in runs:
                yield np.array([before for before, _ in run])

    def take(self, state: Ids) -> list[str]:
        """Take over the cell that these elements of a state are the h or c of; nothing if it was already."""
        after = self._after(state)
        if any(int(each) in self._closed.instead for each in after):
            return []
        own = tuple(state.tolist())
        parts = self.sum(after).parts
        if len(parts) == 1 and len(next(iter(parts))) == 1:
            return self._rnn(state, after, *next(iter(parts.items())))
        if any(own in atoms for atoms in parts):
            try:
                return self._gru(state, after, parts)
            except NoCell:
                return self._lstm(state, after, parts)
        raise NoCell

    def _rnn(self, state: Ids, after: Ids, atoms: tuple[Vector, ...], coefficients: Array) -> list[str]:
        activation, inside = self._activated(atoms[0])
        if (coefficients != 1).any():
            raise NoCell
        line = self._line(inside)
        W, R, x, bias = self._parted(line, state)
        layer = Rnn(len(state), activation=activation)
        return self._placed(layer, x, {"W": W, "R": R, "Wb": bias, "Rb": np.zeros(len(bias))}, {"h": state}, after)

    def _gru(self, state: Ids, after: Ids, parts: dict[tuple[Vector, ...], Array]) -> list[str]:
        own = tuple(state.tolist())
        candidates = [atoms[0] for atoms in parts if len(atoms) == 1 and atoms[0] != own]
        both = [atoms for atoms in parts if len(atoms) == 2]
        alone = (own,) in parts
        gates = {atom for atoms in both for atom in atoms if atom != own}
        if len(parts) != 3 or len(both) != 2:
            raise NoCell
        if alone:  # h + z n - z h: z in the place of 1 - z
            z = next(iter({a for a in both[0]} & {a for a in both[1]}), None)
            n = next((a for a in gates if a != z), None)
            wanted: dict[Any, float] = {(own,): 1.0, _key(z, n): 1.0, _key(z, own): -1.0}
        else:
            n = next(iter(candidates), None)
            z = next((a for a in gates if a != n), None)
            wanted = {(n,): 1.0, _key(z, n): -1.0, _key(z, own): 1.0}
        if z is None or n is None or z not in gates or set(parts) != set(wanted):
            raise NoCell
        if any((parts[atoms] != sign).any() for atoms, sign in wanted.items()):
            raise NoCell
        gate, z_in = self._activated(z)
        activation, n_in = self._activated(n)
        z_line = self._line(z_in)
        if alone:
            if gate.name not in ("sigmoid", "hard-sigmoid") or (gate.name != "sigmoid" and (gate.beta or 0.5) != 0.5):
                raise NoCell
            z_line = Line(z_line.x, -z_line.W, -z_line.b)  # 1 - s(v) = s(-v)
        return self._candidate(state, after, gate, z_line, activation, n_in)

    def _candidate(
        self, state: Ids, after: Ids, gate: Activation, z: Line, activation: Activation, inside: Vector
    ) -> list[str]:
        """The GRU whose candidate is ``activation`` of ``inside``, which has the reset gate in it."""
        own, H = tuple(state.tolist()), len(state)
        parts = self.sum(np.array(inside)).parts
        for atoms, coefficients in parts.items():  # r times a product of h: reset after
            if len(atoms) == 2 and (coefficients == 1).all():
                for r, product in (atoms, atoms[::-1]):
                    try:
                        r_gate, r_in = self._activated(r)
                        inner = self._line(product, through=True)
                    except NoCell:
                        continue
                    if r_gate != gate or not _only(inner, state):
                        continue
                    rest = self._without(inside, atoms)
                    Wz, Rz, xz, bz = self._parted(z, state)
                    Wr, Rr, xr, br = self._parted(self._line(r_in), state)
                    Wn, Rn, xn, bn = self._parted(rest, state)
                    if Rn.any():
                        continue
                    W, x = _stacked([(Wz, xz), (Wr, xr), (Wn, xn)])
                    R = np.concatenate([Rz, Rr, _columns(inner, state)])
                    Wb, Rb = np.concatenate([bz, br, bn]), np.concatenate([np.zeros(2 * H), inner.b])
                    layer = Gru(H, gate_activation=gate, activation=activation)
                    return self._placed(layer, x, {"W": W, "R": R, "Wb": Wb, "Rb": Rb}, {"h": state}, after)
        # before: the product reads r h
        line = self._line(inside)
        gated = [int(n) for n in np.unique(term_of(line.x)) if self._is_reset(int(n), own)]
        if len(gated) != 1:
            raise NoCell
        here = term_of(line.x) == gated[0]
        reset = self._terms[gated[0]]
        r = next(atom for atoms in self.sum(reset.at(0)).parts for atom in atoms if atom != own)
        r_gate, r_in = self._activated(r)
        if r_gate != gate:
            raise NoCell
        Rn = np.zeros((H, H))
        Rn[:, index_of(line.x[here])] = line.W[:, here]
        Wz, Rz, xz, bz = self._parted(z, state)
        Wr, Rr, xr, br = self._parted(self._line(r_in), state)
        Wn, Rrest, xn, bn = self._parted(Line(line.x[~here], line.W[:, ~here], line.b), state)
        if Rrest.any():
            raise NoCell
        W, x = _stacked([(Wz, xz), (Wr, xr), (Wn, xn)])
        layer = Gru(H, "forward", "before", gate_activation=gate, activation=activation)
        weights = {"W": W, "R": np.concatenate([Rz, Rr, Rn]), "Wb": np.concatenate([bz, br, bn])}
        return self._placed(layer, x, weights | {"Rb": np.zeros(3 * H)}, {"h": state}, after)

    def _is_reset(self, number: int, own: Vector) -> bool:
        term = self._terms[number]
        if term.size != len(own):
            return False
        parts = self.sum(term.at(0)).parts
        return len(parts) == 1 and len(next(iter(parts))) == 2 and own in next(iter(parts))

    def _lstm(self, state: Ids, after: Ids, parts: dict[tuple[Vector, ...], Array]) -> list[str]:
        """``state`` is c."""
        own, H = tuple(state.tolist()), len(state)
        if any((np.abs(each) != 1).any() for each in parts.values()):
            raise NoCell
        with_state = [atoms for atoms in parts if own in atoms]
        others = [atoms for atoms in parts if own not in atoms]
        if len(others) != 1 or len(others[0]) != 2 or (parts[others[0]] != 1).any():
            raise NoCell
        output, h, hidden = self._output_of(after)
        coupled = len(with_state) == 2
        pairs = [others[0], others[0][::-1]]
        if coupled:  # c - i c + i g
            if (own,) not in parts or (parts[(own,)] != 1).any():
                raise NoCell
            i = next(a for atoms in with_state if len(atoms) == 2 for a in atoms if a != own)
            if i not in others[0] or (parts[_key(i, own)] != -1).any():
                raise NoCell
            forget = i
            pairs = [pair for pair in pairs if pair[0] == i]
        else:
            if len(with_state) != 1 or len(with_state[0]) != 2 or (parts[with_state[0]] != 1).any():
                raise NoCell
            forget = next(a for a in with_state[0] if a != own)
        gate, f_in = self._activated(forget)
        o_gate, o_in = self._activated(output)
        if o_gate != gate:
            raise NoCell
        last, _ = self._activated(hidden)
        sums = []
        for i, g in pairs:
            (i_gate, i_in), (activation, g_in) = self._activated(i), self._activated(g)
            if i_gate == gate and not (activation == gate and len(pairs) == 2 and i == others[0][1]):
                sums = [self._line(each) for each in (i_in, o_in, f_in, g_in)]
                break
        if not sums:
            raise NoCell
        made = [self._parted(each, h) for each in sums]
        W, x = _stacked([(each[0], each[2]) for each in made])
        if set(x.tolist()) & set(own):
            raise NoCell  # peepholes that are written out
        layer = Lstm(
            H, gate_activation=gate, activation=activation, output_activation=last, input_forget=coupled,
        )  # fmt: skip
        weights = {
            "W": W, "R": np.concatenate([each[1] for each in made]), "Wb": np.concatenate([each[3] for each in made]),
            "Rb": np.zeros(4 * H),
        }  # fmt: skip
        return self._placed(layer, x, weights, {"h": h, "c": state}, self._after(h), cell=after)

    def _output_of(self, cell: Ids) -> tuple[Vector, Ids, Vector]:
        """Of the h that is made of a cell state: its gate, the state's elements that hold it, and the activated
        cell."""
        wanted = tuple(cell.tolist())
        for before in self.rounds():
            after = self._after(before)
            if len(after) != len(cell):
                continue
            try:
                parts = self.sum(after).parts
            except NoCell:
                continue
            if len(parts) != 1 or (next(iter(parts.values())) != 1).any() or len(next(iter(parts))) != 2:
                continue
            (atoms,) = parts
            for output, hidden in permutations(atoms):
                try:
                    if self._activated(hidden)[1] == wanted:
                        return output, before, hidden
                except NoCell:
                    continue
        raise NoCell

    def _placed(
        self, layer: Recurrent, x: Ids, weights: dict[str, Array], begins: dict[str, Ids], after: Ids,
        cell: Ids | None = None,
    ) -> list[str]:  # fmt: skip
        """The layer in the place of the terms that make ``after``."""
        if not len(x):
            raise NoCell
        if frame_of(x).any() or (self._closed.is_state(x).any() and set(x.tolist()) & set(begins["h"].tolist())):
            raise NoCell
        state = self._terms[int(term_of(begins["h"][:1])[0])].operation
        if isinstance(state, State) and state.backward:
            layer = replace(layer, direction="backward")
        named = {f"{layer.direction}.{name}": np.asarray(each, np.float32) for name, each in weights.items()}
        first = self._terms[int(term_of(after[:1])[0])]
        operation = Recurrence(layer, named, (begins,))
        view = View(x)
        term = self._terms.add(operation, [view], layer.hidden, first.frames, first.origin)
        own = term.at(0)
        instead = dict(zip(after.tolist(), own.tolist(), strict=True))
        closings = self._closed.closings
        if cell is not None:
            kept = self._terms.add(CellState(term.number), [view], layer.hidden, first.frames, first.origin)
            instead |= dict(zip(cell.tolist(), kept.at(0).tolist(), strict=True))
        self._closed.instead.update(instead)
        for before, made in list(closings.items()):
            closings[before] = instead.get(made, made)
        return [f"{layer.kind} of {layer.hidden} units, written out around node {first.origin!r}"]

    def _after(self, state: Ids) -> Ids:
        return np.array([self._closed.closings[int(each)] for each in state])

    def _activated(self, atom: Vector) -> tuple[Activation, Vector]:
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

    def _line(self, vector: Vector, through: bool = False, depth: int = 0) -> Line:
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
                matrix = operation.matrix[index].astype(np.float64)
                return Line(inner.x, matrix @ inner.W, matrix @ inner.b + operation.bias[index])
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

    def _without(self, vector: Vector, atoms: tuple[Vector, ...], depth: int = 0) -> Line:
        """A sum as a line, one product of it left out."""
        ids = np.array(vector)
        term = self._of_one(ids)
        if depth > _DEEPEST or term is None or not isinstance(term.operation, Applied):
            return self._line(vector)
        index = index_of(ids)
        if isinstance(term.operation.layer, Multiply) and set(self.sum(ids).parts) == {atoms}:
            return Line(np.zeros(0, np.int64), np.zeros((len(ids), 0)), np.zeros(len(ids)))
        if isinstance(term.operation.layer, Add):
            return _added([self._without(tuple(v.ids[index].tolist()), atoms, depth + 1) for v in term.views])
        return self._line(vector)

    def _parted(self, line: Line, state: Ids) -> tuple[Array, Array, Ids, Array]:
        """W of all but the state, R of the state, what W reads, and the bias."""
        own = np.isin(line.x, state)
        return line.W[:, ~own], _columns(line, state), line.x[~own], line.b


def _itself(ids: Ids) -> Line:
    """A vector as a line of its own values."""
    x, column = np.unique(ids[ids >= 0], return_inverse=True)
    W, b = np.zeros((len(ids), len(x))), np.zeros(len(ids))
    W[np.flatnonzero(ids >= 0), column] = 1
    b[ids < 0] = value(ids[ids < 0])
    return Line(x, W, b)


def _columns(line: Line, state: Ids) -> Array:
    R = np.zeros((len(line.b), len(state)))
    place = {int(each): k for k, each in enumerate(state)}
    for k, each in enumerate(line.x.tolist()):
        if each in place:
            R[:, place[each]] = line.W[:, k]
    return R


def _only(line: Line, state: Ids) -> bool:
    return bool(len(line.x)) and bool(np.isin(line.x, state).all())


def _stacked(parts: Sequence[tuple[Array, Ids]]) -> tuple[Array, Ids]:
    """Matrices on top of each other, over all that they read."""
    x = np.unique(np.concatenate([ids for _, ids in parts]))
    rows = []
    for W, ids in parts:
        full = np.zeros((len(W), len(x)))
        full[:, np.searchsorted(x, ids)] = W
        rows.append(full)
    return np.concatenate(rows), x


def _added(lines: Sequence[Line]) -> Line:
    x = np.unique(np.concatenate([line.x for line in lines]))
    W = np.zeros((len(lines[0].b), len(x)))
    for line in lines:
        np.add.at(W.T, np.searchsorted(x, line.x), line.W.T)
    return Line(x, W, np.sum([line.b for line in lines], axis=0))


def _key(*atoms: Any) -> tuple[Vector, ...]:
    return tuple(sorted(each for each in atoms if each is not None))


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
