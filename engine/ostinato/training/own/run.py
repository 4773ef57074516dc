"""A run of learning as a configuration asks for it, in a folder of its own."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Mapping, Sequence, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, TypeVar

import numpy as np
from rich.console import Console

from ostinato import data
from ostinato.data import Utterance
from ostinato.errors import InputError, TrainingError
from ostinato.model import file as model_file
from ostinato.model.network import Network
from ostinato.training.losses import CrossEntropy
from ostinato.training.network import TrainableNetwork
from ostinato.training.objective import Objective
from ostinato.training.own import frames, speech, texts
from ostinato.training.own.config import Config, How
from ostinato.training.own.matter import Matter, Tested
from ostinato.training.own.speech import Hear, Recording
from ostinato.training.run_folder import RunFolder
from ostinato.training.trainer import History, export

Given: TypeAlias = Utterance | Recording
K = TypeVar("K", Utterance, Recording)


@dataclass(frozen=True)
class Run:
    """What came of it: the model's file, and what it says of itself."""

    path: Path
    history: History
    card: Mapping[str, str]


def run(
    config_path: Path, folder: Path, resume: bool = False, console: Console | None = None, hear: Hear | None = None
) -> Run:
    """Learn as the configuration says, in ``folder``; ``hear`` reads recordings, where the data are some. Raises
    TrainingError, InputError or BadModelFileError for what cannot be learnt, a folder with another run, and nothing
    to resume."""
    config = Config.of(config_path)
    how, beside = config.learning, config_path.parent
    learning = read(config.data.train, beside)
    if config.data.validation:
        judged_by = read(config.data.validation, beside)
    else:
        learning, judged_by = hold_out(learning, config.data.held_out, how.seed)
    matter = _matter(config, learning, judged_by, read(config.data.test, beside), hear)
    network = TrainableNetwork(
        matter.specification, seed=how.seed, dropout=how.dropout, recurrent_dropout=how.recurrent_dropout
    )
    network.constants |= dict(matter.constants)
    kept = RunFolder(folder)
    digest = hashlib.sha256((matter.seen.digest() + matter.held.digest()).encode()).hexdigest()
    kept.begin(config_path.read_text(encoding="utf-8"), digest, resume)
    count = math.ceil(len(matter.seen.lengths) / how.batch)
    parts = math.ceil(max(matter.seen.lengths) / how.truncate) if how.truncate else 1
    history = kept.fit(
        network,
        lambda epoch: matter.seen.batches(how.batch, how.seed, epoch),
        matter.loss,
        config.optimiser(how.epochs * count * parts),
        steps=how.epochs * count,
        seed=how.seed,
        evaluate=lambda now: evaluate(now, matter, how.batch),
        evaluate_every=count,
        patience=how.patience,
        truncate=how.truncate,
        own_tokens=how.own_tokens,
        average=how.average,
        share=how.share,
        workers=how.workers,
        resume=resume,
        console=console,
    )
    made = export(network)
    card = _card(matter, network, history, how, matter.test(made) if matter.test else None)
    made = Network(dataclasses.replace(made.specification, card=card), made.weights)
    path = folder / f"{config.name}.safetensors"
    model_file.write(path, made)
    return Run(path, history, card)


def _matter(
    config: Config, learning: Sequence[Given], judged_by: Sequence[Given], test: Sequence[Given], hear: Hear | None
) -> Matter:
    """By the kind of the data. Raises InputError if they are of several."""
    parts, everything = (learning, judged_by, test), (*learning, *judged_by, *test)
    recordings, others = _those(Recording, everything), _those(Utterance, everything)
    if not recordings:
        make = texts.matter if isinstance(others[0].input, str) else frames.matter
        return make(config, *(_those(Utterance, part) for part in parts))
    if others:
        raise InputError(f"{recordings[0].name} is a recording, {others[0].name} is none: choose one kind of data")
    if hear is None:
        raise TrainingError(f"{recordings[0].name} is a recording: give `run` what reads it (hear)")
    return speech.matter(config, hear, *(_those(Recording, part) for part in parts))


