"""The words of the dictionary, divided into those that are learnt and those that tell how well."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

END = "</w>"
"""What a word ends with: the front end puts it there."""
LETTERS = ("'", *"abcdefghijklmnopqrstuvwxyz", END)
PHONEMES = tuple(
    [
        "AA",
        "AE",
        "AH",
        "AO",
        "AW",
        "AY",
        "B",
        "CH",
        "D",
        "DH",
        "EH",
        "ER",
        "EY",
        "F",
        "G",
        "HH",
        "IH",
        "IY",
        "JH",
        "K",
        "L",
        "M",
        "N",
        "NG",
        "OW",
        "OY",
        "P",
        "R",
        "S",
        "SH",
        "T",
        "TH",
        "UH",
        "UW",
        "V",
        "W",
        "Y",
        "Z",
        "ZH",
    ]
)
"""Of the dictionary (ARPAbet), without stress."""
_WORD = re.compile(r"[a-z']*[a-z][a-z']*")

Part = Literal["learnt", "validation", "test"]
Phonemes = tuple[str, ...]


class Entry(NamedTuple):
    """A word, and how people say it: each of these is right."""

    word: str
    said: tuple[Phonemes, ...]


def part_of(word: str) -> Part:
    """Where a word belongs, by a hash of it alone: so it is the same in each run, and whatever else there is. A word
    and its possessive stay together."""
    number = int.from_bytes(hashlib.sha256(word.removesuffix("'s").encode()).digest()[:8], "big") % 100
    return "test" if number < 5 else "validation" if number < 7 else "learnt"


def divided(words: Mapping[str, Sequence[Phonemes]]) -> dict[Part, list[Entry]]:
    """The words by part, sorted; those with other signs than letters are left out."""
    found: dict[Part, list[Entry]] = {"learnt": [], "validation": [], "test": []}
    for word in sorted(words):
        if _WORD.fullmatch(word):
            said = (tuple(phoneme.rstrip("012") for phoneme in each) for each in words[word])
            found[part_of(word)].append(Entry(word, tuple(dict.fromkeys(said))))
    return found
