"""The recipe ``translation``: what Debian's packages are, from English to Italian, by an encoder-decoder.

1. Descriptions are divided by a hash of what they are about (`descriptions`), and into pieces of words (`pieces`).
2. Two encoder-decoders learn them: "uni" reads forward, "bi" in both directions.
3. Both write the test part's in Italian through the product's own streams, "uni" with several waits (`scoring`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ostinato.model.front_ends import Tokens
from ostinato.model.layers import Gru
from ostinato.training.corpora import descriptions
from ostinato.training.encoder_decoder import Pairs, Writing, tokens, writing
from ostinato.training.recipes import transduction
from ostinato.training.recipes.recipe import Options, Recipe, Telling, Trained
from ostinato.training.recipes.simultaneous import WAITS
from ostinato.training.recipes.transduction import Design, Figures, Test
from ostinato.training.recipes.translation import pieces as subwords
from ostinato.training.recipes.translation import scoring
from ostinato.training.recipes.translation.descriptions import Part, Text, divided

DESIGN = Design(
    "translation", "What a package of software is, in a line of English, to Italian",
    "as what it is learnt from, descriptions of Debian's packages",
    {"uni": [Gru(160)], "bi": [Gru(96, direction="bidirectional")]}, waits=WAITS,  # about as many weights
    embedding=64, keys=64, writer=160, narrow=96, batch=64, rate=3e-3, dropout=0.1, every=500, steps=10_000,
)  # fmt: skip
PIECES, LONGEST = 2000, 96
"""That both languages share; that are written of a text at most."""


def train(options: Options, telling: Telling) -> Trained:
    """Learn, test, and write translation-uni and translation-bi. Raises PackageError, and as `transduction.learn`."""
    models = options.chosen(tuple(DESIGN.readers))
    texts = divided(descriptions.read(options.corpus("descriptions-it", telling.progress)))
    if options.quick:
        texts = {part: some[::10] for part, some in texts.items()}
    pieces = subwords.found([each for text in texts["learnt"] for each in text], PIECES)
    reads, writes = subwords.reading(pieces), writing(pieces, 0, longest=LONGEST)
    learnt, validation = (pairs(texts[part], reads, writes) for part in ("learnt", "validation"))
    return transduction.learn(DESIGN, reads, models, learnt, validation, test(texts), options, telling)


def pairs(texts: Sequence[Text], reads: Tokens, writes: Writing) -> Pairs:
    """Their tokens."""
    english, italian = (tokens(reads, [text[side] for text in texts]) for side in (0, 1))
    return Pairs(english, italian, writes)


def test(texts: Mapping[Part, Sequence[Text]]) -> Test:
    """What the test part's texts become, beside ways without a network."""
    learnt, held = texts["learnt"], texts["test"]

    def score(made: Sequence[Sequence[str]]) -> Figures:
        return scoring.of_pieces(made, held).as_dict()

    return Test(
        [text.english for text in held],
        ("texts", "pieces"),
        score,
        lambda: {name: way(learnt, held).as_dict() for name, way in scoring.BASELINES.items()},
        scoring.card,
        f"{len(learnt):,} descriptions",
    )


RECIPE = Recipe(
    "translation",
    """Train translation-uni and translation-bi, which translate what Debian's packages are, in a line each, from
    English to Italian. Takes a quarter of an hour of a processor, --quick a minute.

    Both are encoder-decoders with attention. One reads forward and can begin to write before a line has ended
    (wait-k), the other reads in both directions and writes once it has.
    """,
    train,
    corpora=("descriptions-it",),
)
