"""The recipe ``phonemes``: English words, letter by letter, to what people say, by an encoder-decoder.

1. The pronouncing dictionary is divided by a hash of each word (`dictionary`).
2. Two encoder-decoders learn it: "uni" reads forward, "bi" in both directions.
3. Both write the words of the test part through the product's own streams, "uni" with several waits (`scoring`).
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
from ostinato.training.corpora import cmudict
from ostinato.training.encoder_decoder import Pairs, encoder_decoder, writing
from ostinato.training.recipes import plan, recipe, simultaneous
from ostinato.training.recipes.phonemes import scoring
from ostinato.training.recipes.phonemes.dictionary import END, LETTERS, PHONEMES, Entry, Part, divided
from ostinato.training.recipes.plan import Plan, Tested
from ostinato.training.recipes.recipe import Recipe, Telling, Trained
from ostinato.training.trainer import History

READERS = {"uni": Gru(160), "bi": Gru(80, direction="bidirectional")}
"""By model."""
EMBEDDING, KEYS, WRITER = 32, 80, 112
SPELT = Tokens(LETTERS, lowercase=True, end=LETTERS.index(END))
SPOKEN = writing(PHONEMES, separator=" ", longest=48)
BATCH, RATE, EVERY = 128, 3e-3, 1000


@dataclass(frozen=True)
class Options(recipe.Options):
    """What to do."""

    @property
    def planned(self) -> int:
        """Steps: eleven times through the dictionary."""
        return self.steps or (300 if self.quick else 11_000)


def train(options: Options, telling: Telling) -> Trained:
    """Learn, test, and write phonemes-uni and phonemes-bi. Raises PackageError, and as `plan.learn`."""
    models = options.chosen(tuple(READERS))
    words = divided(cmudict.read(options.corpus("cmudict", telling.progress)))
    if options.quick:
        words = {part: entries[::20] for part, entries in words.items()}
    return plan.learn(plans(models, words, options, telling), options)


def plans(
    models: Sequence[str], words: Mapping[Part, Sequence[Entry]], options: Options, telling: Telling
) -> Iterator[Plan]:
    """The models, of these words."""
    learnt, validation = (pairs(words[part]) for part in ("learnt", "validation"))
    for model in models:
        described = dataclasses.replace(
            encoder_decoder(f"phonemes-{model}", SPELT, [READERS[model]], SPOKEN, EMBEDDING, KEYS, WRITER),
            description="English words, letter by letter, to the phonemes in which they are spoken",
            licence="Apache-2.0; learnt from CMUdict, BSD-2-Clause",
        )
        yield simultaneous.plan(
            model, described, learnt, validation, options, options.planned,
            partial(tested, words=words, telling=telling), batch=BATCH, rate=RATE, dropout=0.1, every=EVERY,
        )  # fmt: skip


def pairs(entries: Sequence[Entry]) -> Pairs:
    """Each word with each way to say it."""
    letters, phonemes = ({token: at for at, token in enumerate(each)} for each in (LETTERS, PHONEMES))
    both = [((*entry.word, END), said) for entry in entries for said in entry.said]
    return Pairs(
        [np.array([letters[letter] for letter in word]) for word, _ in both],
        [np.array([phonemes[phoneme] for phoneme in said]) for _, said in both],
        SPOKEN,
    )


def tested(
    made: Network, history: History, *, words: Mapping[Part, Sequence[Entry]], waits: Sequence[int | None],
    steps: int, telling: Telling,
) -> Tested:  # fmt: skip
    """What the test part's words become, with each wait, beside a simple baseline."""
    model = Model(made)
    scores = {
        simultaneous.name_of(wait): scoring.through_streams(model, words["test"], wait, telling.progress).as_dict()
        for wait in waits
    }
    simple = scoring.baseline(words["learnt"], words["test"]).as_dict()
    learnt = f"{len(words['learnt']):,} words. {plan.steps_taken(history, steps)}"
    return Tested(scoring.card(scores, simple, learnt), {"scores": scores, "baselines": {"letter by letter": simple}})


RECIPE = Recipe(
    "phonemes",
    """Train phonemes-uni and phonemes-bi, which say how English words are spoken, on the pronouncing dictionary of
    Carnegie Mellon University. Takes half an hour, --quick a minute.

    Both are encoder-decoders with attention. One reads a word's letters forward and can begin to speak before its end
    (wait-k), the other reads them in both directions and speaks once the word has ended.
    """,
    train,
    Options,
    corpora=("cmudict",),
)
