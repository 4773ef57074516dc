"""Sentences that twenty people judged, from -4 (extremely negative) to 4 (extremely positive): what VADER was tried
with (Hutto and Gilbert 2014, https://ojs.aaai.org/index.php/ICWSM/article/view/14550), in its source distribution."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from typing import NamedTuple

from ostinato.errors import PackageError
from ostinato.packages import Sdist, tars
from ostinato.training.corpora.corpus import Corpus, Files, Part

PACKAGE = Sdist(
    "vaderSentiment", "3.3.2", "MIT", 2_466_783,
    sha256="5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9",
)  # fmt: skip
ARCHIVE = "additional_resources/hutto_ICWSM_2014.tar.gz"
CORPORA = {
    "vader": Corpus(
        "vader",
        "23,700 sentences of film and product reviews, news and tweets, with human scores of sentiment",
        "MIT",
        (Part(PACKAGE, (ARCHIVE,), "d5bb07d87474b3eb8d30b4deccbc23f19d742a6c5718fbacc65485b70b95c5fa"),),
    )
}
DOMAINS = {"film": "movieReview", "product": "amazonReview", "news": "nytEditorial", "tweet": "tweets"}
"""What a file's name begins with, by what it has."""
_MOST_BYTES = 8 << 20


class Scored(NamedTuple):
    """``document``: the review or article that a sentence is of, which should not be divided between what is learnt
    from and what is tested on. ``score``: the mean of the judges', -4 to 4."""

    document: str
    score: float
    text: str


def read(files: Files) -> Mapping[str, list[Scored]]:
    """Sentences by domain: film, product, news and tweet, in the order of the files. Raises PackageError."""
    found: dict[str, list[Scored]] = {}
    with files[ARCHIVE].open("rb") as file, gzip.open(file) as plain, tars.opened(plain) as archive:
        for info in archive:
            name = info.name.rpartition("/")[2]
            for domain, start in DOMAINS.items():
                if info.isreg() and name.startswith(start) and name.endswith("_GroundTruth.txt"):
                    if info.size > _MOST_BYTES:
                        raise PackageError(f"{name} has {info.size} bytes: it is another file")
                    found[domain] = scored(tars.contents(archive, info).read().decode("utf-8", "replace"))
    if lacking := [domain for domain in DOMAINS if domain not in found]:
        raise PackageError(f"{files[ARCHIVE]} has no sentences of {', '.join(lacking)}: delete it")
    return {domain: found[domain] for domain in DOMAINS}


def scored(text: str) -> list[Scored]:
    """The lines of a file: number, score and sentence, with tabs between them; "12_3" is the third of document 12."""
    rows = [line.split("\t", 2) for line in text.splitlines()]
    return [Scored(number.partition("_")[0], float(score), said.strip()) for number, score, said in rows]
