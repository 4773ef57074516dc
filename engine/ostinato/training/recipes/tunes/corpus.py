"""Tunes to learn from and to test on: read, cleaned, and divided so that no test tune has a variant that was learnt.

Collections copied from each other, and one tune goes by several titles. So tunes are first joined into *families*: by
equal titles, and by melodies that share their turns. A family is on one side, which a hash of its titles says: the
same one on each machine, whatever else is in the corpus.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ostinato.errors import InputError
from ostinato.notation import Tune, faults
from ostinato.notation.cleaning import cleaned, title_of
from ostinato.notation.tune import Note, element

LONGEST = 512
"""Tokens of a tune."""
TURN = 8
"""Intervals of a turn of melody, by which variants are known."""
ALIKE = 0.25
"""Share of the shorter tune's turns that makes two tunes variants."""
COMMON = 12
"""A turn that more tunes have says nothing: scales, arpeggios."""
SIDES = ("train", "validation", "test")
_TEST, _VALIDATION = 6, 6
"""Of 100 families."""


@dataclass(frozen=True)
class Found:
    """A tune, where it comes from, and its title."""

    tune: Tune
    title: str
    collection: str


@dataclass(frozen=True)
class Corpus:
    """``sides``: tunes to learn from, to choose by, and to test on. ``left_out``: how many were, by the reason."""

    sides: Mapping[str, tuple[Found, ...]]
    left_out: Mapping[str, int]

    @property
    def digest(self) -> str:
        """Of all tunes, and on which side each is."""
        found = hashlib.sha256()
        for side, tunes in self.sides.items():
            found.update("\n".join([side, *(" ".join(each.tune.tokens) for each in tunes)]).encode())
        return found.hexdigest()


def chosen(books: Mapping[str, Iterable[str]]) -> Corpus:
    """The tunes of collections, each an ABC text, by the collection's name.

    Only those whose bars add up, so that what is learnt is how tunes are, and not how transcribers slip.
    """
    found: dict[tuple[str, ...], Found] = {}
    why: Counter[str] = Counter()
    for collection, abc in ((name, abc) for name, book in sorted(books.items()) for abc in book):
        try:
            tune = cleaned(abc)
        except InputError:
            why["not one plain melody"] += 1
            continue
        if faults(tune):
            why["bars that do not add up"] += 1
        elif len(tune.tokens) > LONGEST:
            why[f"more than {LONGEST} tokens"] += 1
        elif tune.tokens in found:
            why["twice"] += 1
        else:
            found[tune.tokens] = Found(tune, title_of(abc), collection)
    return Corpus(divided(list(found.values())), why)


def divided(tunes: Sequence[Found]) -> dict[str, tuple[Found, ...]]:
    """Tunes by side, each family on one."""
    sides: dict[str, list[Found]] = {side: [] for side in SIDES}
    for family in families(tunes):
        name = min(name_of(tunes[i].title) for i in family)
        place = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % 100
        side = "test" if place < _TEST else "validation" if place < _TEST + _VALIDATION else "train"
        sides[side] += [tunes[i] for i in family]
    return {side: tuple(each) for side, each in sides.items()}


def families(tunes: Sequence[Found]) -> list[list[int]]:
    """Places of tunes that are variants of each other, or go by one title."""
    parent = list(range(len(tunes)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    named: dict[str, int] = {}
    having: dict[tuple[int, ...], list[int]] = defaultdict(list)
    sizes = []
    for i, each in enumerate(tunes):
        if name := name_of(each.title):
            parent[root(i)] = root(named.setdefault(name, i))
        mine = turns(each.tune)
        sizes.append(len(mine))
        for turn in mine:
            having[turn].append(i)
    shared: Counter[tuple[int, int]] = Counter()
    for holders in having.values():
        if len(holders) <= COMMON:
            shared.update((a, b) for place, a in enumerate(holders) for b in holders[place + 1 :])
    for (a, b), count in shared.items():
        if count >= ALIKE * min(sizes[a], sizes[b]):
            parent[root(a)] = root(b)
    found: dict[int, list[int]] = defaultdict(list)
    for i in range(len(tunes)):
        found[root(i)].append(i)
    return list(found.values())


def turns(tune: Tune) -> set[tuple[int, ...]]:
    """All runs of TURN intervals, in diatonic steps: what a tune keeps in another key, metre or mode."""
    steps = [of.step for of in map(element, tune.body) if isinstance(of, Note)]
    intervals = [after - before for before, after in pairwise(steps)]
    return {tuple(intervals[i : i + TURN]) for i in range(len(intervals) - TURN + 1)}


def name_of(title: str) -> str:
    """A title without what varies: articles, the dance, capitals, punctuation."""
    words = re.findall(r"[a-z0-9]+", title.lower().replace("'", ""))
    dances = {"reel", "jig", "hornpipe", "strathspey", "clog", "slipjig", "march", "waltz", "air", "the", "a", "an"}
    return " ".join(word for word in words if word not in dances)
