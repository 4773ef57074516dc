"""Prefix beam search over the outputs of connectionist temporal classification, as they come.

A text is a row of ``texts`` [width, COLUMNS], and one of ``undecided`` [width, most, 3]: its symbols that are not
decided yet, each with the frame where its output was largest, and that output. What is decided is the same in all.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ostinato.kernels.compiler import kernel, part

BLANK, SYMBOL, LENGTH, LAST, CONTEXT, HOTWORD = 0, 1, 2, 3, 4, 5
"""Columns of a text: the chances of its alignments that end in a blank, and of those that end in its last symbol; how
many symbols are undecided; the last one, decided or not, or the blank if there is none; where it is in the automaton
of the language model, and in that of the hotwords."""
COLUMNS = 6
INDEX, FRAME, OUTPUT = 0, 1, 2
"""What is kept of an undecided symbol."""
ANEW = 2
"""Behind the chances of a text to which nothing is added."""
TOTAL, PARENT, ADDED, CHANCE = 0, 1, 2, 3
"""Columns of a candidate for the next texts: how likely it is, which text it goes on with and by which symbol (the
blank: by none), and the chance of that."""


@part
def _child(parent: int, symbol: int, count: int, texts: Any, undecided: Any) -> int:
    """Which of the texts is text ``parent`` and this symbol; -1 if none is."""
    length = np.int64(texts[parent, LENGTH])
    for j in range(count):
        if texts[j, LENGTH] == length + 1 and texts[j, LAST] == symbol:
            n = 0
            while n < length and undecided[j, n, INDEX] == undecided[parent, n, INDEX]:
                n += 1
            if n == length:
                return j
    return -1


@part
def _insert(total: float, parent: int, symbol: int, chance: float, ranked: Any, found: int) -> Any:
    """A candidate in its place among the ``found`` best ones, behind equal ones; returns how many there are then."""
    width, at = ranked.shape[0], found
    while at > 0 and ranked[at - 1, TOTAL] < total:
        at -= 1
    if at == width:
        return found
    last = min(found, width - 1)
    for n in range(last, at, -1):
        for column in range(ranked.shape[1]):
            ranked[n, column] = ranked[n - 1, column]
    ranked[at, TOTAL], ranked[at, PARENT], ranked[at, ADDED], ranked[at, CHANCE] = total, parent, symbol, chance
    return last + 1


@part
def _copy(source_texts: Any, source: Any, i: int, texts: Any, undecided: Any, j: int) -> Any:
    """Text i of the one becomes text j of the other; returns how many of its symbols are undecided."""
    length = np.int64(source_texts[i, LENGTH])
    for column in range(texts.shape[1]):
        texts[j, column] = source_texts[i, column]
    for n in range(length):
        for column in range(undecided.shape[2]):
            undecided[j, n, column] = source[i, n, column]
    return length


@part
def _rank(
    row: Any, blank: int, least: float, count: int, scores: Any, boosts: Any, texts: Any, undecided: Any, stays: Any,
    ranked: Any,
) -> int:  # fmt: skip
    """The likeliest texts after one more frame into ``ranked``, the best first; returns how many there are.
    ``stays`` [width, 3] becomes the chances of texts to which nothing is added, and which text each has come from, if
    its last symbol has more likely come with this frame than before (-1: it has not)."""
    found = 0
    for i in range(count):
        both, last = texts[i, BLANK] + texts[i, SYMBOL], np.int64(texts[i, LAST])
        stays[i, BLANK] = both * row[blank]
        stays[i, SYMBOL] = texts[i, SYMBOL] * row[last] if last != blank else 0.0
        stays[i, ANEW] = -1
    for i in range(count):
        last, context, place = np.int64(texts[i, LAST]), np.int64(texts[i, CONTEXT]), np.int64(texts[i, HOTWORD])
        for k in range(row.shape[0]):
            if k == blank or row[k] < least:
                continue
            before = texts[i, BLANK] if k == last else texts[i, BLANK] + texts[i, SYMBOL]
            chance = before * row[k] * scores[context, k] * boosts[place, k]
            if not chance > 0.0:
                continue
            child = _child(i, k, count, texts, undecided)
            if child >= 0:
                if chance > stays[child, SYMBOL]:
                    stays[child, ANEW] = i
                stays[child, SYMBOL] += chance
            else:
                found = _insert(chance, i, k, chance, ranked, found)
    for i in range(count):
        total = stays[i, BLANK] + stays[i, SYMBOL]
        if total > 0.0:
            found = _insert(total, i, blank, 0.0, ranked, found)
    return found


@part
def _grow(
    row: Any, frame: int, blank: int, threshold: float, found: int, contexts: Any, places: Any, stays: Any,
    ranked: Any, old_texts: Any, old: Any, texts: Any, undecided: Any,
) -> int:  # fmt: skip
    """The texts of the ``found`` candidates, their chances as shares of the best one's; returns how many are likely
    enough."""
    best = ranked[0, TOTAL]
    for j in range(found):
        if ranked[j, TOTAL] < threshold * best:
            return j
        i, symbol = np.int64(ranked[j, PARENT]), np.int64(ranked[j, ADDED])
        length = _copy(old_texts, old, i, texts, undecided, j)
        if symbol == blank:
            texts[j, BLANK], texts[j, SYMBOL] = stays[i, BLANK] / best, stays[i, SYMBOL] / best
            output, parent = row[np.int64(texts[j, LAST])], np.int64(stays[i, ANEW])
            if parent >= 0:
                for n in range(length - 1):
                    undecided[j, n, FRAME], undecided[j, n, OUTPUT] = old[parent, n, FRAME], old[parent, n, OUTPUT]
            spoken = length > 0 and old_texts[i, SYMBOL] >= old_texts[i, BLANK]
            if parent >= 0 or (spoken and output > undecided[j, length - 1, OUTPUT]):
                undecided[j, length - 1, FRAME], undecided[j, length - 1, OUTPUT] = frame, output
        else:
            undecided[j, length, INDEX], undecided[j, length, FRAME] = symbol, frame
            undecided[j, length, OUTPUT] = row[symbol]
            texts[j, BLANK], texts[j, SYMBOL] = 0.0, ranked[j, CHANCE] / best
            texts[j, LENGTH], texts[j, LAST] = length + 1, symbol
            texts[j, CONTEXT] = contexts[np.int64(old_texts[i, CONTEXT]), symbol]
            texts[j, HOTWORD] = places[np.int64(old_texts[i, HOTWORD]), symbol]
    return found


@part
def _says(text: int, at: int, symbol: float, texts: Any, undecided: Any) -> Any:
    """Whether undecided symbol number ``at`` of a text is this one."""
    return texts[text, LENGTH] > at and undecided[text, at, INDEX] == symbol


@part
def _decide(oldest: int, count: int, texts: Any, undecided: Any, decided: Any, found: int) -> tuple[int, int]:
    """Decide what comes before frame ``oldest`` as the best text has it, and what all texts agree on; returns how
    many texts are left, and how many decided symbols there are."""
    at = 0
    while texts[0, LENGTH] > at:
        symbol = undecided[0, at, INDEX]
        if undecided[0, at, FRAME] < oldest:
            kept = 1
            for j in range(1, count):
                if _says(j, at, symbol, texts, undecided):
                    _copy(texts, undecided, j, texts, undecided, kept)
                    kept += 1
            count = kept
        else:
            j = 1
            while j < count and _says(j, at, symbol, texts, undecided):
                j += 1
            if j < count:
                break
        for column in range(undecided.shape[2]):
            decided[found, column] = undecided[0, at, column]
        found += 1
        at += 1
    kept = 1
    for j in range(1, count):
        if not (texts[j, LENGTH] > at and undecided[j, at, FRAME] < oldest):
            _copy(texts, undecided, j, texts, undecided, kept)
            kept += 1
    if at:
        for j in range(kept):
            length = np.int64(texts[j, LENGTH]) - at
            texts[j, LENGTH] = length
            for n in range(length):
                for column in range(undecided.shape[2]):
                    undecided[j, n, column] = undecided[j, n + at, column]
    return kept, found


@kernel(
    "void(float32[:, ::1], int64, int64, int64, float64, float64, float32[:, ::1], uint16[:, ::1], float32[:, ::1], "
    "uint16[:, ::1], float64[:, ::1], float64[:, :, ::1], float64[:, ::1], float64[:, :, ::1], float64[:, ::1], "
    "float64[:, ::1], float64[:, ::1], int64[::1])"
)
def search(
    outputs: Any, first: int, blank: int, lag: int, least: float, threshold: float, scores: Any, contexts: Any,
    boosts: Any, places: Any, texts: Any, undecided: Any, work_texts: Any, work: Any, stays: Any, ranked: Any,
    decided: Any, counts: Any,
) -> None:  # fmt: skip
    """Goes on with texts by the rows of ``outputs`` [n, symbols], frames ``first``, first + 1, …

    Algorithm 1 of Hannun et al. (2014), with its probabilities as they are, divided by the best text's after each
    frame; ``scores`` and ``boosts`` [state, symbol] are what a symbol's chance is multiplied with, by the states of
    two automata, ``contexts`` and ``places`` the states that follow. Symbols of less than ``least``, and texts of
    less than ``threshold`` of the best one, are not looked at. Of equal ones the earlier counts. A frame that leaves
    no text any chance says nothing.

    ``counts`` [2]: how many texts there are, which changes; and becomes how many symbols are ``decided`` [n + lag +
    1, 3], as `undecided` has them, of which a text has lag + 1 at most. All others are room.
    """
    count, found = counts[0], 0
    for r in range(outputs.shape[0]):
        row, frame = outputs[r], first + r
        candidates = _rank(row, blank, least, count, scores, boosts, texts, undecided, stays, ranked)
        if candidates:
            count = _grow(
                row, frame, blank, threshold, candidates, contexts, places, stays, ranked, texts, undecided,
                work_texts, work,
            )  # fmt: skip
            for j in range(count):
                _copy(work_texts, work, j, texts, undecided, j)
        count, found = _decide(frame - lag + 1, count, texts, undecided, decided, found)
    counts[0], counts[1] = count, found
