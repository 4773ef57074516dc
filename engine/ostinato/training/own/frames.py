"""A user's frames as what a network learns from: normalised, and what is right for them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ostinato.data import Utterance, check_pace
from ostinato.errors import InputError, TrainingError
from ostinato.model.activation import Activation
from ostinato.model.decoders import Decoder, Labels, Outputs, SequenceClass
from ostinato.model.front_ends import Frames
from ostinato.model.layers import Dense, Layer, Softmax
from ostinato.model.network import Network
from ostinato.model.specification import Sequential, Specification
from ostinato.streaming import Model
from ostinato.training.batching import Batch, bucketed, pad
from ostinato.training.losses import CrossEntropy, Loss, MeanSquaredError
from ostinato.training.own.config import Config
from ostinato.training.own.labels import indices_of, names_of
from ostinato.training.own.matter import Matter, Tested
from ostinato.training.packing import Array


@dataclass(frozen=True)
class Task:
    """What the data ask for: a label of each frame ("frame") or of each utterance ("sequence"), or numbers of each
    frame ("numbers"). ``names`` of the labels; ``outputs``; values of a frame; ms between frames."""

    kind: str
    names: tuple[str, ...]
    outputs: int
    size: int
    frame_ms: float


def task(utterances: Sequence[Utterance], labels: Sequence[str], frame_ms: float) -> Task:
    """What they have in common. Raises InputError for what they have not."""
    first = utterances[0]
    for each in utterances:
        if isinstance(each.input, str):
            raise InputError(f"{each.name} is text, others are frames: choose one")
        if (size := np.shape(each.input)[1]) != (others := np.shape(first.input)[1]):
            raise InputError(f"{each.name} has frames of {size} values, others {others}")
    said = next((each.frame_ms for each in utterances if each.frame_ms is not None), frame_ms)
    for each in utterances:
        check_pace(each.name, each.frame_ms, said, "the first file")
    size = int(np.shape(first.input)[1])
    labelled = [each.labels for each in utterances if each.labels is not None]
    numbered = [each.targets for each in utterances if each.targets is not None]
    if len(labelled) == len(utterances):
        kinds = {each.ndim for each in labelled}
        if len(kinds) > 1:
            raise InputError("some utterances have a label for each frame, others one for the whole: choose one")
        names = tuple(labels) or names_of(labelled)
        return Task("sequence" if kinds == {0} else "frame", names, len(names), size, said)
    if len(numbered) == len(utterances):
        widths = {each.shape[1] for each in numbered}
        if len(widths) > 1:
            raise InputError(f"targets have {', '.join(map(str, sorted(widths)))} numbers a frame: make them as many")
        return Task("numbers", (), widths.pop(), size, said)
    bare = next(each.name for each in utterances if each.labels is None and each.targets is None)
    raise InputError(f"{bare} has neither labels nor targets: nothing can be learnt from it")


def right(utterance: Utterance, of: Task) -> Array:
    """Indices of labels, [T] or of no dimension, below 0 where there is none; or numbers [T, outputs]."""
    if of.kind == "numbers":
        assert utterance.targets is not None
        return utterance.targets
    return indices_of(utterance, of.names)


class Dataset:
    """Utterances of frames to learn from, or to judge by."""

    def __init__(self, utterances: Sequence[Utterance], of: Task, mean: Array, scale: Array) -> None:
        self.frames = [((np.asarray(each.input) - mean) * scale).astype(np.float32) for each in utterances]
        self.right = [right(each, of) for each in utterances]
        self.lengths = [len(frames) for frames in self.frames]
        self.kind = of.kind

    def batch(self, chosen: npt.NDArray[np.int64]) -> Batch:
        """Some of them."""
        frames, lengths = pad([self.frames[i] for i in chosen])
        found = [self.right[i] for i in chosen]
        if self.kind == "sequence":
            return Batch(frames, lengths, np.array(found, np.int64))
        return Batch(frames, lengths, pad(found, -1 if self.kind == "frame" else np.nan)[0])

    def batches(self, size: int, seed: int, epoch: int | None) -> Iterator[Batch]:
        """All of them, of about equal lengths, in an order of the epoch's own; None: the longest first."""
        random = None if epoch is None else np.random.default_rng([seed, epoch])
        for chosen in bucketed(self.lengths, size, random):
            yield self.batch(chosen)

    def digest(self) -> str:
        """Of all that is in it."""
        found = hashlib.sha256()
        for frames, answers in zip(self.frames, self.right, strict=True):
            found.update(np.ascontiguousarray(frames).tobytes() + np.ascontiguousarray(answers).tobytes())
        return found.hexdigest()


def normalisation(sequences: Sequence[Array]) -> tuple[Array, Array]:
    """Mean and scale (1 / deviation) [size] of frames; a value that never changes is left as large as it is. No
    second copy of all frames is made."""
    count = sum(map(len, sequences))
    mean = sum(rows.sum(axis=0, dtype=np.float64) for rows in sequences) / count
    deviation = np.sqrt(sum(((rows - mean) ** 2).sum(axis=0) for rows in sequences) / count)
    scale = 1 / np.where(deviation > 1e-12, deviation, 1)
    return np.asarray(mean, np.float32), np.asarray(scale, np.float32)


def matter(
    config: Config, learning: Sequence[Utterance], judged_by: Sequence[Utterance], test: Sequence[Utterance]
) -> Matter:
    """Of frames. Raises InputError and TrainingError for what does not fit."""
    of = task([*learning, *judged_by, *test], config.data.labels, config.data.frame_ms)
    mean, scale = normalisation([np.asarray(each.input) for each in learning])
    seen, held = (Dataset(each, of, mean, scale) for each in (learning, judged_by))
    loss = config.learning.loss or (MeanSquaredError() if of.kind == "numbers" else CrossEntropy())
    return Matter(
        specification(config, of, loss),
        loss,
        seen,
        held,
        _about(of),
        f"{sum(seen.lengths) * of.frame_ms / 60_000:.1f} min of frames every {of.frame_ms:g} ms",
        of.kind != "numbers",
        (lambda network: _tested(network, test, of)) if test else None,
        {"front_end.mean": mean, "front_end.scale": scale},
    )


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


def _tested(network: Network, utterances: Sequence[Utterance], of: Task) -> Tested:
    """Through the model's own stream."""
    model, total, count = Model(network), 0.0, 0
    for each in utterances:
        stream, wanted = model.stream(decoder="outputs"), right(each, of)
        events = [*stream.push(np.asarray(each.input)), *stream.flush()]
        stream.close()
        values = np.array([event.values for event in events])
        if of.kind == "numbers":
            some = ~np.isnan(wanted[: len(values)])
            total += float(((values - wanted[: len(values)])[some] ** 2).sum())
        else:
            labels = wanted[: len(values)] if wanted.ndim else wanted[None]
            found = values.argmax(axis=1) if wanted.ndim else values[-1:].argmax(axis=1)
            some = labels >= 0
            total += float((found == labels)[some].sum())
        count += int(some.sum())
    made = "mean squared error" if of.kind == "numbers" else "share of labels that is right"
    return Tested(total / count if count else math.nan, count, made)
