"""The recipe ``tunes``: a language model that makes tunes, and two that fill gaps in them, from one side and both.

1. Tunes of old collections are brought into one form, those whose bars do not add up are left out, and variants of a
   tune are kept on one side (`corpus`).
2. A language model learns them in many keys (`language`), with layers that count bars (`clock`). It is tested by the
   bits that a token of a held-out tune takes, beside n-grams (`ngram`), and by whether the bars of what it makes add
   up (`judging`).
3. Two networks of about as many weights learn to fill gaps (`gaps`): one has seen what is before, one both sides.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ostinato.model.network import Network
from ostinato.model.specification import Specification
from ostinato.sampling import Sampling
from ostinato.streaming import Model
from ostinato.training.corpora import corpus as corpus_named
from ostinato.training.corpora import tunes as books
from ostinato.training.losses import CrossEntropy
from ostinato.training.network import TrainableNetwork
from ostinato.training.optimisers import AdamW
from ostinato.training.recipes import plan, recipe, summary
from ostinato.training.recipes.plan import Plan, Tested, in_halves
from ostinato.training.recipes.recipe import MOST_STEPS, Option, Recipe, Telling, Trained
from ostinato.training.recipes.tunes import gaps, judging, language
from ostinato.training.recipes.tunes.corpus import Corpus, chosen
from ostinato.training.recipes.tunes.judging import Ids, Measured
from ostinato.training.recipes.tunes.ngram import Ngram
from ostinato.training.schedules import Cosine, Warmup
from ostinato.training.trainer import Evaluate, History

MODELS = ("language", "gaps-uni", "gaps-bi")
LICENCE = "Apache-2.0"
LEARNT = (
    "Tunes of O'Neill's Music of Ireland (1903), Ryan's Mammoth Collection (1883) and Aird's Selection of Airs (1782 "
    "to 1801), all out of copyright, in the ABC transcriptions of music21's corpus, of which only metre, key and "
    "notes were learnt from"
)
ORDER = 4
"""Of the n-grams: of 3, 4, 5 and 6 the one with the fewest bits on the validation tunes."""
DRAWING = {
    "temperature 1": Sampling(seed=1),
    "temperature 0.8": Sampling(seed=1, temperature=0.8),
    "temperature 0.5, top-p 0.8": Sampling(seed=1, temperature=0.5, top_p=0.8),
}
LOOKAHEADS = (0, 4, 8, 16, 32, 64)
"""Tokens behind its place for which the bidirectional model waits, in the table of gaps."""
RATE = 3e-3
GAP_BARS = 1
"""Hidden of each test tune."""


class How(NamedTuple):
    """How long is learnt, after how many steps the network is judged, and what is dropped."""

    steps: int
    every: int
    dropout: float
    recurrent_dropout: float


LANGUAGE, GAPS = How(1500, 250, 0.3, 0.15), How(1300, 100, 0.2, 0.0)


@dataclass(frozen=True)
class Options(recipe.Options):
    """What to do."""

    steps: Annotated[
        int | None,
        Option("Batches that each model learns from.", "N", 1, MOST_STEPS, shown="1500 and 1300, quick: 150"),
    ] = None
    made: Annotated[int, Option("Tunes to let the language model make for its test.", "N", 1, 100_000)] = 400
    batch: int = 24
    size: int | None = None
    """Units of a recurrent layer, None the recipe's: 256, and of those that fill gaps 176, or 112 a direction."""
    transposing: float = 0.6
    rare: int = language.RARE
    most: int | None = None
    """Tunes to learn from, None all."""

    @classmethod
    def of(cls, *, quick: bool = False, **given: Any) -> Options:
        """As `recipe.Options.of`: quick is a few minutes, with a quarter of the tunes and small networks."""
        few = {"steps": 150, "made": 50, "size": 64, "most": 750} if quick else {}
        return cls(quick=quick, **(few | given))


def train(options: Options, telling: Telling) -> Trained:
    """Fetch the tunes if they are missing, learn, test, and write tunes, tunes-gaps-uni, tunes-gaps-bi and
    MODELS.md."""
    wanted = options.chosen(MODELS)
    archives = sorted(options.data.glob("*.whl")) if options.data else ()
    corpus = chosen(books.read(corpus_named("tunes").fetch(telling.progress, archives)))
    trained = plan.learn(plans(corpus, wanted, options, telling), options)
    summary.write(options.output, telling.left_out)
    return trained


