"""Whether a tune's bars add up, and in which order they are played.

A tune is cut at bar lines into *pieces*, which are bars, but for those that a repeat sign or double bar divides: an
anacrusis, and what completes it. Repeats and endings are played out, and the pieces counted as one hears them: each
is a full bar, or its other part lies beyond a sign that divides parts; the very last may lack what the anacrusis of
the tune, or of its last part, has.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from ostinato.errors import InputError
from ostinato.notation.tune import Bar, Element, Ending, Note, Rest, Tune, Tuplet

DIVIDING = frozenset({"||", "|]", "|:", ":|", "::"})
"""Bar lines that end a part."""


@dataclass(frozen=True)
class Piece:
    """What is between two bar lines, ``before`` and ``after``. ``notes``: each note and rest, with its length by its
    tuplet's factor, in units. ``ending``: the number of the ending that it begins, if it does."""

    number: int
    notes: tuple[tuple[Note | Rest, Fraction], ...]
    before: str
    after: str
    ending: int | None

    @property
    def length(self) -> Fraction:
        """In units."""
        return sum((length for _, length in self.notes), Fraction(0))


def pieces(elements: list[Element]) -> list[Piece]:
    """Those of a body; empty ones are none, their bar lines one. Raises InputError for a tuplet that has too few
    notes."""
    found: list[Piece] = []
    notes: list[tuple[Note | Rest, Fraction]] = []
    before, ending, left, factor = "", None, 0, Fraction(1)
    for each in [*elements, Bar("")]:
        match each:
            case Tuplet():
                if left:
                    raise InputError(f"bar {len(found) + 1}: a tuplet begins within another")
                left, factor = each.notes, Fraction(each.time, each.notes)
            case Note() | Rest():
                notes.append((each, each.length * (factor if left else 1)))
                left = max(0, left - 1)
            case Ending():
                if notes:
                    raise InputError(f"bar {len(found) + 1}: ending [{each.number} begins within a bar")
                ending = each.number
            case Bar():
                if left:
                    raise InputError(f"bar {len(found) + 1}: a tuplet lacks {left} of its notes")
                if notes:
                    found.append(Piece(len(found) + 1, tuple(notes), before, each.line, ending))
                    before, notes = "", []
                elif found and each.line in DIVIDING:
                    last = found[-1]
                    found[-1] = Piece(last.number, last.notes, last.before, _both(last.after, each.line), last.ending)
                before = _both(before, each.line)
                if each.line in DIVIDING:
                    ending = None
    return found


def _both(one: str, other: str) -> str:
    """Two bar lines with nothing between them, as one."""
    ends, begins = one in (":|", "::") or other in (":|", "::"), one in ("|:", "::") or other in ("|:", "::")
    if ends or begins:
        return "::" if ends and begins else ":|" if ends else "|:"
    return one if one in DIVIDING else other


def played(of: list[Piece]) -> list[Piece]:
    """Pieces in the order in which they sound: what a repeat sign ends is heard twice, from where its part begins.

    Raises InputError for a second ending without a first.
    """
    order: list[Piece] = []
    start, at = 0, 0
    second = False
    while at < len(of):
        piece = of[at]
        if piece.ending == 1 and second:  # the second time: on to the second ending
            while at < len(of) and of[at].ending == 1:
                at += 1
            second, start = False, at
            continue
        order.append(piece)
        if piece.after in (":|", "::") and not second and piece.ending != 2:
            second, at = True, start
            continue
        at += 1
        if piece.after in DIVIDING and not (at < len(of) and of[at].ending == 2):
            second, start = False, at
    return order


def faults(tune: Tune) -> list[str]:
    """What is wrong with its bars, in the order in which one hears it; each fault once."""
    try:
        order = played(pieces(tune.elements()))
    except InputError as error:
        return [str(error)]
    if not order:
        return ["there are no notes"]
    found, full = [], tune.bar
    anacrusis = {full - order[0].length}
    at = 0
    if order[0].length < full and len(order) > 1:
        at = 1
    while at < len(order):
        piece, last = order[at], at == len(order) - 1
        if piece.before in DIVIDING or (at and order[at - 1].after in DIVIDING):
            anacrusis |= {full - piece.length}
        divided = piece.after in DIVIDING
        if piece.length == full:
            pass
        elif not last and divided and piece.length + order[at + 1].length == full:
            at += 1
            anacrusis |= {piece.length}
        elif not (last and piece.length in anacrusis):
            found.append(f"bar {piece.number}: {_units(piece.length)} instead of {_units(full)}")
        at += 1
    return list(dict.fromkeys(found))


def _units(length: Fraction) -> str:
    return f"{length} unit{'s' * (length != 1)}"
