"""Loops that an exporter wrote out, step after step, become what one step computes.

Two neighbouring steps are compared, term by term. Where comparing (Q, R) leads to comparing (P, Q), a value goes on
from step to step: a state. What one step computes of states and frames is then made anew, once, and stands for all.
The first and last steps, which begin from constants, are not compared: that they fit is seen when numbers are.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ostinato.importing.onnx.elements import Ids, frame_of, index_of, shifted, term_of
from ostinato.importing.onnx.rows import time_axis
from ostinato.importing.onnx.terms import CellState, Recurrence, Term, Terms, View, key_of, state_term

_FEWEST = 5
_DEEPEST = 400
Place = tuple[int, int]
"""A term's number, and a frame of it."""


class _DiffersError(Exception):
    """The steps are not alike."""


class _Carried(NamedTuple):
    """A value at one step, and what it is at the step that it comes from."""

    now: Place
    before: Place
    backward: bool


class Unrolled:
    """The loops of a graph that is traced with ``length`` frames. What the states of those that are found hold is
    added to ``closings``."""

    def __init__(self, terms: Terms, closings: dict[int, int], length: int) -> None:
        self._terms, self._closings, self._length = terms, closings, length
        self._instead: dict[Place, Ids] = {}

    def seen(self, ids: Ids) -> Ids:
        """A tensor into which steps were put together; as if they had not been written out, if they were."""
        ids = self.replaced(ids)
        if (rows := self._rows(ids)) is None:
            return ids
        try:
            self._roll(rows)
        except _DiffersError:
            return ids
        return self.replaced(ids)

    def replaced(self, ids: Ids) -> Ids:
        """Elements with one term in the place of those of all steps."""
        while places := [place for place in set(_places(ids)) if place in self._instead]:
            ids, before = ids.copy(), ids
            for number, frame in places:
                here = (before >= 0) & (term_of(before) == number) & (frame_of(before) == frame)
                ids[here] = self._instead[number, frame][index_of(before[here])]
        return ids

    def _rows(self, ids: Ids) -> Ids | None:
        """[frames, values] of a tensor that has a row for each frame, and in each other terms."""
        length = self._length
        if length < _FEWEST or length not in ids.shape or time_axis(ids, self._terms) is not None:
            return None
        for axis in np.flatnonzero(np.array(ids.shape) == length):
            rows = np.moveaxis(ids, axis, 0).reshape(length, -1)
            if (rows < 0).any() or (frame_of(rows) != frame_of(rows[:, :1])).any():
                continue
            if len(np.unique(term_of(rows[:, 0]))) == length > len(np.unique(frame_of(rows))):
                rows = self._earlier(rows)  # of a loop from the last frame on
            order = np.argsort(frame_of(rows[:, 0]))
            if (frame_of(rows[order]) == np.arange(length)[:, None]).all():
                return rows[order]
        return None

    def _earlier(self, rows: Ids) -> Ids:
        """The same values by terms whose frames are the earliest that they read, not the latest."""
        made: dict[Place, Ids] = {}
        anew = rows.copy()
        for row, out in zip(rows, anew, strict=True):
            for place in dict.fromkeys(_places(row)):
                own = self._anew(place, made, latest=False)
                self._put(place, own)
                here = (term_of(row) == place[0]) & (frame_of(row) == place[1])
                out[here] = own[index_of(row[here])]
        return anew

    def _roll(self, rows: Ids) -> None:
        """Compare the steps that make these rows, and put one in their place."""
        middle = self._length // 2
        found = {step: self._compared(rows[step], rows[step + 1]) for step in range(1, self._length - 2)}
        first = found[middle]
        if any(len(each) != len(first) for each in found.values()):
            raise _DiffersError
        states = {
            each.before: state_term(self._terms, f"{self._terms[each.now[0]].origin} of the step before",
                                    np.zeros(self._terms[each.now[0]].size), each.backward)
            for each in first
        }  # fmt: skip
        made: dict[Place, Ids] = {before: term.at(middle) for before, term in states.items()}
        own = {each.now: self._anew(each.now, dict(made), skip=True) for each in first}
        for each in first:
            ids = shifted(own[each.now], -middle)
            self._closings.update(zip(states[each.before].at(0).tolist(), ids.tolist(), strict=True))
        for step, carried in found.items():
            for ours, theirs in zip(first, carried, strict=True):
                for place, moved in ((theirs.now, 0), (theirs.before, 1 if theirs.backward else -1)):
                    self._put(place, shifted(own[ours.now], step + moved - middle))
        for place in dict.fromkeys(_places(rows[middle])):
            ids = own[place] if place in own else self._anew(place, made)
            for step in range(self._length):
                for at, other in zip(_places(rows[middle]), _places(rows[step]), strict=True):
                    if at == place:
                        self._put(other, shifted(ids, step - middle))

    def _put(self, place: Place, ids: Ids) -> None:
        """From now on, elements of a term are others."""
        if place not in _places(ids):
            self._instead[place] = ids

    def _compared(self, left: Ids, right: Ids) -> list[_Carried]:
        """The states of two neighbouring steps, in the order in which they are met."""
        found: dict[Place, _Carried] = {}
        known: set[tuple[Place, Place]] = set()

        def vectors(a: Ids, b: Ids, above: tuple[tuple[Place, Place], ...]) -> None:
            if (shifted(a, 1) == b).all():
                return
            pairs: dict[Place, Place] = {}
            for one, other in zip(a.tolist(), b.tolist(), strict=True):
                if (one < 0 or other < 0) and one != other:
                    raise _DiffersError
                if one >= 0:
                    p, q = _place(one), _place(other)
                    if pairs.setdefault(p, q) != q or index_of(np.array(one)) != index_of(np.array(other)):
                        raise _DiffersError
            for p, q in pairs.items():
                terms(p, q, above)

        def terms(p: Place, q: Place, above: tuple[tuple[Place, Place], ...]) -> None:
            if p == (q[0], q[1] - 1) or (p, q) in known:
                return
            for one, other in above:
                if q == one:  # forward: what this is, is what that was
                    found[one] = _Carried(one, p, False)
                    return
                if p == other:
                    found[one] = _Carried(one, other, True)
                    return
            a, b = self._terms[p[0]], self._terms[q[0]]
            if len(above) > _DEEPEST or a.size != b.size or len(a.views) != len(b.views) or not a.views:
                raise _DiffersError
            if isinstance(a.operation, (Recurrence, CellState)) or key_of(a.operation) != key_of(b.operation):
                raise _DiffersError
            for v, w in zip(a.views, b.views, strict=True):
                if v.reframed or w.reframed or v.size != w.size:
                    raise _DiffersError
                vectors(shifted(v.ids, p[1]), shifted(w.ids, q[1]), (*above, (p, q)))
            known.add((p, q))

        vectors(left, right, ())
        return list(found.values())

    def _anew(self, place: Place, made: dict[Place, Ids], skip: bool = False, latest: bool = True) -> Ids:
        """The elements of a term that reads what is ``made`` of other terms' instead of these. ``skip``: also if it
        is one of them; ``latest``: whether its frame is the latest of those that it reads, or the earliest."""
        if place in made and not skip:
            return made[place]
        term, frame = self._terms[place[0]], place[1]
        read = [shifted(view.ids, frame) for view in term.views]
        anew = []
        for ids in read:
            own = ids.copy()
            for below in dict.fromkeys(_places(ids)):
                here = (term_of(ids) == below[0]) & (frame_of(ids) == below[1]) & (ids >= 0)
                own[here] = self._anew(below, made, latest=latest)[index_of(ids[here])]
            anew.append(own)
        frames = [int(each) for own in anew for each in frame_of(own[own >= 0])]
        base = (max(frames) if latest else min(frames)) if frames else frame
        if base == frame and all((own == ids).all() for own, ids in zip(anew, read, strict=True)):
            made[place] = term.at(frame)
            return made[place]
        views = [View(shifted(own, -base)) for own in anew]
        new: Term = self._terms.add(term.operation, views, term.size, term.frames, term.origin)
        made[place] = new.at(base)
        return made[place]


def _place(one: int) -> Place:
    ids = np.array(one)
    return int(term_of(ids)), int(frame_of(ids))


def _places(ids: Ids) -> list[Place]:
    """Each that is there, in the order in which they first are."""
    traced = ids[ids >= 0]
    _, first = np.unique(traced - index_of(traced), return_index=True)
    traced = traced[np.sort(first)]
    return list(zip(term_of(traced).tolist(), frame_of(traced).tolist(), strict=True))
