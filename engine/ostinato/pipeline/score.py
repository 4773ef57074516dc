"""How far what was recognised is from what was said."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

S = TypeVar("S", bound=Hashable)
Pair: TypeAlias = tuple[S | None, S | None]
"""(said, heard): equal, or a substitution; (said, None) is a deletion, (None, heard) an insertion."""
BOTH, DELETION, INSERTION = range(3)


@dataclass(frozen=True, slots=True)
class Errors:
    """The errors of recognising ``symbols`` spoken symbols. Those of several recordings may be added."""

    symbols: int = 0
    substitutions: int = 0
    insertions: int = 0
    deletions: int = 0

    @property
    def total(self) -> int:
        """All errors: the edit distance."""
        return self.substitutions + self.insertions + self.deletions

    @property
    def rate(self) -> float:
        """Errors per spoken symbol; may exceed 1. Where nothing was said, the number of errors."""
        return self.total / max(1, self.symbols)

    def __add__(self, other: Errors) -> Errors:
        return Errors(
            self.symbols + other.symbols,
            self.substitutions + other.substitutions,
            self.insertions + other.insertions,
            self.deletions + other.deletions,
        )


def count(pairs: Iterable[Pair[S]]) -> Errors:
    """The errors of an alignment."""
    symbols = substitutions = insertions = deletions = 0
    for said, heard in pairs:
        symbols += said is not None
        if said is None:
            insertions += 1
        elif heard is None:
            deletions += 1
        else:
            substitutions += said != heard
    return Errors(symbols, substitutions, insertions, deletions)


def align(
    reference: Sequence[S], hypothesis: Sequence[S], away: Callable[[int, int], float] | None = None
) -> list[Pair[S]]:
    """Who stands for whom, in order: an alignment with the fewest errors (`edit_distance`) and, of these, one with
    the most symbols right. Of several such, as there are where symbols repeat, the one whose pairs (i, j) have the
    least sum of ``away(i, j)``, from 0 to 1, if that is given. Symbols are never None.

    Takes a byte for each pair of symbols (the whole of Wagner and Fischer's table, 1974), and time in proportion.
    """
    # Costs are (errors, symbols right) as one number, so that fewer errors always win; so that what ``away`` adds in
    # all stays below 1, it is divided by as much.
    error, right = float(len(reference) + len(hypothesis) + 1), -1.0
    row = [error * j for j in range(len(hypothesis) + 1)]
    moves = [bytes([INSERTION]) * len(row)]
    for i, said in enumerate(reference):
        diagonal, row[0] = row[0], error * (i + 1)
        came = bytearray([DELETION]) * len(row)
        for j, heard in enumerate(hypothesis):
            cost, move = diagonal + (right if said == heard else error), BOTH
            if away is not None:
                cost += away(i, j) / error
            if row[j + 1] + error < cost:
                cost, move = row[j + 1] + error, DELETION
            if row[j] + error < cost:
                cost, move = row[j] + error, INSERTION
            diagonal, row[j + 1], came[j + 1] = row[j + 1], cost, move
        moves.append(bytes(came))
    pairs: list[Pair[S]] = []
    i, j = len(reference), len(hypothesis)
    while i or j:
        move = moves[i][j]
        i, j = i - (move != INSERTION), j - (move != DELETION)
        pairs.append((None if move == INSERTION else reference[i], None if move == DELETION else hypothesis[j]))
    return pairs[::-1]


def edit_distance(reference: Sequence[Hashable], hypothesis: Sequence[Hashable]) -> int:
    """The least number of substitutions, deletions and insertions that turn one into the other (Levenshtein 1966)."""
    row = list(range(len(hypothesis) + 1))
    for i, wanted in enumerate(reference, 1):
        diagonal, row[0] = row[0], i
        for j, found in enumerate(hypothesis, 1):
            diagonal, row[j] = row[j], min(diagonal + (wanted != found), row[j] + 1, row[j - 1] + 1)
    return row[-1]


def error_rate(reference: Sequence[Hashable], hypothesis: Sequence[Hashable]) -> float:
    """`edit_distance` per symbol of the reference: the word error rate, if symbols are words. May exceed 1.

    Of an empty reference: 0 if the hypothesis is empty too, else the number of its symbols. Give lists of symbols,
    not strings, unless each character is one.
    """
    return edit_distance(reference, hypothesis) / max(1, len(reference))
