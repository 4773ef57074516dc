"""A user's utterances as what a network learns from: normalised frames, and what is right for them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato import data
from ostinato.data import Utterance
from ostinato.errors import InputError, TrainingError
from ostinato.training.batching import Batch, bucketed, pad
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


def read(names: Sequence[str], beside: Path) -> list[Utterance]:
    """The utterances of files and folders. Raises InputError, naming what is wrong."""
    found: list[Utterance] = []
    for name in names:
        path = beside / name
        if not path.exists():
            raise InputError(f"{name} is not there, beside {beside}")
        files = sorted(p for p in path.iterdir() if p.suffix.lower() in data.OF_FRAMES) if path.is_dir() else [path]
        if not files:
            raise InputError(f"{name} has no file of frames: those end in {', '.join(data.OF_FRAMES)}")
        for file in files:
            found += data.read(file)
    return found


def task(utterances: Sequence[Utterance], labels: Sequence[str], frame_ms: float) -> Task:
    """What they have in common. Raises InputError for what they have not."""
    first = utterances[0]
    for each in utterances:
        if isinstance(each.input, str):
            raise InputError(f"{each.name} is text: what is learnt from here are frames")
        if (size := np.shape(each.input)[1]) != (others := np.shape(first.input)[1]):
            raise InputError(f"{each.name} has frames of {size} values, others {others}")
    said = next((each.frame_ms for each in utterances if each.frame_ms is not None), frame_ms)
    for each in utterances:
        data.check_pace(each.name, each.frame_ms, said, "the first file")
    size = int(np.shape(first.input)[1])
    labelled = [each.labels for each in utterances if each.labels is not None]
    numbered = [each.targets for each in utterances if each.targets is not None]
    if len(labelled) == len(utterances):
        kinds = {each.ndim for each in labelled}
        if len(kinds) > 1:
            raise InputError("some utterances have a label for each frame, others one for the whole: choose one")
        names = tuple(labels) or _names(labelled)
        return Task("sequence" if kinds == {0} else "frame", names, len(names), size, said)
    if len(numbered) == len(utterances):
        widths = {each.shape[1] for each in numbered}
        if len(widths) > 1:
            raise InputError(f"targets have {', '.join(map(str, sorted(widths)))} numbers a frame: make them as many")
        return Task("numbers", (), widths.pop(), size, said)
    bare = next(each.name for each in utterances if each.labels is None and each.targets is None)
    raise InputError(f"{bare} has neither labels nor targets: nothing can be learnt from it")


def _names(labels: Sequence[npt.NDArray[Any]]) -> tuple[str, ...]:
    """Of labels that are texts, those there are; of indices, the numbers."""
    if all(each.dtype.kind == "U" for each in labels):
        found = sorted({str(name) for each in labels for name in np.unique(each)} - {""})
    elif all(each.dtype.kind in "iu" for each in labels):
        found = [str(number) for number in range(1 + max(int(each.max(initial=-1)) for each in labels))]
    else:
        raise InputError("some labels are names, others indices: choose one")
    if len(found) < 2:
        raise InputError(f"labels are only {found}: there is nothing to tell apart")
    return tuple(found)


def right(utterance: Utterance, of: Task) -> Array:
    """Indices of labels, [T] or of no dimension, below 0 where there is none; or numbers [T, outputs]."""
    if of.kind == "numbers":
        assert utterance.targets is not None
        return utterance.targets
    labels = np.asarray(utterance.labels)
    if labels.dtype.kind == "U":
        known = {name: at for at, name in enumerate(of.names)} | {"": -1}
        for at, label in enumerate(labels.reshape(-1)):
            if str(label) not in known:
                raise InputError(f"{utterance.place(at)}: label {str(label)!r} is none of {', '.join(of.names)}")
        indices = np.array([known[str(label)] for label in labels.reshape(-1)], np.int64)
        return indices.reshape(labels.shape)
    if labels.max(initial=-1) >= len(of.names):
        raise InputError(f"{utterance.name}: label {labels.max()} of {len(of.names)} labels (0-based)")
    return labels


class Dataset:
    """Utterances to learn from, or to judge by."""

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


def normalisation(utterances: Sequence[Utterance]) -> tuple[Array, Array]:
    """Mean and scale (1 / deviation) [size]; a value that never changes is left as large as it is."""
    rows = np.concatenate([np.asarray(each.input, np.float64) for each in utterances])
    deviation = rows.std(axis=0)
    scale = 1 / np.where(deviation > 1e-12, deviation, 1)
    return rows.mean(axis=0).astype(np.float32), scale.astype(np.float32)


def hold_out(utterances: list[Utterance], share: float, seed: int) -> tuple[list[Utterance], list[Utterance]]:
    """Some to learn from, and a share, one at least, to judge by. Raises TrainingError if that leaves none."""
    count = max(1, round(share * len(utterances)))
    if count >= len(utterances):
        raise TrainingError(
            f"{len(utterances)} utterances are too few to hold some out: give data.validation, or more of them"
        )
    order = np.random.default_rng(seed).permutation(len(utterances))
    held = set(order[:count].tolist())
    return [u for i, u in enumerate(utterances) if i not in held], [utterances[i] for i in sorted(held)]
