"""The recipe ``phonemes``: English words, letter by letter, to what people say, by an encoder-decoder.

1. The pronouncing dictionary is divided by a hash of each word (`dictionary`).
2. Two encoder-decoders learn it: "uni" reads forward, "bi" in both directions.
3. Both write the words of the test part through the product's own streams, "uni" with several waits (`scoring`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ostinato.model.front_ends import Tokens
from ostinato.model.layers import Gru
from ostinato.training.corpora import cmudict
from ostinato.training.encoder_decoder import Pairs, tokens, writing
from ostinato.training.recipes import transduction
from ostinato.training.recipes.phonemes import scoring
from ostinato.training.recipes.phonemes.dictionary import END, LETTERS, PHONEMES, Entry, Part, Phonemes, divided
from ostinato.training.recipes.recipe import Options, Recipe, Telling, Trained
from ostinato.training.recipes.simultaneous import WAITS
from ostinato.training.recipes.transduction import Design, Figures, Test

SPELT = Tokens(LETTERS, lowercase=True, end=LETTERS.index(END))
SPOKEN = writing(PHONEMES, separator=" ", longest=48)
DESIGN = Design(
    "phonemes", "English words, letter by letter, to the phonemes in which they are spoken",
    "Apache-2.0; learnt from CMUdict, BSD-2-Clause",
    {"uni": [Gru(128), Gru(128)], "bi": [Gru(80, direction="bidirectional")]}, waits=(*WAITS, None, None),
    embedding=32, keys=80, writer=112, narrow=None, batch=128, rate=3e-3, dropout=0.1, every=1000, steps=11_000,
)  # fmt: skip
SIMPLE = "letter by letter"
"""How the baseline is called among figures."""


def train(options: Options, telling: Telling) -> Trained:
    """Learn, test, and write phonemes-uni and phonemes-bi. Raises PackageError, and as `transduction.learn`."""
    models = options.chosen(tuple(DESIGN.readers))
    words = divided(cmudict.read(options.corpus("cmudict", telling.progress)))
    if options.quick:
        words = {part: entries[::20] for part, entries in words.items()}
    learnt, validation = (pairs(words[part]) for part in ("learnt", "validation"))
    return transduction.learn(DESIGN, SPELT, models, learnt, validation, test(words), options, telling)


def pairs(entries: Sequence[Entry]) -> Pairs:
    """Each word with each way to say it."""
    number = {phoneme: at for at, phoneme in enumerate(PHONEMES)}
    both = [(entry.word, said) for entry in entries for said in entry.said]
    return Pairs(
        tokens(SPELT, [word for word, _ in both]),
        [np.array([number[phoneme] for phoneme in said]) for _, said in both],
        SPOKEN,
    )


def test(words: Mapping[Part, Sequence[Entry]]) -> Test:
    """What the test part's words become, beside a simple baseline."""
    entries = words["test"]

    def score(made: Sequence[Phonemes]) -> Figures:
        return scoring.of_words(made, entries).as_dict()

    return Test(
        [entry.word for entry in entries],
        ("words", "letters"),
        score,
        lambda: {SIMPLE: scoring.baseline(words["learnt"], entries).as_dict()},
        lambda scores, simple, learnt: scoring.card(scores, simple[SIMPLE], learnt),
        f"{len(words['learnt']):,} words",
    )


RECIPE = Recipe(
    "phonemes",
    """Train phonemes-uni and phonemes-bi, which say how English words are spoken, on the pronouncing dictionary of
    Carnegie Mellon University. Takes ten minutes of a processor, --quick one.

    Both are encoder-decoders with attention. One reads a word's letters forward and can begin to speak before its end
    (wait-k), the other reads them in both directions and speaks once the word has ended.
    """,
    train,
    corpora=("cmudict",),
)
