"""The recipe ``translation``: what Debian's packages are, from English to Italian, by an encoder-decoder.

1. Descriptions are divided by a hash of what they are about (`descriptions`), and into pieces of words (`pieces`).
2. Two encoder-decoders learn them: "uni" reads forward, "bi" in both directions.
3. Both write the test part's in Italian through the product's own streams, "uni" with several waits (`scoring`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from ostinato.model.front_ends import Tokens
from ostinato.model.layers import Gru
from ostinato.model.network import Network
from ostinato.streaming import Model
from ostinato.training.corpora import descriptions
from ostinato.training.encoder_decoder import Pairs, Writing, encoder_decoder, writing
from ostinato.training.recipes import plan, recipe, simultaneous
from ostinato.training.recipes.plan import Plan, Tested
from ostinato.training.recipes.recipe import Recipe, Telling, Trained
from ostinato.training.recipes.translation import pieces as subwords
from ostinato.training.recipes.translation import scoring
from ostinato.training.recipes.translation.descriptions import Part, Text, divided
from ostinato.training.trainer import History

READERS = {"uni": Gru(160), "bi": Gru(96, direction="bidirectional")}
"""By model, so that both have about as many weights."""
EMBEDDING, KEYS, WRITER, NARROW = 64, 64, 160, 96
PIECES, LONGEST = 2000, 96
"""That both languages share; that are written of a text at most."""
BATCH, RATE, DROPOUT, EVERY = 64, 3e-3, 0.1, 500


@dataclass(frozen=True)
class Options(recipe.Options):
    """What to do."""

    @property
    def planned(self) -> int:
        """Steps: some four and a half times through the descriptions."""
        return self.steps or (300 if self.quick else 3000)


def train(options: Options, telling: Telling) -> Trained:
    """Learn, test, and write translation-uni and translation-bi. Raises PackageError, and as `plan.learn`."""
    models = options.chosen(tuple(READERS))
    texts = divided(descriptions.read(options.corpus("descriptions-it", telling.progress)))
    if options.quick:
        texts = {part: some[::10] for part, some in texts.items()}
    return plan.learn(plans(models, texts, options, telling), options)


def plans(
    models: Sequence[str], texts: Mapping[Part, Sequence[Text]], options: Options, telling: Telling
) -> Iterator[Plan]:
    """The models, of these texts."""
    pieces = subwords.found([each for text in texts["learnt"] for each in text], PIECES)
    reads, writes = subwords.reading(pieces), writing(pieces, 0, longest=LONGEST)
    learnt, validation = (pairs(texts[part], reads, writes) for part in ("learnt", "validation"))
    for model in models:
        described = dataclasses.replace(
            encoder_decoder(f"translation-{model}", reads, [READERS[model]], writes, EMBEDDING, KEYS, WRITER, NARROW),
            description="What a package of software is, in a line of English, to Italian",
            licence="as what it is learnt from, descriptions of Debian's packages",
        )
        yield simultaneous.plan(
            model, described, learnt, validation, options, options.planned,
            partial(tested, texts=texts, telling=telling), batch=BATCH, rate=RATE, dropout=DROPOUT, every=EVERY,
        )  # fmt: skip


def pairs(texts: Sequence[Text], reads: Tokens, writes: Writing) -> Pairs:
    """Their tokens."""
    english, italian = (subwords.tokens(reads, [text[side] for text in texts]) for side in (0, 1))
    return Pairs(english, italian, writes)


def tested(
    made: Network, history: History, *, texts: Mapping[Part, Sequence[Text]], waits: Sequence[int | None],
    steps: int, telling: Telling,
) -> Tested:  # fmt: skip
    """What the test part's sentences become, with each wait, beside a simple baseline."""
    model = Model(made)
    scores = {
        simultaneous.name_of(wait): scoring.through_streams(model, texts["test"], wait, telling.progress).as_dict()
        for wait in waits
    }
    simple = {name: way(texts["learnt"], texts["test"]).as_dict() for name, way in scoring.BASELINES.items()}
    learnt = f"{len(texts['learnt']):,} descriptions. "
    return Tested(
        scoring.card(scores, simple, learnt + plan.steps_taken(history, steps)),
        {"scores": scores, "baselines": simple},
    )


RECIPE = Recipe(
    "translation",
    """Train translation-uni and translation-bi, which translate what Debian's packages are, in a line each, from
    English to Italian. Takes ten minutes, --quick a minute.

    Both are encoder-decoders with attention. One reads forward and can begin to write before a line has ended
    (wait-k), the other reads in both directions and writes once it has.
    """,
    train,
    Options,
    corpora=("descriptions-it",),
)
