"""Where in its bar a tune is: counted by layers whose weights are set, and never learnt.

A network that learns to count loses count: at the end of a part it must know how long the anacrusis was, eight
bars before, that the last bar must leave room for. Here a plain recurrent layer counts (`CLOCK`). Each of its units
is what the token is worth to it, plus what some units were a token before, and never below 0:

    into      time since the last bar line            bar     length of a full bar
    opening   length of the first piece of the tune   part    the same of the part

all in units of length. These are states of the stream like any layer's: a snapshot has them, a fork copies them. A
dense layer (`PLACE`) tells the others how far it is to the end of the bar, and to where an anacrusis completes it: a
value for each half unit of a scale, 0 before it and 1 behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import product
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ostinato.errors import InputError
from ostinato.model.activation import Activation
from ostinato.model.layers import Dense, Rnn
from ostinato.notation.bars import DIVIDING
from ostinato.notation.tune import BARS, Note, Rest, bar_length, element

CLOCK, PLACE = "clock", "place"
"""The nodes."""
F32 = NDArray[np.float32]
Sum: TypeAlias = dict[str, float]
"""Of units, or of tokens, by name: how often each counts."""

MUCH = 64.0
"""More than any count: takes a unit to 0, unless another makes up for it."""
UNLIKELY = -12.0
"""A logit to begin with."""
TRIPLET = "(3"
"""Three notes in the time of two: the one tuplet that is counted, and the one that these tunes have."""
SCALES = {
    "left": (0, 16), "to opening": (-2, 12), "to part": (-2, 12), "opening": (0, 6), "opening left": (-1, 8),
    "triplet": (0, 1), "part goes on": (0, 1),
}  # fmt: skip
"""From where to where the distances of `Clock` are told."""


class Clock:
    """The layers ``clock``, of one-hot tokens, and ``place``, of what that gives, and ``weights`` of nodes of these
    names. For tunes that begin with ``start`` or their metre, behind which unit of length and key come.
    """

    def __init__(self, vocabulary: Sequence[str], start: str) -> None:
        self._bias: dict[str, float] = {}
        self._worth: dict[str, Sum] = {}
        self._before: dict[str, Sum] = {}
        self._lengths = _lengths(vocabulary)
        self._others = dict.fromkeys((token for token in vocabulary if token not in self._lengths), -2 * MUCH)
        bars = [token for token in vocabulary if token in BARS]
        metres, units, keys = ([token for token in vocabulary if token.startswith(f"{of}:")] for of in "MLK")
        begins = [start, *metres]

        # Notes of a triplet that are left, by which the note that comes is shorter.
        notes = dict.fromkeys(self._lengths, -1.0)
        triplet = self._switch("triplet", notes | {TRIPLET: 3.0}, {"triplet": 1})
        shorter = self._at_notes("shorter", 1 / 3, _times(MUCH, triplet))
        into = self._unit("into", self._lengths | dict.fromkeys(bars, -MUCH), {"into": 1, "shorter": -1})
        now = _plus(into, shorter, -1)

        # The bar, by metre and unit of length: tokens one behind the other.
        pairs: Sum = {}
        for metre, unit in product(metres, units):
            self._bias[metre], self._worth[metre], self._before[metre] = 0.0, {metre: 1.0}, {}
            pair = self._unit(f"{metre} {unit}", {unit: 1.0}, {metre: 1}, -1.0)
            pairs |= _times(float(bar_length(metre[2:]) / Fraction(unit[2:])), pair)
        bar = self._unit("bar", dict.fromkeys(metres, -MUCH), {"bar": 1} | pairs)

        # A sign that begins a part ends a piece where it stands behind notes.
        behind = self._unit("behind", {"|:": MUCH}, now, -MUCH)
        lines = [line for line in bars if line != "|:"]
        dividing = [line for line in bars if line in DIVIDING]
        opening, _ = self._opening("opening", keys, [*begins, *lines], _times(-MUCH, behind), triplet)
        part, goes_on = self._opening("part", [*keys, *dividing], [*begins, "|"], {}, triplet)

        left = _plus(bar, now, -1)
        self._distances = {
            "left": left, "to opening": _plus(left, opening, -1), "to part": _plus(left, part, -1),
            "opening": opening, "opening left": _plus(opening, now, -1), "triplet": triplet, "part goes on": goes_on,
        }  # fmt: skip
        self.clock = Rnn(len(self._bias), activation=Activation("relu"))
        self.place = Dense(sum(map(len, _points().values())), Activation("hard-sigmoid", 1.0, 0.0))
        self.weights = self._clock_weights(vocabulary) | self._place_weights()

    def fitting(self, vocabulary: Sequence[str]) -> tuple[F32, F32]:
        """W and b of a dense layer above ``place`` with a value for each token: about 0 where it fits, `UNLIKELY` for
        a note that is longer than what is left, or a bar line within a bar."""
        places = [(name, point) for name, points in _points().items() for point in points]
        at = {place: i for i, place in enumerate(places)}
        W, b = np.zeros((len(vocabulary), len(places)), np.float32), np.zeros(len(vocabulary), np.float32)
        for i, token in enumerate(vocabulary):
            if length := self._lengths.get(token):
                rises = min(max(0.0, np.floor(2 * length - 1) / 2), SCALES["left"][1] - 0.5)
                W[i, at["left", rises]] = -UNLIKELY
                W[i, at["triplet", 0.0]] = -UNLIKELY
                b[i] = UNLIKELY
            elif token == "|":
                W[i, at["left", 0.0]], W[i, at["part goes on", 0.0]] = UNLIKELY, -UNLIKELY
        return W, b

    def sum_of(self, distance: str) -> F32:
        """One of the `SCALES`, as how often each unit of ``clock`` counts in it [units]."""
        return np.array([self._distances[distance].get(unit, 0.0) for unit in self._bias], np.float32)

    def _unit(self, name: str, worth: Sum, before: Sum, bias: float = 0.0) -> Sum:
        """Another unit: what tokens are worth to it, and units a token before; the unit as a sum."""
        self._bias[name], self._worth[name], self._before[name] = bias, worth, before
        return {name: 1.0}

    def _switch(self, name: str, worth: Sum, before: Sum) -> Sum:
        """A difference of units that is 1 once what ``name`` would be is 1 or more, else 0."""
        beyond = f"{name}, beyond"
        return _plus(self._unit(name, worth, before), self._unit(beyond, worth, before, -1.0), -1)

    def _at_notes(self, name: str, times: float, where: Sum, least: float = MUCH) -> Sum:
        """A unit that is ``times`` the length of a note where the units ``where`` come to ``least``, else 0."""
        return self._unit(name, _times(times, self._lengths) | self._others, where, -least)

    def _opening(
        self, name: str, begins: Sequence[str], ends: Sequence[str], also: Sum, triplet: Sum
    ) -> tuple[Sum, Sum]:
        """How long the piece is, or was, that comes behind one of ``begins``, up to one of ``ends``; and whether it
        goes on."""
        switch = f"{name} goes on"
        worth = dict.fromkeys(ends, -MUCH) | dict.fromkeys(begins, 1.0)
        on = self._switch(switch, worth, {switch: 1, f"{switch}, beyond": -1} | also)
        where = _times(MUCH, on) | also
        longer = self._at_notes(f"{name} longer", 1.0, where)
        shorter = self._at_notes(f"{name} shorter", 1 / 3, _plus(where, triplet, MUCH), 2 * MUCH)
        added = _plus(longer, shorter, -1)
        anew = {token: -MUCH for token in (*begins, *ends) if worth[token] == 1.0 or token not in BARS}
        return _plus(self._unit(name, anew, {name: 1.0} | added), added), on

    def _clock_weights(self, vocabulary: Sequence[str]) -> dict[str, F32]:
        bias = np.array(list(self._bias.values()), np.float32)
        W = np.array([[worth.get(token, 0.0) for token in vocabulary] for worth in self._worth.values()], np.float32)
        R = np.array([[before.get(unit, 0.0) for unit in self._bias] for before in self._before.values()], np.float32)
        parts = {"W": W, "R": R, "Wb": bias, "Rb": np.zeros_like(bias)}
        return {f"{CLOCK}.forward.{part}": array for part, array in parts.items()}

    def _place_weights(self) -> dict[str, F32]:
        told = [(2 * self.sum_of(name), point) for name, points in _points().items() for point in points]
        W, b = np.array([row for row, _ in told], np.float32), np.array([-2 * point for _, point in told], np.float32)
        return {f"{PLACE}.W": W, f"{PLACE}.b": b}


def _points() -> dict[str, list[float]]:
    """Where each value of ``place`` begins to rise, half a unit before it is 1."""
    return {name: [begin + i / 2 for i in range(2 * (end - begin))] for name, (begin, end) in SCALES.items()}


def _lengths(vocabulary: Sequence[str]) -> Sum:
    """Of notes and rests, in units of length."""
    found = {}
    for token in vocabulary:
        try:
            each = element(token)
        except InputError:
            continue  # a field, or what no tune has
        if isinstance(each, Note | Rest):
            found[token] = float(each.length)
    return found


def _times(factor: float, sum_: Sum) -> Sum:
    return {name: factor * each for name, each in sum_.items()}


def _plus(one: Sum, other: Sum, times: float = 1.0) -> Sum:
    return {name: one.get(name, 0.0) + times * other.get(name, 0.0) for name in {**one, **other}}
