"""The pairs of the dictionary that are short texts, and the tokens that they are read and written in."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import numpy as np

from ostinato.model.front_ends import Tokens
from ostinato.pipeline import front_end
from ostinato.training.corpora.trans_de_en import Pair
from ostinato.training.encoder_decoder import Ids

Part = Literal["learnt", "validation", "test"]
LONGEST = 12
"""Words of a text, and signs, that is learnt."""
UNKNOWN = "<unk>"
_TOKEN = re.compile(r"\w+(?:[’']\w+)?|[^\w\s]")
_NOTE = re.compile(r"\([^)]*\)|/\S+")
"""What is no part of a sentence, and what else could be said."""


class Text(NamedTuple):
    """A German text and an English one, both lower case, their tokens with spaces between. ``sentence``: whether it
    is one, and no phrase."""

    german: str
    english: str
    sentence: bool


def part_of(pair: Pair) -> Part:
    """Where a pair belongs, by a hash of its entry of the dictionary, in which similar ones stand."""
    number = int.from_bytes(hashlib.sha256(str(pair.entry).encode()).digest()[:8], "big") % 100
    return "test" if number < 5 else "validation" if number < 7 else "learnt"


def divided(pairs: Iterable[Pair]) -> dict[Part, list[Text]]:
    """The texts of two words at least and `LONGEST` at most, by part; each German text once, and those that are
    tested or judged by nowhere else. These are sentences only."""
    found: dict[Part, dict[str, Text]] = {"learnt": {}, "validation": {}, "test": {}}
    for pair in pairs:
        german, english = tokenised(pair.german), tokenised(pair.english)
        if all(2 <= len(each.split()) <= LONGEST for each in (german, english)):
            sentence = all(each.endswith((".", "!", "?")) for each in (german, english))
            found[part_of(pair)].setdefault(german, Text(german, english, sentence))
    held = {part: {g: t for g, t in found[part].items() if t.sentence} for part in ("test", "validation")}
    held["validation"] = {g: t for g, t in held["validation"].items() if g not in held["test"]}
    kept = {g: t for g, t in found["learnt"].items() if g not in held["test"] and g not in held["validation"]}
    return {
        "learnt": list(kept.values()), "validation": list(held["validation"].values()),
        "test": list(held["test"].values()),
    }  # fmt: skip


def tokenised(text: str) -> str:
    """Words and signs, with spaces between."""
    return " ".join(_TOKEN.findall(_NOTE.sub(" ", text).lower()))


def words_written(texts: Sequence[str], most: int) -> tuple[str, ...]:
    """The most frequent words, behind what stands for all others."""
    counts = Counter(word for text in texts for word in text.split())
    return (UNKNOWN, *(word for word, _ in counts.most_common(most)))


def pieces_read(texts: Sequence[str], most: int, parts: int) -> tuple[str, ...]:
    """Of what words are read: the ``most`` frequent ones; of all others the beginnings and ends, of three characters
    to eight, that are there most often, so many ``parts`` together; and all characters."""
    counts = Counter(word for text in texts for word in text.split())
    known = [word for word, _ in counts.most_common(most)]
    rare = counts.keys() - set(known)
    pieces: Counter[str] = Counter()
    for word in rare:
        for length in range(3, min(9, len(word))):
            pieces[word[:length]] += 1
            pieces[word[-length:]] += 1
    likely = [piece for piece, _ in sorted(pieces.items(), key=lambda each: (-each[1] * len(each[0]), each[0]))]
    characters = sorted({character for word in counts for character in word})
    return tuple(dict.fromkeys((UNKNOWN, *known, *likely[:parts], *characters)))


def tokens(reads: Tokens, text: str) -> Ids:
    """The ids of a text's pieces, as the model's front end makes them."""
    reader = front_end(reads, {})
    state = reader.start()
    return np.concatenate([reader.step(state, text), reader.flush(state)])[:, 0].astype(np.int64)
