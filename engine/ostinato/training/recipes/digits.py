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

import numpy as np

from ostinato.errors import ModelError, TrainingError
from ostinato.model import file as model_file
from ostinato.training.losses import Ctc
from ostinato.training.network import TrainableNetwork
from ostinato.training.optimiser import Adam, WarmupCosine
from ostinato.training.recipes import augment, cards, compose, evaluation, learn, real, voices
from ostinato.training.recipes.voices import Progress
from ostinato.training.trainer import export, fit


@dataclass(frozen=True)
class Options:
    """What to do: where models and data go, how much data, how long to learn, and where real voices are.

    ``real``: folders with unpacked packages of recordings; ``fsdd``: a clone of the Free Spoken Digit Dataset (see
    `real`). Three of its voices then choose the checkpoint; without it, utterances held out from training do.
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


def no_progress(what: str, done: int, total: int) -> None:
    """Say nothing."""


def train(
    options: Options,
    progress: Progress = no_progress,
    left_out: Callable[[Path, Exception], None] | None = None,
) -> list[Path]:
    """Build the data where they are missing, train, test, and write digits-uni, digits-bi .safetensors and MODELS.md.

    Recordings of real voices are read first: one that cannot be read raises InputError before hours are spent, or is
    left out, and ``left_out`` told. Raises TrainingError if no synthesiser is installed.
    """
    found, missing = voices.synthesisers()
    if not found:
        raise TrainingError("no speech synthesiser is installed: " + "; ".join(s.install for s in missing))
    people = real.recordings(options.real, options.fsdd, left_out=left_out)
    voices.speak_all(options.data / "voices", options.seed, options.workers, progress)
    paths = compose.make_shards(
        options.data / "utterances", options.data / "voices", options.shards, options.examples_per_shard,
        options.seed, options.workers, progress,
    )  # fmt: skip
    learning = [e for path in paths[1:] or paths for e in compose.load(path)]
    mean, scale = learn.normalisation(learning[:5000])
    written = []
    for direction in options.directions:
        network = TrainableNetwork(learn.specification(direction), np.float32, options.seed, dropout=0.2)
        network.constants = {"front_end.mean": mean, "front_end.scale": scale}
        fit(
            network,
            learn.Batches(learning, mean, scale, options.batch, options.seed),
            Ctc(),
            Adam(
                WarmupCosine(options.rate, options.steps, 300, options.rate / 100), weight_decay=1e-2, clip_norm=5.0
            ),
            steps=options.steps,
            seed=options.seed,
            evaluate=_evaluation(compose.load(paths[0]), people, mean, scale),
            checkpoint=options.data / f"{direction}.checkpoint.safetensors",
            resume=options.resume,
        )
        trained = export(network)
        report = evaluation.evaluate(trained, real.items(people), progress)
        path = options.output / f"{trained.specification.name}.safetensors"
        options.output.mkdir(parents=True, exist_ok=True)
        model_file.write(path, cards.with_card(trained, report, learning, found))
        written.append(path)
    models = []
    for path in sorted(options.output.glob("digits-*.safetensors")):
        try:
            models.append(model_file.read(path).specification)
        except (ModelError, OSError) as error:  # none of those just written
            if left_out is not None:
                left_out(path, error)
    (options.output / "MODELS.md").write_text(cards.summary(models), encoding="utf-8")
    return written


def _evaluation(
    held_out: list[compose.Example], people: Sequence[real.Recording], mean: learn.Array, scale: learn.Array
) -> Callable[[TrainableNetwork], Mapping[str, float]]:
    """Digit error rates that choose the checkpoint: of real selection voices, if any, and of utterances held out."""
    sets = {"synthetic": ([e.features.astype(np.float32) for e in held_out], [e.digits for e in held_out])}
    chosen = [r for r in people if r.voice in real.SELECTION]
    if chosen:
        items = real.items(chosen)
        heard = [compose.features(augment.resample(item.samples, item.rate, augment.RATE)) for item in items]
        sets = {"real": (heard, [item.digits for item in items])} | sets
    frames = {name: [learn.stack((f - mean) * scale) for f in features] for name, (features, _) in sets.items()}
    return lambda network: {name: learn.error_rate(network, frames[name], sets[name][1]) for name in sets}
