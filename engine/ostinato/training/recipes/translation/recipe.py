"""The recipe ``translation``: German sentences to English ones, by an encoder-decoder.

1. Sentences and phrases of the dictionary are divided by a hash of their entry (`sentences`).
2. Two encoder-decoders learn them: "uni" reads forward, "bi" in both directions.
3. Both write the sentences of the test part through the product's own streams, "uni" with several waits (`scoring`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from ostinato.model.front_ends import Tokens
from ostinato.model.layers import Gru
from ostinato.model.network import Network
from ostinato.streaming import Model
from ostinato.training.corpora import trans_de_en
from ostinato.training.encoder_decoder import Pairs, Writing, encoder_decoder, writing
from ostinato.training.recipes import plan, recipe, simultaneous
from ostinato.training.recipes.plan import Plan, Tested
from ostinato.training.recipes.recipe import Recipe, Telling, Trained
from ostinato.training.recipes.translation import scoring
from ostinato.training.recipes.translation.sentences import (
    LONGEST,
    Part,
    Text,
    divided,
    pieces_read,
    tokens,
    words_written,
)
from ostinato.training.trainer import History

READERS = {"uni": Gru(192), "bi": Gru(96, direction="bidirectional")}
"""By model."""
EMBEDDING, KEYS, WRITER, NARROW = 64, 96, 160, 128
PIECES, PARTS, WORDS = 3000, 1500, 3000
SENTENCES = 3
"""How often a sentence is learnt for each time that a phrase is: they are fewer, and what is tested."""
BATCH, RATE, EVERY = 64, 2e-3, 500


@dataclass(frozen=True)
class Options(recipe.Options):
    """What to do."""

    @property
    def planned(self) -> int:
        """Steps: twice through the phrases, six times through the sentences."""
        return self.steps or (300 if self.quick else 4500)


def train(options: Options, telling: Telling) -> Trained:
    """Learn, test, and write translation-uni and translation-bi. Raises PackageError, and as `plan.learn`."""
    models = options.chosen(tuple(READERS))
    texts = divided(trans_de_en.read(options.corpus("trans-de-en", telling.progress)))
    if options.quick:
        texts = {part: some[::10] for part, some in texts.items()}
    return plan.learn(plans(models, texts, options, telling), options)


def plans(
    models: Sequence[str], texts: Mapping[Part, Sequence[Text]], options: Options, telling: Telling
) -> Iterator[Plan]:
    """The models, of these texts."""
    reads, writes = vocabularies(texts["learnt"])
    often = [text for text in texts["learnt"] for _ in range(SENTENCES if text.sentence else 1)]
    learnt, validation = (pairs(some, reads, writes) for some in (often, texts["validation"]))
    for model in models:
        described = dataclasses.replace(
            encoder_decoder(f"translation-{model}", reads, [READERS[model]], writes, EMBEDDING, KEYS, WRITER, NARROW),
            description="Short German sentences to English ones",
            licence="GPL-2+, as what it is learnt from",
        )
        yield simultaneous.plan(
            model, described, learnt, validation, options, options.planned,
            partial(tested, texts=texts, telling=telling), batch=BATCH, rate=RATE, dropout=0.2, every=EVERY,
        )  # fmt: skip


def vocabularies(learnt: Sequence[Text]) -> tuple[Tokens, Writing]:
    """Pieces of German words, and English words."""
    pieces = pieces_read([text.german for text in learnt], PIECES, PARTS)
    words = words_written([text.english for text in learnt], WORDS)
    return Tokens(pieces, "piece", unknown=0, lowercase=True), writing(words, 0, " ", 2 * LONGEST)


def pairs(texts: Sequence[Text], reads: Tokens, writes: Writing) -> Pairs:
    """Their tokens."""
    known = {word: at for at, word in enumerate(writes.tokens)}
    return Pairs(
        [tokens(reads, text.german) for text in texts],
        [np.array([known.get(word, 0) for word in text.english.split()]) for text in texts],
        writes,
    )


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
    simple = scoring.baseline(texts["learnt"], texts["test"]).as_dict()
    sentences = sum(text.sentence for text in texts["learnt"])
    learnt = f"{sentences:,} sentences and {len(texts['learnt']) - sentences:,} phrases. "
    return Tested(
        scoring.card(scores, simple, learnt + plan.steps_taken(history, steps)),
        {"scores": scores, "baseline": simple},
    )


RECIPE = Recipe(
    "translation",
    """Train translation-uni and translation-bi, which translate short German sentences into English, on the
    dictionary trans-de-en. They do not translate well yet: worse than word by word. --quick takes a minute.

    Both are encoder-decoders with attention. One reads forward and can begin to write before a sentence has ended
    (wait-k), the other reads in both directions and writes once it has.
    """,
    train,
    Options,
    corpora=("trans-de-en",),
)
