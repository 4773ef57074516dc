"""How far what was recognised is from what was said."""

from __future__ import annotations

from collections.abc import Hashable, Sequence


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
