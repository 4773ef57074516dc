"""Language models of symbols, learnt by counting: n-grams with back-off, as the automaton that `CtcBeam` has; and two
of them as one."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ostinato.errors import TrainingError

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
History = tuple[int, ...]
START = -1
"""What stands before a text."""


class Ngram(NamedTuple):
    """What `CtcBeam` takes: ``scores`` [contexts, symbols], ln P(symbol | context), and ``contexts`` [contexts,
    symbols], the context after it. Texts begin in context 0."""

    scores: F32
    contexts: F32

    def bits(self, texts: Sequence[Sequence[int]]) -> float:
        """Cross-entropy in bits a symbol of texts, which are not empty together."""
        total, count = 0.0, 0
        for text in texts:
            context = 0
            for symbol in text:
                total -= float(self.scores[context, symbol])
                context, count = int(self.contexts[context, symbol]), count + 1
        return total / count / math.log(2)


def ngram(
    texts: Sequence[Sequence[int]], symbols: int, *, space: int | None = None, blank: int = 0, order: int = 5,
    least: int = 2, discount: float = 0.75,
) -> Ngram:  # fmt: skip
    """Learn from texts, sequences of symbols from 0 to ``symbols`` - 1 without ``blank``.

    Interpolated Kneser-Ney smoothing with one discount D (Kneser and Ney 1995; Chen and Goodman 1998, section 2.7):

        P(k | h) = max(c(h k) - D, 0) / c(h) + D N(h) / c(h) P(k | h')

    h' is h without its first symbol, N(h) how many different symbols follow h; below the empty history any symbol is
    as likely as another. c counts how often h k is there if h has ``order`` - 1 symbols or begins a text, else how
    many different ones come before it. Histories that are there less than ``least`` times are left out. If there is
    a ``space``, each text stands between two. Raises TrainingError if there is no symbol to learn from.
    """
    border = () if space is None else (space,)
    whole: defaultdict[History, Counter[int]] = defaultdict(Counter)
    before: defaultdict[History, defaultdict[int, set[int]]] = defaultdict(lambda: defaultdict(set))
    opening: set[History] = set()
    for text in texts:
        line = (*border, *text, *border)
        for at in range(len(border), len(line)):
            for first in range(max(0, at - order + 1), at + 1):
                history = line[first:at]
                whole[history][line[at]] += 1
                before[history][line[at]].add(line[first - 1] if first else START)
                if not first:
                    opening.add(history)
    if not whole:
        raise TrainingError("there are no texts to learn a language model from: give one that is not empty")
    kept = sorted((h for h, found in whole.items() if not h or found.total() >= least), key=lambda h: (len(h), h))
    start = max((h for h in ((), border) if h in kept), key=len)
    kept.remove(start)
    number = {history: i for i, history in enumerate([start, *kept])}

    chances = np.zeros((len(number), symbols))
    uniform = np.full(symbols, 1 / (symbols - 1))
    uniform[blank] = 0
    for history in sorted(number, key=len):
        counts = np.zeros(symbols)
        raw = len(history) == order - 1 or (history and history in opening)
        for symbol, found in whole[history].items():
            counts[symbol] = found if raw else len(before[history][symbol])
        shorter = chances[number[history[1:]]] if history else uniform
        taken = np.minimum(counts, discount)
        chances[number[history]] = (counts - taken + taken.sum() * shorter) / counts.sum()
    with np.errstate(divide="ignore"):
        scores = np.maximum(np.log(chances), -1e4).astype(np.float32)

    contexts = np.zeros(scores.shape, np.float32)
    for history, row in number.items():
        for symbol in range(symbols):
            after = (*history, symbol)[-(order - 1) :] if order > 1 else ()
            while after not in number:
                after = after[1:]
            contexts[row, symbol] = number[after]
    return Ngram(scores, contexts)


def mixed(one: Ngram, other: Ngram, share: float) -> Ngram:
    """A language model that gives each symbol ``share`` times the chance that ``one`` gives it, and the rest of the
    chance that ``other`` does, both of the same symbols: linear interpolation (Jelinek and Mercer 1980).

    Its contexts are the pairs of theirs that a text can come to: of n-grams that are not more than both have
    together. Raises TrainingError for a share that is not from 0 to 1."""
    if not 0 <= share <= 1:
        raise TrainingError(f"share = {share} is not from 0 to 1")
    width = len(other.scores)
    after_one, after_other = one.contexts.astype(np.int64), other.contexts.astype(np.int64)
    new = reached = np.zeros(1, np.int64)
    pairs = [new]
    while len(new):
        found = np.unique(after_one[new // width] * width + after_other[new % width])
        new = np.setdiff1d(found, reached, assume_unique=True)
        reached = np.union1d(reached, new)
        pairs.append(new)
    pair = np.concatenate(pairs)
    first, second = np.divmod(pair, width)
    chances = share * np.exp(one.scores[first].astype(np.float64))
    chances += (1 - share) * np.exp(other.scores[second].astype(np.float64))
    with np.errstate(divide="ignore"):
        scores = np.maximum(np.log(chances), -1e4).astype(np.float32)
    order = np.argsort(pair)
    following = after_one[first] * width + after_other[second]
    contexts = order[np.searchsorted(pair[order], following)].astype(np.float32)
    return Ngram(scores, contexts)
