"""A run of learning as a configuration asks for it, in a folder of its own."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console

from ostinato.data import Utterance
from ostinato.errors import TrainingError
from ostinato.model import file as model_file
from ostinato.model.activation import Activation
from ostinato.model.decoders import Decoder, Labels, Outputs, SequenceClass
from ostinato.model.front_ends import Frames
from ostinato.model.layers import Dense, Layer, Softmax
from ostinato.model.network import Network
from ostinato.model.specification import Sequential, Specification
from ostinato.streaming import Model
from ostinato.training.losses import CrossEntropy, Loss, MeanSquaredError
from ostinato.training.network import TrainableNetwork
from ostinato.training.objective import Objective
from ostinato.training.own import dataset
from ostinato.training.own.config import Config
from ostinato.training.own.dataset import Dataset, Task
from ostinato.training.run_folder import RunFolder
from ostinato.training.trainer import History, export


@dataclass(frozen=True)
class Run:
    """What came of it: the model's file, and what it says of itself."""

    path: Path
    history: History
    card: Mapping[str, str]


def run(config_path: Path, folder: Path, resume: bool = False, console: Console | None = None) -> Run:
    """Learn as the configuration says, in ``folder``. Raises TrainingError, InputError or BadModelFileError for what
    cannot be learnt, a folder with another run, and nothing to resume."""
    config = Config.of(config_path)
    how, beside = config.learning, config_path.parent
    learning = dataset.read(config.data.train, beside)
    if config.data.validation:
        judged_by = dataset.read(config.data.validation, beside)
    else:
        learning, judged_by = dataset.hold_out(learning, config.data.held_out, how.seed)
    test = dataset.read(config.data.test, beside)
    task = dataset.task([*learning, *judged_by, *test], config.data.labels, config.data.frame_ms)
    mean, scale = dataset.normalisation(learning)
    seen, held = (Dataset(each, task, mean, scale) for each in (learning, judged_by))
    loss = how.loss or (MeanSquaredError() if task.kind == "numbers" else CrossEntropy())
    network = TrainableNetwork(
        specification(config, task, loss), seed=how.seed, dropout=how.dropout, recurrent_dropout=how.recurrent_dropout
    )
    network.constants = {"front_end.mean": mean, "front_end.scale": scale}
    digest = hashlib.sha256((seen.digest() + held.digest()).encode()).hexdigest()
    kept = RunFolder(folder)
    kept.begin(config_path.read_text(encoding="utf-8"), digest, resume)
    count = math.ceil(len(seen.lengths) / how.batch)
    parts = math.ceil(max(seen.lengths) / how.truncate) if how.truncate else 1

    history = kept.fit(
        network,
        lambda epoch: seen.batches(how.batch, how.seed, epoch),
        loss,
        config.optimiser(how.epochs * count * parts),
        steps=how.epochs * count,
        seed=how.seed,
        evaluate=lambda now: evaluate(now, held, loss, how.batch),
        evaluate_every=count,
        patience=how.patience,
        truncate=how.truncate,
        share=how.share,
        workers=how.workers,
        resume=resume,
        console=console,
    )
    made = export(network)
    card = _card(config, task, seen, held, network, history, loss, _test(made, test, task) if test else None)
    made = Network(dataclasses.replace(made.specification, card=card), made.weights)
    path = folder / f"{config.name}.safetensors"
    model_file.write(path, made)
    return Run(path, history, card)


def specification(config: Config, task: Task, loss: Loss) -> Specification:
    """The layers, and above them what the task asks for."""
    last: list[Layer] = [Dense(task.outputs)]
    if loss.link == "softmax":
        last.append(Softmax())
    elif loss.link == "sigmoid":
        last = [Dense(task.outputs, activation=Activation("sigmoid"))]
    decoders: dict[str, Decoder] = {"frame": Labels(task.names), "sequence": SequenceClass(task.names)}
    if (task.kind == "numbers") == (loss.link == "softmax") or not loss.framewise:
        raise TrainingError(f"learning.loss: {loss.kind} does not fit data with {_about(task)}")
    return Sequential(
        config.name,
        Frames(task.size, task.frame_ms, normalise=True),
        [*config.layers, *last],
        decoders.get(task.kind, Outputs()),
        description=config.description,
        licence=config.licence,
    )


