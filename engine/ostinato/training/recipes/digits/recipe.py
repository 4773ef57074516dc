"""The recipe ``digits``: English spoken digits, learnt from synthetic voices, tested on real ones.

1. Synthesisers speak (`voices`); some speakers are kept apart.
2. Utterances are made of what they said (`compose`, `augment`).
3. A unidirectional and a bidirectional network of about equal size learn them by CTC (`learn`, `trainer.fit`).
4. Both are tested on the speakers kept apart (`conditions`) and on recordings of real people (`real`).
5. They are written as model files, each with a card that says all this (`cards`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from ostinato.errors import TrainingError
from ostinato.model.network import Network
from ostinato.pipeline.score import Errors
from ostinato.training.losses import CtcLoss
from ostinato.training.network import TrainableNetwork
from ostinato.training.optimisers import AdamW
from ostinato.training.recipes import plan, recipe, spectrogram, summary, transcribing
from ostinato.training.recipes.digits import augment, cards, compose, conditions, learn, real, voices, words
from ostinato.training.recipes.plan import Plan, Tested, in_halves
from ostinato.training.recipes.recipe import MOST_STEPS, Option, Recipe, Telling, Trained
from ostinato.training.schedules import Cosine, Warmup
from ostinato.training.trainer import History

MODELS = ("uni", "bi")


@dataclass(frozen=True)
class Options(recipe.Options):
    """What to do: how much data, how long to learn, and where real voices are.

    ``real``: folders with unpacked packages of recordings; ``fsdd``: a clone of the Free Spoken Digit Dataset (see
    `real`). Three of its voices then choose the checkpoint; without it, utterances of voices kept apart do.
    ``voices``: the most of each synthesiser, None all. Raises TrainingError if nothing could be held out.
    """

    data: Annotated[Path, Option("Where the training set is kept.", "DIR")] = Path("data/digits")
    steps: Annotated[int, Option("Batches to learn from.", "N", 1, MOST_STEPS, shown="14000, quick: 150")] = 14_000
    real: Annotated[tuple[Path, ...], Option("Unpacked packages of recordings to test on.", "DIR", there=True)] = ()
    fsdd: Annotated[Path | None, Option("A clone of the Free Spoken Digit Dataset.", "DIR", there=True)] = None
    shards: int = 33
    examples_per_shard: int = 500
    batch: int = 32
    rate: float = 2e-3
    voices: int | None = None

    def __post_init__(self) -> None:
        if self.shards < 2:
            raise TrainingError(f"shards = {self.shards}: there must be two or more, as one is held out for tests")

    @classmethod
    def of(cls, *, quick: bool = False, **given: Any) -> Options:
        """As `recipe.Options.of`; quick is a minute, with data of its own: few voices, little data, few steps."""
        if not quick:
            return cls(**given)
        few = {"shards": 3, "examples_per_shard": 100, "steps": 150, "batch": 24, "voices": 4}
        data = given.pop("data", cls.data) / "quick"
        return cls(quick=True, data=data, **(few | given))


def train(options: Options, telling: Telling) -> Trained:
    """Build the data where they are missing, train, test, and write digits-uni, digits-bi .safetensors and MODELS.md.

    Recordings of real voices are read first: one that cannot be read raises InputError before hours are spent, or is
    left out and told. Raises TrainingError if no synthesiser is installed, and as `plan.learn`.
    """
    directions = options.chosen(MODELS)
    found, missing = voices.synthesisers()
    if not found:
        raise TrainingError("no speech synthesiser is installed: " + "; ".join(s.install for s in missing))
    for each in missing:
        telling.note(f"{each.name} is not installed, so its voices will be missing: {each.install}")
    people = real.recordings(options.real, options.fsdd, left_out=telling.left_out)
    workers = options.workers or os.cpu_count() or 1
    voices.speak_all(options.data / "voices", options.seed, workers, telling.progress, options.voices)
    paths = compose.make_shards(
        options.data / "utterances", options.data / "voices", options.shards, options.examples_per_shard,
        options.seed, workers, telling.progress,
    )  # fmt: skip
    trained = plan.learn(_plans(directions, paths, people, options, telling), options)
    summary.write(options.output, telling.left_out)
    return trained


def _plans(
    directions: Sequence[str], paths: Sequence[Path], people: Sequence[real.Recording], options: Options,
    telling: Telling,
) -> Iterator[Plan]:  # fmt: skip
    """The models, of which the first of the ``paths`` is held out."""
    spoken = options.data / "voices"
    heard, unheard = voices.in_folder(spoken)
    apart = conditions.testing(spoken, options.seed)
    held_back, learning = compose.load(paths[0]), [e for path in paths[1:] for e in compose.load(path)]
    mean, scale = spectrogram.normalisation([e.features for e in learning[:5000]])
    held_out, scores = _tests(held_back, people, mean, scale)
    data = compose.digest([*held_back, *learning])
    for direction in directions:
        specification = cards.described(learn.specification(direction))
        network = TrainableNetwork(options.named(specification), np.float32, options.seed, dropout=0.1)
        network.constants = {"front_end.mean": mean, "front_end.scale": scale}
        warmup = min(300, options.steps // 10)

        def tested(
            made: Network, history: History, network: TrainableNetwork = network, direction: str = direction
        ) -> Tested:
            found = conditions.test(made, apart, real.items(people), telling.progress)
            making = cards.Making(
                learning, heard, unheard, history.steps, options.steps, held_out(network), history.best_step >= 0
            )
            return Tested(
                cards.card(list(found.values())[-1], making, direction == "uni"), conditions.figures(found, apart)
            )

        yield Plan(
            network,
            data,
            learn.Batches(learning, mean, scale, options.batch, options.seed),
            CtcLoss(),
            AdamW(
                Warmup(Cosine(options.rate, options.steps - warmup, options.rate / 100), warmup),
                weight_decay=1e-2,
                clip_norm=5.0,
            ),
            options.steps,
            scores,
            tested,
            in_halves(options.batch),
        )


def _tests(
    examples: list[compose.Example],
    people: Sequence[real.Recording],
    mean: spectrogram.Array,
    scale: spectrogram.Array,
) -> tuple[Callable[[TrainableNetwork], Errors], Callable[[TrainableNetwork], Mapping[str, float]] | None]:
    """The errors in ``examples``, which were held out from learning; and digit error rates that choose the
    checkpoint: of real selection voices, if any, and of the examples. None if no digit is in them."""
    sets = {"synthetic": ([e.features.astype(np.float32) for e in examples], [e.said for e in examples])}
    chosen = [r for r in people if r.voice in real.SELECTION]
    if chosen:
        items = real.items(chosen)
        heard = [compose.features(augment.resample(item.samples, item.rate, augment.RATE)) for item in items]
        sets = {"real": (heard, [item.digits for item in items])} | sets
    frames = {
        name: [spectrogram.stack((f - mean) * scale, learn.STACK) for f in features]
        for name, (features, _) in sets.items()
    }

    def errors(network: TrainableNetwork, name: str = "synthetic") -> Errors:
        return transcribing.errors(network, frames[name], [words.labels(digits) for digits in sets[name][1]])

    spoken = [name for name in sets if any(sets[name][1])]
    scores = (lambda network: {name: errors(network, name).rate for name in spoken}) if spoken else None
    return errors, scores


RECIPE = Recipe(
    "digits",
    """Train digits-uni and digits-bi on synthetic voices, and test them on real ones. Takes hours, --quick a minute.

    Ctrl-C while a model learns ends that: what it has learnt so far is tested and written. What was spoken and made
    before stays in the data folder, and the next run goes on with it; --resume goes on from the last checkpoint too.
    """,
    train,
    Options,
)
