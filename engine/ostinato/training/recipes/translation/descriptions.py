"""The descriptions that are learnt from and those that tell how well, with what is alike on one side."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from ostinato.training.corpora.descriptions import Pair

Part = Literal["learnt", "validation", "test"]
COMMON = 50
"""A word that so many texts have says little of what a text is about."""
LONGEST = 16
"""Words of a text, and signs."""
_WORD = re.compile(r"[^\W\d_]+")
_TOKEN = re.compile(r"\w+|[^\w\s]")


class Text(NamedTuple):
    """An English text and an Italian one, both lower case."""

    english: str
    italian: str


def divided(pairs: Iterable[Pair]) -> dict[Part, list[Text]]:
    """The texts by part, each English one once, of `LONGEST` words and signs at most. Texts with the same `subject`
    are in one part: a library, its documentation and what is for its developers among them."""
    texts: dict[str, Text] = {}
    for pair in pairs:
        english, italian = (" ".join(each.lower().split()) for each in (pair.english, pair.italian))
        if all(1 <= len(words_of(each)) <= LONGEST for each in (english, italian)) and english != italian:
            texts.setdefault(english, Text(english, italian))
    common = common_words(list(texts))
    found: dict[Part, list[Text]] = {"learnt": [], "validation": [], "test": []}
    for text in texts.values():
        found[part_of(subject(text.english, common))].append(text)
    return found


def words_of(text: str) -> list[str]:
    """Its words and signs."""
    return _TOKEN.findall(text)


def common_words(texts: Sequence[str]) -> frozenset[str]:
    """The words that `COMMON` texts have."""
    counts = Counter(word for text in texts for word in set(_WORD.findall(text)))
    return frozenset(word for word, count in counts.items() if count >= COMMON)


def subject(text: str, common: frozenset[str]) -> str:
    """What a text is about: its words without the common ones, in order of the alphabet, each once; all of its words
    where all are common."""
    words = set(_WORD.findall(text))
    return " ".join(sorted(words - common or words)) or text


def part_of(subject: str) -> Part:
    """Where texts of a subject belong, by its hash alone."""
    number = int.from_bytes(hashlib.sha256(subject.encode()).digest()[:8], "big") % 100
    return "test" if number < 5 else "validation" if number < 7 else "learnt"
