"""The recipe ``digits``: English spoken digits, learnt from synthetic voices, tested on real ones.

1. Synthesisers speak (`voices`).
2. Utterances are made of what they said (`compose`, `augment`).
3. A unidirectional and a bidirectional network of about equal size learn them by CTC (`learn`, `trainer.fit`).
4. Both are tested on recordings of real people (`real`, `evaluation`).
5. They are written as model files, each with a card that says all this (`cards`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ostinato.errors import ModelError, TrainingError
from ostinato.model import file as model_file
from ostinato.pipeline.score import Errors
from ostinato.training.losses import CtcLoss
from ostinato.training.network import TrainableNetwork
from ostinato.training.optimisers import AdamW
from ostinato.training.recipes import augment, cards, compose, evaluation, learn, real, voices
from ostinato.training.recipes.voices import Progress
from ostinato.training.schedules import Cosine, Warmup
from ostinato.training.trainer import export, fit


@dataclass(frozen=True)
class Options:
    """What to do: where models and data go, how much data, how long to learn, and where real voices are.

    ``real``: folders with unpacked packages of recordings; ``fsdd``: a clone of the Free Spoken Digit Dataset (see
    `real`). Three of its voices then choose the checkpoint; without it, utterances held out from training do.
    ``voices``: the most of each synthesiser, None all. ``quick``: see `small`. Raises TrainingError if nothing could
    be held out.
    """

    output: Path = Path()
    data: Path = Path("data/digits")
    directions: tuple[learn.Direction, ...] = ("uni", "bi")
    shards: int = 60
    examples_per_shard: int = 500
    steps: int = 9000
    batch: int = 48
    rate: float = 2e-3
    seed: int = 1
    workers: int = field(default_factory=lambda: os.cpu_count() or 1)
    resume: bool = False
    real: tuple[Path, ...] = ()
    fsdd: Path | None = None
    voices: int | None = None
    quick: bool = False

    def __post_init__(self) -> None:
        if self.shards < 2:
            raise TrainingError(f"shards = {self.shards}: there must be two or more, as one is held out for tests")

    @staticmethod
    def small(data: Path = Path("data/digits"), **more: Any) -> Options:
        """A trial of the recipe, about a minute: few voices, little data, few steps; the models' names say so."""
        few: dict[str, Any] = {
            "shards": 3, "examples_per_shard": 100, "steps": 150, "batch": 24, "voices": 4, "quick": True,
        }  # fmt: skip
        return Options(data=data / "quick", **(few | more))


class Trained(NamedTuple):
    """The model files that were written, and whether learning was ended by KeyboardInterrupt in the last of them."""

    paths: list[Path]
    interrupted: bool


def no_progress(what: str, done: int, total: int) -> None:
    """Say nothing."""


def train(
    options: Options,
    progress: Progress = no_progress,
    left_out: Callable[[Path, Exception], None] | None = None,
) -> Trained:
    """Build the data where they are missing, train, test, and write digits-uni, digits-bi .safetensors and MODELS.md.

    Recordings of real voices are read first: one that cannot be read raises InputError before hours are spent, or is
    left out, and ``left_out`` told. KeyboardInterrupt while a model learns ends that: what it has learnt so far is
    tested and written, and no other model learns. Raises TrainingError if no synthesiser is installed.
    """
    found, missing = voices.synthesisers()
    if not found:
        raise TrainingError("no speech synthesiser is installed: " + "; ".join(s.install for s in missing))
    people = real.recordings(options.real, options.fsdd, left_out=left_out)
    voices.speak_all(options.data / "voices", options.seed, options.workers, progress, options.voices)
    paths = compose.make_shards(
        options.data / "utterances", options.data / "voices", options.shards, options.examples_per_shard,
        options.seed, options.workers, progress,
    )  # fmt: skip
    heard, unheard = voices.in_folder(options.data / "voices")
    learning = [e for path in paths[1:] for e in compose.load(path)]
    mean, scale = learn.normalisation(learning[:5000])
    held_out, scores = _tests(compose.load(paths[0]), people, mean, scale)
    written, interrupted = [], False
    for direction in options.directions:
        network = TrainableNetwork(learn.specification(direction), np.float32, options.seed, dropout=0.2)
        network.constants = {"front_end.mean": mean, "front_end.scale": scale}
        warmup = min(300, options.steps // 10)
        history = fit(
            network,
            learn.Batches(learning, mean, scale, options.batch, options.seed),
            CtcLoss(),
            AdamW(
                Warmup(Cosine(options.rate, options.steps - warmup, options.rate / 100), warmup),
                weight_decay=1e-2,
                clip_norm=5.0,
            ),
            steps=options.steps,
            seed=options.seed,
            evaluate=scores,
            checkpoint=options.data / f"{direction}.checkpoint.safetensors",
            resume=options.resume,
        )
        trained = export(network, f"digits-{direction}" + "-quick" * options.quick)
        report = evaluation.evaluate(trained, real.items(people), progress)
        making = cards.Making(
            learning, heard, unheard, history.steps, options.steps, held_out(network), history.best_step >= 0,
            options.quick,
        )  # fmt: skip
        path = options.output / f"{trained.specification.name}.safetensors"
        options.output.mkdir(parents=True, exist_ok=True)
        model_file.write(path, cards.with_card(trained, report, making))
        written.append(path)
        if interrupted := history.interrupted:
            break
    models = []
    for path in sorted(options.output.glob("digits-*.safetensors")):
        try:
            models.append(model_file.read(path).specification)
        except (ModelError, OSError) as error:  # none of those just written
            if left_out is not None:
                left_out(path, error)
    (options.output / "MODELS.md").write_text(cards.summary(models), encoding="utf-8")
    return Trained(written, interrupted)


def _tests(
    examples: list[compose.Example], people: Sequence[real.Recording], mean: learn.Array, scale: learn.Array
) -> tuple[Callable[[TrainableNetwork], Errors], Callable[[TrainableNetwork], Mapping[str, float]] | None]:
    """The errors in ``examples``, which were held out from learning; and digit error rates that choose the
    checkpoint: of real selection voices, if any, and of the examples. None if no digit is in them."""
    sets = {"synthetic": ([e.features.astype(np.float32) for e in examples], [e.digits for e in examples])}
    chosen = [r for r in people if r.voice in real.SELECTION]
    if chosen:
        items = real.items(chosen)
        heard = [compose.features(augment.resample(item.samples, item.rate, augment.RATE)) for item in items]
        sets = {"real": (heard, [item.digits for item in items])} | sets
    frames = {name: [learn.stack((f - mean) * scale) for f in features] for name, (features, _) in sets.items()}

    def errors(network: TrainableNetwork, name: str = "synthetic") -> Errors:
        return learn.errors(network, frames[name], sets[name][1])

    spoken = [name for name in sets if any(sets[name][1])]
    scores = (lambda network: {name: errors(network, name).rate for name in spoken}) if spoken else None
    return errors, scores
