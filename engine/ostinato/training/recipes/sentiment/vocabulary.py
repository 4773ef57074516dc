"""The pieces of words that the models know: frequent words and marks, and single characters for all others."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from ostinato.model.front_ends import Tokens
from ostinato.pipeline.front_ends import FRONT_ENDS

UNKNOWN = "<unk>"
LONGEST = 100
"""Pieces of a sentence that are learnt from."""
_PARTS = re.compile(r"[a-z0-9]+(?:'[a-z]+)?|[^\w\s]+")
"""Words, with what an apostrophe joins to them, and runs of marks: "!!!", ":-)"."""
_CHARACTERS = tuple(map(chr, range(0x21, 0x7F)))


def words(text: str) -> list[str]:
    """Its words and marks, in lower case."""
    return _PARTS.findall(text.lower())


def front_end(texts: Iterable[str], least: int) -> Tokens:
    """A front end that knows all words and marks that are there ``least`` times, the frequent ones first, and all
    characters of ASCII."""
    counts = Counter(word for text in texts for word in words(text))
    frequent = [word for word, count in counts.most_common() if count >= least]
    characters = [character for character in _CHARACTERS if not character.isupper()]
    entries = tuple(dict.fromkeys([UNKNOWN, *frequent, *characters]))
    return Tokens(entries, unit="piece", unknown=0, lowercase=True)


def ids(front: Tokens, texts: Iterable[str]) -> list[npt.NDArray[np.int64]]:
    """What the front end makes of each text [T], 1 <= T <= LONGEST."""
    made = FRONT_ENDS[front.kind](front, {})
    found = []
    for text in texts:
        state = made.start()
        frames = np.concatenate([made.step(state, text), made.flush(state)])[:LONGEST, 0].astype(np.int64)
        found.append(frames if len(frames) else np.zeros(1, np.int64))
    return found
