"""The recipe ``digits``: English spoken digits, learnt from synthetic voices, tested on real ones.

1. Synthesisers speak (`voices`); some speakers are kept apart.
2. Utterances are made of what they said (`compose`, `augment`).
3. A unidirectional and a bidirectional network of about equal size learn them by CTC (`learn`, `trainer.fit`).
4. Both are tested on the speakers kept apart (`conditions`) and on recordings of real people (`real`).
5. They are written as model files, each with a card that says all this (`cards`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import numpy as np

from ostinato.errors import TrainingError
from ostinato.model.network import Network
from ostinato.pipeline.score import Errors
from ostinato.training import transcribing
from ostinato.training.losses import CtcLoss
from ostinato.training.network import TrainableNetwork
from ostinato.training.optimisers import AdamW
from ostinato.training.recipes import plan, recipe, spectrogram, summary
from ostinato.training.recipes.digits import augment, cards, compose, conditions, learn, real, voices, words
from ostinato.training.recipes.plan import Plan, Tested, in_halves
from ostinato.training.recipes.recipe import MOST_STEPS, Option, Recipe, Telling, Trained
from ostinato.training.schedules import Trapezoid, Warmup
from ostinato.training.trainer import Evaluate, History, export

MODELS = ("uni", "bi")

T = TypeVar("T")


@dataclass(frozen=True)
class Options(recipe.Options):
    """What to do: how much data, how long to learn, and where real voices are.

    ``real``: folders with unpacked packages of recordings; ``fsdd``: a clone of the Free Spoken Digit Dataset (see
    `real`). Three of its voices then choose the checkpoint, with utterances of synthetic voices kept apart.
    ``voices``: the most of each synthesiser, None all. Raises TrainingError if nothing could be held out.
    """

    data: Annotated[Path, Option("Where the training set is kept.", "DIR")] = Path("data/digits")
    steps: Annotated[int, Option("Batches to learn from.", "N", 1, MOST_STEPS, shown="25000, quick: 150")] = 25_000
    real: Annotated[tuple[Path, ...], Option("Unpacked packages of recordings to test on.", "DIR", there=True)] = ()
    fsdd: Annotated[Path | None, Option("A clone of the Free Spoken Digit Dataset.", "DIR", there=True)] = None
    shards: int = 49
    examples_per_shard: int = 500
    batch: int = 32
    rate: float = 1.5e-3
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
    judges = Judges.of(held_back, people, mean, scale)
    data = compose.digest([*held_back, *learning])
    for direction in directions:
        specification = cards.described(learn.specification(direction))
        network = TrainableNetwork(options.named(specification), np.float32, options.seed, dropout=0.15)
        network.constants = {"front_end.mean": mean, "front_end.scale": scale}
        warmup = min(300, options.steps // 10)

        def finish(made: Network, network: TrainableNetwork = network) -> Network:
            judges.lean(network)
            return export(network, made.specification.name)

        def tested(
            made: Network, history: History, network: TrainableNetwork = network, direction: str = direction
        ) -> Tested:
            found = conditions.test(made, apart, real.items(people), telling.progress)
            held_out = judges.errors(network, "synthetic")
            making = cards.Making(
                learning, heard, unheard, history.steps, options.steps, held_out, history.best_step >= 0
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
                Warmup(Trapezoid(options.rate, options.steps - warmup, 0.7, options.rate / 100), warmup),
                weight_decay=1e-2,
                clip_norm=5.0,
            ),
            options.steps,
            judges.evaluate,
            tested,
            in_halves(options.batch) | {"evaluate_every": 1000, "average": 0.999},
            finish,
        )


@dataclass(frozen=True)
class Judges:
    """Who chooses: utterances of synthetic voices and of people, by that name, that are not learnt from. ``frames``:
    what the network hears of each, and ``said``: its words."""

    frames: Mapping[str, Sequence[spectrogram.Array]]
    said: Mapping[str, Sequence[Sequence[int]]]

    @staticmethod
    def of(
        examples: Sequence[compose.Example],
        people: Sequence[real.Recording],
        mean: spectrogram.Array,
        scale: spectrogram.Array,
    ) -> Judges:
        """``examples``, and what the selection voices among ``people`` say."""
        items = real.items([r for r in people if r.voice in real.SELECTION])
        heard = [compose.features(augment.resample(item.samples, item.rate, augment.RATE)) for item in items]
        features = {"synthetic": [e.features.astype(np.float32) for e in examples], "real": heard}
        frames = {
            name: [spectrogram.stack((f - mean) * scale, learn.STACK) for f in some]
            for name, some in features.items()
        }
        return Judges(frames, {"synthetic": [e.said for e in examples], "real": [item.digits for item in items]})

    def errors(self, network: TrainableNetwork, name: str) -> Errors:
        """The digits that are wrong in utterances of that name."""
        return transcribing.errors(network, self.frames[name], [words.labels(said) for said in self.said[name]])

    def scores(self, network: TrainableNetwork) -> dict[str, float]:
        """Digit error rates, of which the first chooses the weights: of all together, then of each."""
        found = {name: self.errors(network, name) for name in self.frames}
        together = sum(found.values(), Errors())
        return {"together": together.rate} | {name: one.rate for name, one in found.items() if one.symbols}

    @property
    def evaluate(self) -> Evaluate | None:
        """`scores`, or None if no digit is said."""
        return self.scores if any(word != words.OTHER for said in self._all(self.said) for word in said) else None

    def lean(self, network: TrainableNetwork) -> None:
        """As `learn.lean` by all."""
        learn.lean(network, self._all(self.frames), self._all(self.said))

    def _all(self, of: Mapping[str, Sequence[T]]) -> list[T]:
        return [one for some in of.values() for one in some]


RECIPE = Recipe(
    "digits",
    """Train digits-uni and digits-bi on synthetic voices, and test them on real ones. Takes hours, --quick a minute.

    Ctrl-C while a model learns ends that: what it has learnt so far is tested and written. What was spoken and made
    before stays in the data folder, and the next run goes on with it; --resume goes on from the last checkpoint too.
    """,
    train,
    Options,
)
