"""The pieces of words in which texts are read and written: pairs of pieces that stand beside each other most often
become one, again and again (byte-pair encoding: Sennrich et al. 2016, "Neural machine translation of rare words with
subword units"). Both languages share them, so that a name is divided alike in both."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from heapq import heapify, heappop, heappush
from itertools import pairwise
from typing import TypeAlias

from ostinato.model.front_ends import Tokens

UNKNOWN, MARK = "<unk>", " "
"""What stands for a character that is not known; what a word begins with."""
LEAST = 5
"""How often a character is there at least, to be known."""
_RUN = re.compile(r" ?[^\W\d_]+| ?\d| ?[^\w\s]| ?_")
"""Letters, a digit, a sign: no piece has two of them."""

Pieces: TypeAlias = tuple[str, ...]
Pair: TypeAlias = tuple[str, str]


def found(texts: Iterable[str], most: int) -> Pieces:
    """The unknown, the mark, all characters that are there often enough, and so many pieces together."""
    runs = Counter(run for text in texts for word in text.split() for run in _RUN.findall(MARK + word))
    characters = Counter[str]()
    for run, count in runs.items():
        for character in run:
            characters[character] += count
    known = sorted(each for each, count in characters.items() if count >= LEAST and each != MARK)
    first = [UNKNOWN, MARK, *known]
    return tuple(dict.fromkeys([*first, *_merged(runs, most - len(first))]))


def _merged(runs: Counter[str], most: int) -> list[str]:
    """The first so many pieces that pairs become, those that are there most often first."""
    words = [(list(run), count) for run, count in sorted(runs.items())]
    counts, where = Counter[Pair](), defaultdict[Pair, set[int]](set)
    for number, (word, count) in enumerate(words):
        for pair in pairwise(word):
            counts[pair] += count
            where[pair].add(number)
    heap = [(-count, pair) for pair, count in counts.items() if count > 1]
    heapify(heap)
    made: list[str] = []
    while len(made) < most and heap:
        count, best = heappop(heap)
        if -count != counts[best]:  # it has changed since, and stands there again
            continue
        made.append("".join(best))
        changed = set[Pair]()
        for number in where.pop(best):
            word, count = words[number]
            for pair in pairwise(word):
                counts[pair] -= count
                changed.add(pair)
            word[:] = _joined(word, best)
            for pair in pairwise(word):
                counts[pair] += count
                where[pair].add(number)
                changed.add(pair)
        for pair in changed:
            if counts[pair] > 1:
                heappush(heap, (-counts[pair], pair))
    return made


def _joined(word: Sequence[str], pair: Pair) -> list[str]:
    """A word's pieces, the two of ``pair`` as one wherever they stand beside each other."""
    made: list[str] = []
    for piece in word:
        if made and (made[-1], piece) == pair:
            made[-1] = made[-1] + piece
        else:
            made.append(piece)
    return made


def reading(pieces: Pieces) -> Tokens:
    """The front end that divides texts into them, the longest ones first."""
    return Tokens(pieces, "piece", unknown=0, lowercase=True, mark=MARK)
