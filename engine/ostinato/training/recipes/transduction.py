"""Text to text: what recipes of encoder-decoders share, from pairs of texts to models that are tested.

A recipe says what its models are (`Design`), and what they are tested on, and how (`Test`).
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from ostinato.model.front_ends import Tokens
from ostinato.model.layers import Layer
from ostinato.model.network import Network
from ostinato.streaming import Model
from ostinato.training.encoder_decoder import Pairs, encoder_decoder
from ostinato.training.losses import CrossEntropy
from ostinato.training.network import TrainableNetwork
from ostinato.training.optimisers import AdamW
from ostinato.training.recipes import plan, simultaneous
from ostinato.training.recipes.plan import Plan, Tested
from ostinato.training.recipes.recipe import Options, Telling, Trained
from ostinato.training.schedules import Cosine, Warmup
from ostinato.training.trainer import History

TRIAL, WARMUP = 300, 300
"""Steps of a trial (`--quick`); those up to the first learning rate, if there are ten times as many."""
Figures: TypeAlias = Mapping[str, Any]
"""A score, by the names of its figures; "average_lagging" is None of what does not wait."""


@dataclass(frozen=True)
class Design:
    """Models that read one text and write another, and how they learn. ``readers``: the layers of each, by name; the
    other sizes are as `encoder_decoder` has them. ``waits``: of which one is drawn for each batch that "uni" learns
    from. ``every``: steps between two looks at what chooses the weights; ``steps``: all of them, unless options say
    otherwise."""

    recipe: str
    description: str
    licence: str
    readers: Mapping[str, Sequence[Layer]]
    waits: Sequence[int | None]
    embedding: int
    keys: int
    writer: int
    narrow: int | None
    batch: int
    rate: float
    dropout: float
    every: int
    steps: int


@dataclass(frozen=True)
class Test:
    """``sources`` that nothing was learnt from, what they and their tokens are called, and what tells how good the
    texts are that are written of them (each as its tokens). ``baselines``: the figures of ways without a network, by
    name. ``card``: what a model says of itself, by its figures of each wait, the baselines', and what was ``learnt``
    from."""

    sources: Sequence[str]
    named: tuple[str, str]
    score: Callable[[Sequence[tuple[str, ...]]], Figures]
    baselines: Callable[[], Mapping[str, Figures]]
    card: Callable[[Mapping[str, Figures], Mapping[str, Figures], str], Mapping[str, str]]
    learnt: str


def learn(
    design: Design, reads: Tokens, models: Sequence[str], learnt: Pairs, held: Pairs, test: Test, options: Options,
    telling: Telling,
) -> Trained:  # fmt: skip
    """Let these models learn from pairs, be judged by pairs that are ``held`` back, and tested. Raises as
    `plan.learn`."""
    return plan.learn(_plans(design, reads, models, learnt, held, test, options, telling), options)


def _plans(
    design: Design, reads: Tokens, models: Sequence[str], learnt: Pairs, held: Pairs, test: Test, options: Options,
    telling: Telling,
) -> Iterator[Plan]:  # fmt: skip
    steps = options.steps or (TRIAL if options.quick else design.steps)
    for model in models:
        made = encoder_decoder(
            f"{design.recipe}-{model}", reads, design.readers[model], learnt.writes, design.embedding, design.keys,
            design.writer, design.narrow,
        )  # fmt: skip
        described = dataclasses.replace(made, description=design.description, licence=design.licence)
        forward, warmup = model == "uni", min(WARMUP, steps // 10)
        drawn, waits = (design.waits, simultaneous.WAITS) if forward else ((None,), (None,))
        yield Plan(
            TrainableNetwork(options.named(described), np.float32, options.seed, dropout=design.dropout),
            hashlib.sha256((learnt.digest() + held.digest()).encode()).hexdigest(),
            partial(learnt.batches, design.batch, options.seed, waits=drawn),
            CrossEntropy(smoothing=0.1),
            AdamW(Warmup(Cosine(design.rate, steps - warmup, design.rate / 100), warmup), clip_norm=2.0),
            steps,
            partial(judged, held=held, waits=waits),
            partial(tested, test=test, waits=waits, steps=steps, telling=telling),
            {"evaluate_every": design.every} | plan.in_halves(design.batch),
        )


def judged(network: TrainableNetwork, held: Pairs, waits: Sequence[int | None], size: int = 256) -> dict[str, float]:
    """The mean loss of a token of pairs that are not learnt from, given those before, and the share of tokens that
    is right."""
    loss, sums, counts, right = CrossEntropy(), 0.0, 0.0, 0
    for batch in held.batches(size, 0, None, waits):
        outputs = network.forward(batch.inputs, batch.lengths, sources=batch.sources)["main"]
        found = loss(outputs, batch.lengths, batch.targets)
        sums, counts = sums + found.sums.sum(), counts + found.counts.sum()
        right += int((outputs.argmax(axis=2) == batch.targets)[batch.targets >= 0].sum())
    return {"validation loss": float(sums / counts), "accuracy": right / counts}


def tested(
    made: Network, history: History, *, test: Test, waits: Sequence[int | None], steps: int, telling: Telling
) -> Tested:
    """What a model makes of the test's sources, with each wait, beside the baselines."""
    model, scores = Model(made), dict[str, Figures]()
    for wait in waits:
        texts, lag = simultaneous.through_streams(model, test.sources, wait, test.named, telling.progress)
        scores[simultaneous.name_of(wait)] = {**test.score(texts), "average_lagging": lag}
    simple = {name: {**figures, "average_lagging": None} for name, figures in test.baselines().items()}
    card = test.card(scores, simple, f"{test.learnt}. {plan.steps_taken(history, steps)}")
    return Tested(card, {"scores": scores, "baselines": simple})


def while_reading(scores: Mapping[str, Figures], shown: Callable[[Figures], str], pieces: str) -> str:
    """For a card: what waiting costs, as the recipe shows its figures; nothing where the model waits for all."""
    return ", ".join(
        f"{wait} {pieces} behind {shown(score)} (average lagging {score['average_lagging']:.1f} {pieces})"
        for wait, score in scores.items()
        if wait != simultaneous.WHOLE
    )