def _those(kind: type[K], given: Sequence[Given]) -> list[K]:
    return [each for each in given if isinstance(each, kind)]


def read(names: Sequence[str], beside: Path) -> list[Given]:
    """The utterances of files and folders. Raises InputError, naming what is wrong."""
    found: list[Given] = []
    for name in names:
        path = beside / name
        if not path.exists():
            raise InputError(f"{name} is not there, beside {beside}")
        if recordings := speech.read(path, beside):
            found += recordings
            continue
        files = sorted(p for p in path.iterdir() if p.suffix.lower() in data.FORMATS) if path.is_dir() else [path]
        if not files:
            raise InputError(f"{name} has no file of data: those end in {', '.join((*data.FORMATS, '.wav'))}")
        for file in files:
            found += data.read(file)
    return found


def hold_out(utterances: list[Given], share: float, seed: int) -> tuple[list[Given], list[Given]]:
    """Some to learn from, and a share, one at least, to judge by. Raises TrainingError if that leaves none."""
    count = max(1, round(share * len(utterances)))
    if count >= len(utterances):
        raise TrainingError(
            f"{_counted(utterances)}: too few to hold some out; give data.validation, or more of them"
        )
    order = np.random.default_rng(seed).permutation(len(utterances))
    held = set(order[:count].tolist())
    return [u for i, u in enumerate(utterances) if i not in held], [utterances[i] for i in sorted(held)]


def evaluate(network: TrainableNetwork, matter: Matter, size: int) -> dict[str, float]:
    """The mean loss of utterances that are not learnt from, and of labels and tokens the share that is right. What
    cannot be aligned (CTC) has no loss. An error rate comes first, as the first chooses."""
    objective, sums, counts, correct, labelled = Objective(network, matter.loss), 0.0, 0.0, 0, 0
    for batch in matter.held.batches(size, 0, None):
        outputs = network.forward(batch.inputs, batch.lengths, sources=batch.sources)
        lengths = network.output_lengths(batch.lengths)
        judged = objective(outputs, lengths, {"main": batch.targets})["main"]
        sums, counts = sums + judged.sums[judged.counts > 0].sum(), counts + judged.counts.sum()
        if matter.labelled:
            shape = network.output_shapes(batch.inputs, batch.lengths)["main"]
            labels = CrossEntropy().by_frame(shape, lengths["main"], batch.targets)
            correct += int((outputs["main"].argmax(axis=2) == labels)[labels >= 0].sum())
            labelled += int((labels >= 0).sum())
    found = {"validation loss": float(sums / counts) if counts else math.inf}
    if matter.error_rate is not None:
        found = {"error rate": matter.error_rate(network)} | found
    return found | ({"accuracy": correct / labelled} if labelled else {})


def _card(
    matter: Matter, network: TrainableNetwork, history: History, how: How, test: Tested | None
) -> dict[str, str]:
    """What was done, and what was not: of results that exist."""
    stopped = ", stopped by hand" if history.interrupted else ""
    shown = ", ".join(f"{name} {value:.4g}" for name, value in evaluate(network, matter, how.batch).items())
    averaged = f", averaged over steps ({how.average})" if how.average is not None else ""
    chosen = "They chose among the weights, and are no fair test." if history.best_step >= 0 else ""
    tested = (
        f"Test data, through the model's own stream: {test.what} {test.value:.4g} of {test.answers}."
        if test and test.answers
        else "No test data were given: nothing says how right it is elsewhere."
    )
    return {
        "training data": (
            f"{_counted(matter.seen.lengths)} ({matter.amount}) with {matter.about}. Steps of learning: "
            f"{history.steps}{stopped}; the weights are those of step "
            f"{history.best_step if history.best_step >= 0 else history.steps}{averaged}. Loss: {matter.loss.kind}."
        ),
        "accuracy": f"Validation, {_counted(matter.held.lengths)} not learnt from: {shown}. {chosen} {tested}",
    }


def _counted(utterances: Sized) -> str:
    """How many there are."""
    return f"{len(utterances)} utterance{'s' * (len(utterances) != 1)}"
