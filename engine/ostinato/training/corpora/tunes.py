"""Tunes in ABC notation, of the collections with plain terms in music21's corpus: O'Neill's Music of Ireland (1903),
Aird's Airs (1782), Ryan's Mammoth Collection (1883). The Essen folk songs there are not for commercial use."""

from __future__ import annotations

from ostinato.packages import Wheel
from ostinato.training.corpora.corpus import Corpus, Files, Part, lines

COLLECTIONS = {"oneills1850": "O'Neill", "airdsAirs": "Aird", "ryansMammoth": "Ryan"}
CORPORA = {
    "tunes": Corpus(
        "tunes",
        "4,250 Irish, Scottish and American tunes in ABC notation",
        "public domain, transcriptions as music21's corpus says",
        (
            Part(
                Wheel("music21", "10.5.1", "code BSD-3-Clause, corpus mixed", 20_118_992),
                tuple(f"music21/corpus/{folder}/*.abc" for folder in COLLECTIONS),
                "4364d7cf1f37464a5ff461b955616df02bb54349cc8109395308343361051a80",
            ),
        ),
    )
}


def read(files: Files) -> dict[str, list[str]]:
    """The text of each tune, from its X: on, by collection."""
    found: dict[str, list[str]] = {name: [] for name in COLLECTIONS.values()}
    for path, place in files.items():
        tunes = found[COLLECTIONS[path.split("/")[-2]]]
        begun = False
        for line in lines(place):
            if line.startswith("X:"):
                tunes.append("")
                begun = True
            if begun:
                tunes[-1] += line + "\n"
    return found
