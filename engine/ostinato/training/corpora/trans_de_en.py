"""The German-English dictionary of Ding (Frank Richter, TU Chemnitz): words, phrases and sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from ostinato.packages import Deb
from ostinato.training.corpora.corpus import Corpus, Files, Part, lines

FILE = "usr/share/trans/de-en"
CORPORA = {
    "trans-de-en": Corpus(
        "trans-de-en",
        "German-English pairs: words, phrases, and some 20,000 sentences",
        "GPL-2+",
        (
            Part(
                Deb("trans-de-en", "1.9-6", "GPL-2+", 6_276_816),
                (FILE,),
                "34052c6021d09eadfee7a893a789204265954df70fe9c36d38fa00058d79d326",
            ),
        ),
    )
}
_NOTES = re.compile(r"\{[^}]*\}|\[[^\]]*\]|<[^>]*>")
"""Genders, fields, cross references."""


class Pair(NamedTuple):
    """``entry``: the line of the dictionary that it is of, from 0: what is alike stands in one."""

    entry: int
    german: str
    english: str


def read(files: Files) -> list[Pair]:
    """All pairs, in the order of the dictionary; of several translations the first, without notes on grammar."""
    return [
        pair
        for entry, line in enumerate(lines(files[FILE]))
        if not line.startswith("#")
        for pair in _pairs(entry, line)
    ]


def _pairs(entry: int, line: str) -> Iterator[Pair]:
    german, _, english = line.partition("::")
    sides = german.split("|"), english.split("|")
    if len(sides[0]) != len(sides[1]):
        return
    for one, other in zip(*sides, strict=True):
        pair = Pair(entry, _first(one), _first(other))
        if pair.german and pair.english:
            yield pair


def _first(text: str) -> str:
    """The first of several translations."""
    return " ".join(_NOTES.sub(" ", text).partition(";")[0].split())
