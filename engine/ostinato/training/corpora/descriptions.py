"""What Debian's packages are, in a line each: in English, and as people have translated it into Italian."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ostinato.packages import Index
from ostinato.training.corpora.corpus import Corpus, Files, Part, lines

ENGLISH, ITALIAN = "Translation-en", "Translation-it"
_LICENCE = "as the packages that they are of; nobody says it of the translations"
CORPORA = {
    "descriptions-it": Corpus(
        "descriptions-it",
        "descriptions of 47,000 packages of Debian 12, in English and Italian",
        _LICENCE,
        (
            Part(
                Index(ENGLISH, "bookworm", _LICENCE, 6_107_000),
                (ENGLISH,),
                "62f59c3cdca9786e4f7adf9002f9f5729a684adcb4667e58e448dec9b5a46c7f",
            ),
            Part(
                Index(ITALIAN, "bookworm", _LICENCE, 5_292_000),
                (ITALIAN,),
                "f2010961f0968127812de8484ecead4f45b25b2cb6aeb788f9f25753fbd5cff7",
            ),
        ),
    )
}
_PACKAGE, _TEXT, _OF = "Package: ", "Description-", "Description-md5: "


class Pair(NamedTuple):
    """``package``: whose description it is."""

    package: str
    english: str
    italian: str


def read(files: Files) -> list[Pair]:
    """The first lines of all descriptions that are in both languages and differ there, each pair once."""
    english = {of: text for _, of, text in _described(files[ENGLISH])}
    pairs = {
        (english[of], text): Pair(package, english[of], text)
        for package, of, text in _described(files[ITALIAN])
        if english.get(of, text) != text
    }
    return list(pairs.values())


def _described(path: Path) -> Iterator[tuple[str, str, str]]:
    """Packages, the digests of their whole English descriptions, and the descriptions' first lines."""
    package = of = ""
    for line in lines(path):
        if line.startswith(_PACKAGE):
            package = line.removeprefix(_PACKAGE)
        elif line.startswith(_OF):
            of = line.removeprefix(_OF)
        elif line.startswith(_TEXT):
            yield package, of, line.partition(": ")[2].strip()