@dataclass
class Data:
    """What the plans share: the tunes in all keys, the vocabulary, and those held out, of such tokens alone."""

    keys: language.Keys
    tokens: tuple[str, ...]
    validation: list[tuple[str, ...]]
    test: list[tuple[str, ...]]

    @cached_property
    def ngram(self) -> Ngram:
        """Of the tunes to learn from, in all keys."""
        versions = [each for tunes in self.keys.of for each in tunes]
        return Ngram((tuple(map(int, ids)) for ids in self.ids(versions)), ORDER, len(self.tokens))

    def ids(self, tunes: Sequence[Sequence[str]]) -> list[Ids]:
        """Between two `language.TUNE`."""
        ids = _ids(self.tokens)
        return [language.ids_of(tune, ids) for tune in tunes]


def data_of(corpus: Corpus, options: Options) -> Data:
    """In the keys of their own, those that are held out."""
    keys = language.Keys([each.tune for each in corpus.sides["train"][: options.most]])
    tokens = language.vocabulary(keys, options.rare)
    known = set(tokens)
    held = {
        side: [each.tune.tokens for each in corpus.sides[side] if known.issuperset(each.tune.tokens)]
        for side in ("validation", "test")
    }
    return Data(keys, tokens, held["validation"], held["test"])


def plans(corpus: Corpus, wanted: Sequence[str], options: Options, telling: Telling) -> Iterator[Plan]:
    """A plan for each of the ``wanted`` models."""
    data = data_of(corpus, options)
    telling.note(
        f"{len(data.keys.of)} tunes to learn from, {len(data.validation)} to choose by, {len(data.test)} to test on"
    )
    for name in wanted:
        if name == "language":
            yield _language(corpus, data, options, telling)
        else:
            yield _gaps(corpus, data, "uni" if name == "gaps-uni" else "bi", options, telling)