def _about(task: Task) -> str:
    return {"frame": "a label for each frame", "sequence": "a label for each utterance"}.get(task.kind, "numbers")


def evaluate(network: TrainableNetwork, held: Dataset, loss: Loss, size: int) -> dict[str, float]:
    """The mean loss of utterances that are not learnt from, and of labels the share that is right."""
    objective, sums, counts, correct, labelled = Objective(network, loss), 0.0, 0.0, 0, 0
    for batch in held.batches(size, 0, None):
        outputs, lengths = network.forward(batch.inputs, batch.lengths), network.output_lengths(batch.lengths)
        judged = objective(outputs, lengths, {"main": batch.targets})["main"]
        sums, counts = sums + judged.sums.sum(), counts + judged.counts.sum()
        if held.kind != "numbers":
            shape = network.output_shapes(batch.inputs, batch.lengths)["main"]
            labels = CrossEntropy().by_frame(shape, lengths["main"], batch.targets)
            correct += int((outputs["main"].argmax(axis=2) == labels)[labels >= 0].sum())
            labelled += int((labels >= 0).sum())
    found = {"validation loss": float(sums / counts) if counts else math.inf}
    return found | ({"accuracy": correct / labelled} if labelled else {})


def _test(network: Network, utterances: Sequence[Utterance], task: Task) -> tuple[float, int]:
    """Through the model's own stream: the share of labels that is right, or the mean squared error; of how many."""
    model, total, count = Model(network), 0.0, 0
    for each in utterances:
        stream, wanted = model.stream(decoder="outputs"), dataset.right(each, task)
        events = [*stream.push(np.asarray(each.input)), *stream.flush()]
        stream.close()
        values = np.array([event.values for event in events])
        if task.kind == "numbers":
            some = ~np.isnan(wanted[: len(values)])
            total += float(((values - wanted[: len(values)])[some] ** 2).sum())
        else:
            labels = wanted[: len(values)] if wanted.ndim else wanted[None]
            found = values.argmax(axis=1) if wanted.ndim else values[-1:].argmax(axis=1)
            some = labels >= 0
            total += float((found == labels)[some].sum())
        count += int(some.sum())
    return (total / count if count else math.nan), count


def _card(
    config: Config, task: Task, seen: Dataset, held: Dataset, network: TrainableNetwork, history: History, loss: Loss,
    test: tuple[float, int] | None,
) -> dict[str, str]:  # fmt: skip
    """What was done, and what was not: of results that exist."""
    minutes = sum(seen.lengths) * task.frame_ms / 60_000
    stopped = ", stopped by hand" if history.interrupted else ""
    numbers = evaluate(network, held, loss, config.learning.batch)
    shown = ", ".join(f"{name} {value:.4g}" for name, value in numbers.items())
    chosen = "They chose among the weights, and are no fair test." if history.best_step >= 0 else ""
    made = "share of labels that is right" if task.names else "mean squared error"
    tested = (
        f"Test data, through the model's own stream: {made} {test[0]:.4g} of {test[1]}."
        if test and test[1]
        else "No test data were given: nothing says how right it is elsewhere."
    )
    return {
        "training data": (
            f"{len(seen.lengths)} utterances ({minutes:.1f} min of frames every {task.frame_ms:g} ms) with "
            f"{_about(task)}. Steps of learning: {history.steps}{stopped}; the weights are those of step "
            f"{history.best_step if history.best_step >= 0 else history.steps}. Loss: {loss.kind}."
        ),
        "accuracy": f"Validation, {len(held.lengths)} utterances not learnt from: {shown}. {chosen} {tested}",
    }
