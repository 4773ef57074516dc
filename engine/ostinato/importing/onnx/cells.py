"""Recurrent cells that are written out in a graph, with products, gates and all, become the layers that they are.

What a state becomes is multiplied out into a sum of products of *atoms*: states, and what activations give. The sum
tells which cell it is, whatever the order of its operators; the sums within the activations tell the weights.

    RNN     h' = f(a)
    GRU     h' = n - z n + z h            (1 - z) n + z h, or with 1 - z in the place of z
    LSTM    c' = f c + i g, h' = o g(c')  or f = 1 - i
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import permutations
from typing import Any

import numpy as np

from ostinato.importing.onnx.algebra import Algebra, Line, NoCell, Vector
from ostinato.importing.onnx.elements import Array, Ids, frame_of, index_of, term_of
from ostinato.importing.onnx.states import Closed
from ostinato.importing.onnx.terms import CellState, Recurrence, State, View
from ostinato.model.activation import Activation
from ostinato.model.layers import Gru, Lstm, Recurrent, Rnn


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
        self._closed, self._terms, self._algebra = closed, closed.terms, Algebra(closed)

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
        parts = self._algebra.sum(after).parts
        if len(parts) == 1 and len(next(iter(parts))) == 1:
            return self._rnn(state, after, *next(iter(parts.items())))
        if any(own in atoms for atoms in parts):
            try:
                return self._gru(state, after, parts)
            except NoCell:
                return self._lstm(state, after, parts)
        raise NoCell

    def _rnn(self, state: Ids, after: Ids, atoms: tuple[Vector, ...], coefficients: Array) -> list[str]:
        activation, inside = self._algebra.activated(atoms[0])
        if (coefficients != 1).any():
            raise NoCell
        line = self._algebra.line(inside)
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
        gate, z_in = self._algebra.activated(z)
        activation, n_in = self._algebra.activated(n)
        z_line = self._algebra.line(z_in)
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
        parts = self._algebra.sum(np.array(inside)).parts
        for atoms, coefficients in parts.items():  # r times a product of h: reset after
            if len(atoms) == 2 and (coefficients == 1).all():
                for r, product in (atoms, atoms[::-1]):
                    try:
                        r_gate, r_in = self._algebra.activated(r)
                        inner = self._algebra.line(product, through=True)
                    except NoCell:
                        continue
                    if r_gate != gate or not _only(inner, state):
                        continue
                    rest = self._algebra.without(inside, atoms)
                    Wz, Rz, xz, bz = self._parted(z, state)
                    Wr, Rr, xr, br = self._parted(self._algebra.line(r_in), state)
                    Wn, Rn, xn, bn = self._parted(rest, state)
                    if Rn.any():
                        continue
                    W, x = _stacked([(Wz, xz), (Wr, xr), (Wn, xn)])
                    R = np.concatenate([Rz, Rr, _columns(inner, state)])
                    Wb, Rb = np.concatenate([bz, br, bn]), np.concatenate([np.zeros(2 * H), inner.b])
                    layer = Gru(H, gate_activation=gate, activation=activation)
                    return self._placed(layer, x, {"W": W, "R": R, "Wb": Wb, "Rb": Rb}, {"h": state}, after)
        # before: the product reads r h
        line = self._algebra.line(inside)
        gated = [int(n) for n in np.unique(term_of(line.x)) if self._is_reset(int(n), own)]
        if len(gated) != 1:
            raise NoCell
        here = term_of(line.x) == gated[0]
        reset = self._terms[gated[0]]
        r = next(atom for atoms in self._algebra.sum(reset.at(0)).parts for atom in atoms if atom != own)
        r_gate, r_in = self._algebra.activated(r)
        if r_gate != gate:
            raise NoCell
        Rn = np.zeros((H, H))
        Rn[:, index_of(line.x[here])] = line.W[:, here]
        Wz, Rz, xz, bz = self._parted(z, state)
        Wr, Rr, xr, br = self._parted(self._algebra.line(r_in), state)
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
        parts = self._algebra.sum(term.at(0)).parts
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
        gate, f_in = self._algebra.activated(forget)
        o_gate, o_in = self._algebra.activated(output)
        if o_gate != gate:
            raise NoCell
        last, _ = self._algebra.activated(hidden)
        sums = []
        for i, g in pairs:
            (i_gate, i_in), (activation, g_in) = self._algebra.activated(i), self._algebra.activated(g)
            if i_gate == gate and not (activation == gate and len(pairs) == 2 and i == others[0][1]):
                sums = [self._algebra.line(each) for each in (i_in, o_in, f_in, g_in)]
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
                parts = self._algebra.sum(after).parts
            except NoCell:
                continue
            if len(parts) != 1 or (next(iter(parts.values())) != 1).any() or len(next(iter(parts))) != 2:
                continue
            (atoms,) = parts
            for output, hidden in permutations(atoms):
                try:
                    if self._algebra.activated(hidden)[1] == wanted:
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

    def _parted(self, line: Line, state: Ids) -> tuple[Array, Array, Ids, Array]:
        """W of all but the state, R of the state, what W reads, and the bias."""
        own = np.isin(line.x, state)
        return line.W[:, ~own], _columns(line, state), line.x[~own], line.b


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


def _key(*atoms: Any) -> tuple[Vector, ...]:
    return tuple(sorted(each for each in atoms if each is not None))