def _plan(
    corpus: Corpus,
    specification: Specification,
    batches: language.Batches,
    how: How,
    evaluate: Evaluate,
    test: Callable[[Network, History], Tested],
    options: Options,
    weights: Mapping[str, NDArray[np.float32]] | None = None,
    fixed: Sequence[str] = (),
) -> Plan:
    steps = options.steps or how.steps
    warmup = min(200, steps // 10)
    network = TrainableNetwork(
        options.named(dataclasses.replace(specification, licence=LICENCE)),
        np.float32,
        options.seed,
        weights=weights,
        dropout=how.dropout,
        recurrent_dropout=how.recurrent_dropout,
        fixed=fixed,
    )
    schedule = Warmup(Cosine(RATE, steps - warmup, RATE / 100), warmup)
    optimiser = AdamW(schedule, weight_decay=1e-2, clip_norm=1.0)
    more = {"evaluate_every": min(how.every, steps)} | in_halves(options.batch)
    return Plan(network, corpus.digest, batches, CrossEntropy(), optimiser, steps, evaluate, test, more)


# --- the language model -------------------------------------------------------------------------------------------


def _language(corpus: Corpus, data: Data, options: Options, telling: Telling) -> Plan:
    validation, test = data.ids(data.validation), data.ids(data.test)
    held_gaps = judging.gaps_of(data.test, _ids(gaps.vocabulary(data.tokens)), GAP_BARS)
    batches = language.Batches(data.keys, data.tokens, options.batch, options.seed, options.transposing)
    specification = dataclasses.replace(
        language.specification(data.tokens, options.size or 256),
        description="Irish, Scottish and American dance tunes, a token of ABC at a time",
    )

    def evaluate(network: TrainableNetwork) -> Mapping[str, float]:
        return {"bits": judging.a_token(judging.bits(network, validation), validation).value}

    def tested(made: Network, history: History) -> Tested:
        bits = judging.a_token(judging.bits_through(Model(made), test), test)
        baseline = judging.a_token([data.ngram.bits(list(map(int, tune))) for tune in test], test)
        made_tunes = {}
        for name, sampling in DRAWING.items():
            of = judging.tunes_among(judging.generated(Model(made), options.made, sampling))
            made_tunes[name] = judging.share(of.read, of.texts), judging.share(of.right, of.texts)
        said = "; ".join(
            f"{name}: {_percent(read)} are read as ABC, the bars of {_percent(right)} all add up"
            for name, (read, right) in made_tunes.items()
        )
        card = {
            "accuracy": f"Bits a token of {len(test)} tunes that were held out: {bits.told()}; 95 % intervals in "
            f"brackets. N-grams of order {ORDER} that back off, from the same tunes in the same keys: "
            f"{baseline.told()}. Of {options.made} tunes drawn at {said}",
            **_made_of(corpus, data, batches, history, options.steps or LANGUAGE.steps),
            "limits": "Tunes of one voice in the metres and keys of fiddle music; a prompt with other tokens is "
            "refused. What it makes may be near a tune that it learnt.",
        }
        return Tested(card, {
            "test_tunes": len(test), "test_tokens": sum(map(len, test)) - len(test), "bits": bits._asdict(),
            "ngram_order": ORDER, "ngram_bits": baseline._asdict(), "made": options.made,
            "gaps_gone_on": judging.accuracy(judging.gone_on_by(Model(made)), held_gaps)._asdict(), "drawn": {
                name: {"read": read._asdict(), "right": right._asdict()}
                for name, (read, right) in made_tunes.items()
            },
        })  # fmt: skip

    weights = language.weights(specification, options.seed)
    return _plan(corpus, specification, batches, LANGUAGE, evaluate, tested, options, weights, language.FIXED)


# --- gaps ---------------------------------------------------------------------------------------------------------


def _gaps(corpus: Corpus, data: Data, direction: gaps.Direction, options: Options, telling: Telling) -> Plan:
    tokens = gaps.vocabulary(data.tokens)
    batches = gaps.GapBatches(data.keys, tokens, options.batch, options.seed, options.transposing)
    validation = judging.gaps_of(data.validation, batches.ids, GAP_BARS)
    held = gaps.batch([(gap.seen, gap.wanted) for gap in validation])
    seen = "from what is before and behind it" if direction == "bi" else "from what is before it"
    specification = dataclasses.replace(
        gaps.specification(tokens, direction, options.size),
        description=f"The hidden tokens of a tune in ABC, {seen}",
    )

    def evaluate(network: TrainableNetwork) -> Mapping[str, float]:
        outputs = network.forward(held.inputs, held.lengths)["main"]
        there = held.targets >= 0
        judged = CrossEntropy()(outputs, held.lengths, held.targets)
        wrong = float((outputs.argmax(axis=2) != held.targets)[there].mean())
        return {"bits": float(judged.sums.sum() / judged.counts.sum() / np.log(2)), "wrong": wrong}

    def tested(made: Network, history: History) -> Tested:
        model, test = Model(made), judging.gaps_of(data.test, batches.ids, GAP_BARS)
        told = {"whole": judging.accuracy(judging.filled_by(model), test)}
        for lookahead in LOOKAHEADS if direction == "bi" else ():
            told[str(lookahead)] = judging.accuracy(judging.filled_by(model, lookahead), test)
        counted = judging.accuracy(judging.counted_on_by(data.ngram), test)
        hidden = sum(gap.place.stop - gap.place.start for gap in test)
        card = {
            "accuracy": f"Of the {hidden} tokens of a bar hidden in each of {len(test)} held-out tunes, "
            f"{_percent(told['whole'])} were told; n-grams that go on from before the gap tell {_percent(counted)}",
            **_made_of(corpus, data, batches, history, options.steps or GAPS.steps),
            "limits": "How many tokens are hidden is known to it. Each is told by itself, so that they may not fit "
            "together.",
        }
        return Tested(card, {
            "tunes": len(test), "hidden": hidden, "accuracy": {name: each._asdict() for name, each in told.items()},
            "ngram": counted._asdict(),
        })  # fmt: skip

    return _plan(corpus, specification, batches, GAPS, evaluate, tested, options)


def _made_of(corpus: Corpus, data: Data, batches: language.Batches, history: History, planned: int) -> dict[str, str]:
    """For the card: what was learnt from, how what it is tested on was kept apart."""
    left = ", ".join(f"{count} {why}" for why, count in corpus.left_out.items())
    return {
        "training data": f"{LEARNT}. {len(batches.tunes)} tunes, each also in the other keys of "
        f"{len(language.SIGNATURES)} signatures. Left out: {left}, {batches.skipped} with rare tokens. "
        f"{plan.steps_taken(history, planned)}",
        "how it was tested": "Tunes that share a title, or a quarter of their turns of melody with another, are one "
        f"family; families were divided by a hash of their titles. {len(data.validation)} tunes chose the weights, "
        f"{len(data.test)} others were tested on, and chose nothing.",
    }


def _ids(tokens: Sequence[str]) -> dict[str, int]:
    return {token: i for i, token in enumerate(tokens)}


def _percent(share: Measured) -> str:
    return f"{100 * share.value:.1f} % ({100 * share.low:.1f} to {100 * share.high:.1f})"


RECIPE = Recipe(
    "tunes",
    """Train a language model that makes tunes in ABC notation, and two that fill gaps in them.

    From 3,000 tunes of old collections, which are fetched if they are not there (ostinato data). Takes ten minutes of
    one core, --quick a few. Then: ostinato generate models/tunes.safetensors.
    """,
    train,
    Options,
    ("tunes",),
)
