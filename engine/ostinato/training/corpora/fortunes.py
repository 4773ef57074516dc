"""Sayings, jokes and quotations in Czech: the collections of the program fortune."""

from __future__ import annotations

from ostinato.packages import Deb
from ostinato.training.corpora.corpus import Corpus, Files, Part, lines

FOLDER = "usr/share/games/fortunes/cs"
COLLECTIONS = (
    "chesterton", "cimrman", "citace", "citat", "filmy", "guth", "hornicek", "ignac", "jerome", "josef", "klasik-cz",
    "lkml", "lodge", "market", "mikulas", "mladik", "murphy", "parafraze", "parkinson", "plihal", "pocitace",
    "pratchett", "prislovi", "rdvcitaty", "skala", "stoa1", "stopar", "valka", "vodnansky", "wikiquote", "wodehouse",
    "wright", "zemeplocha",
)  # fmt: skip
"""Those in Czech; others are in Slovak."""
CORPORA = {
    "fortunes-cs": Corpus(
        "fortunes-cs",
        "7,094 sayings and quotations in Czech, 1.3 million characters",
        "GPL-3+",
        (
            Part(
                Deb("fortunes-cs", "2.0.9-1.1", "GPL-3+", 485_912),
                tuple(f"{FOLDER}/{name}" for name in COLLECTIONS),
                "d5c2fbc58abaa463cda7136391ac6493c7babaf00fb8b5f7ba01b0a04f6cae7f",
            ),
        ),
    )
}


def read(files: Files) -> list[str]:
    """The texts, as they are written, in lines."""
    texts = []
    for path in files.values():
        found = [""]
        for line in lines(path):
            if line == "%":
                found.append("")
            else:
                found[-1] += f"{line}\n"
        texts += [text for text in found if text.strip()]
    return texts
