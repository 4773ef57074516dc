"""What models answer to a user's own data (`ostinato.data`), beside what is right.

Computed in this process, as fast as it goes: answers do not depend on how fast frames come. What can be compared is
a table by the head's decoder, `JUDGES`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ostinato.data import Float32, Labels, Utterance, check_pace, read
from ostinato.errors import InputError, OstinatoError, did_you_mean
from ostinato.events import Event
from ostinato.model import decoders
from ostinato.model.front_ends import Frames, Tokens
from ostinato.options import MAX_UTTERANCE_S, UTTERANCE_S
from ostinato.streaming import Model, Stream
from ostinato_bench.comparison import asked
from ostinato_bench.recognition import Way
from ostinato_bench.scores import LabelScore, NumberScore, Score, Sums

Indices = npt.NDArray[np.int64]
NONE = -1
"""The index of no label."""


@dataclass(frozen=True)
class Answered:
    """A way of answering, the utterances by name, and how right it was in each."""

    way: Way
    names: tuple[str, ...]
    score: Score


class Judge:
    """What a head says, in numbers that can be compared: the base of the kinds.

    ``settings`` are its decoder's, ``unit`` what each answer is for.
    """

    answers: ClassVar[str]
    """What it is, for people."""
    unit: ClassVar[str | None] = None
    """None: frame or token, as the model has them."""

    def __init__(self, way: Way) -> None:
        self.model, self.head = way.model, way.model.heads.find(way.head, None)
        front_end = self.model.network.specification.front_end
        self.counted = self.unit or ("token" if isinstance(front_end, Tokens) else "frame")
        self.frame_ms = front_end.frame_ms
        self.names = self.head.settings.names

    def right(self, utterance: Utterance) -> Any:
        """What would be right. Raises InputError where the file does not say it."""
        raise NotImplementedError

    def judge(self, events: Sequence[Event], right: Any, utterance: Utterance) -> Any:
        """How right the events of an utterance are."""
        raise NotImplementedError

    def score(self, judged: Sequence[Any]) -> Score:
        """Of all utterances."""
        raise NotImplementedError

    def frames_of(self, events: Sequence[Event], count: int, utterance: Utterance) -> Indices:
        """For each event the number of the frame, of ``count``, in which what it is of ends."""
        if len(events) == count:
            return np.arange(count)
        if isinstance(utterance.input, str) and self.model.network.stages is None:
            raise InputError(f"{utterance.place(0)} has {count} labels for {len(events)} tokens: give one for each")
        ends = np.array([event.time_ms for event in events], np.float64) / self.frame_ms
        frames: Indices = (np.clip(np.rint(ends), 1, count) - 1).astype(np.int64)
        return frames

    def _indices(self, labels: Labels, utterance: Utterance) -> Indices:
        """Which of the model's labels these are. Raises InputError for one that it does not have."""
        flat = labels.reshape(-1)
        values, inverse = np.unique(flat, return_inverse=True)
        found = np.array([self._index(value.item()) for value in values], np.int64)
        unknown = found[inverse] < NONE
        if unknown.any():
            at = int(np.flatnonzero(unknown)[0])
            label = flat[at].item()
            hint = did_you_mean(label, self.names) if isinstance(label, str) else ""
            known = ", ".join(self.names[:8]) + (" …" if len(self.names) > 8 else "")
            raise InputError(
                f"{utterance.place(at)}: label {label!r} is none of {self.model.name}'s {len(self.names)}: "
                f"{known}{hint}"
            )
        indices: Indices = found[inverse]
        return indices

    def _index(self, label: str | int) -> int:
        """NONE for no label, less for one that is unknown. A text that is a number is an index only where no label is
        called by a number."""
        if isinstance(label, str):
            if not label:
                return NONE
            if label in self.names:
                return self.names.index(label)
            if any(name.isdecimal() for name in self.names) or not label.isdecimal():
                return NONE - 1
        index = int(label)
        return max(index, NONE) if index < len(self.names) else NONE - 1


class FrameLabels(Judge):
    """A label for each frame or token."""

    answers = "labels"

    def right(self, utterance: Utterance) -> Indices:
        """[T] indices; one label of the whole is that of each frame."""
        labels = _labels(utterance)
        if labels.ndim == 0 and isinstance(utterance.input, str):
            labels = np.array(str(labels).split())
        elif labels.ndim == 0:
            labels = np.broadcast_to(labels, utterance.length)
        return self._indices(labels, utterance)

    def judge(self, events: Sequence[Event], right: Indices, utterance: Utterance) -> Counter[tuple[int, int]]:
        """How often which was right, and which given."""
        wanted = right[self.frames_of(events, len(right), utterance)]
        given = np.array([event.index for event in events], np.int64)
        pairs, times = np.unique(np.stack((wanted, given))[:, wanted != NONE], axis=1, return_counts=True)
        return Counter({(a, b): n for (a, b), n in zip(pairs.T.tolist(), times.tolist(), strict=True)})

    def score(self, judged: Sequence[Counter[tuple[int, int]]]) -> LabelScore:
        """Of all utterances."""
        return LabelScore.of(self.names, self.counted, judged)


class SequenceLabels(FrameLabels):
    """A label for the whole sequence."""

    answers = "a class of the whole"
    unit = "sequence"

    def right(self, utterance: Utterance) -> Indices:
        """[1]."""
        found: Indices = np.unique(self._indices(_labels(utterance), utterance))
        found = found[found != NONE]
        if len(found) > 1:
            raise InputError(
                f"{utterance.name} has {len(found)} labels, {self.names[found[0]]!r} and {self.names[found[1]]!r} "
                f"among them, and {self.model.name} gives one for the whole: cut it there"
            )
        return found

    def judge(self, events: Sequence[Event], right: Indices, utterance: Utterance) -> Counter[tuple[int, int]]:
        """Which was right, and which given, once; nothing where none is right."""
        return Counter((wanted, event.index) for event in events for wanted in right.tolist())


class Numbers(Judge):
    """Numbers for each frame or token."""

    answers = "numbers"

    def right(self, utterance: Utterance) -> Float32:
        """[T, outputs]."""
        size = self.head.region.size
        if utterance.targets is None:
            other = ", only labels" if utterance.labels is not None else ""
            raise InputError(
                f"{utterance.name} has no targets{other}: {self.model.name} gives {size} numbers each time; "
                "add columns target…, or an array 'targets'"
            )
        if utterance.targets.shape[1] != size:
            raise InputError(
                f"{utterance.name} has {utterance.targets.shape[1]} targets, {self.model.name} gives {size}"
            )
        return utterance.targets

    def judge(self, events: Sequence[Event], right: Float32, utterance: Utterance) -> Sums:
        """How far off the numbers are."""
        given = np.array([event.values for event in events], np.float32).reshape(-1, right.shape[1])
        return Sums.of(given, right[self.frames_of(events, len(right), utterance)])

    def score(self, judged: Sequence[Sums]) -> NumberScore:
        """Of all utterances."""
        return NumberScore(self.counted, tuple(judged))


JUDGES: Mapping[type[decoders.Decoder], type[Judge]] = {
    decoders.Labels: FrameLabels,
    decoders.Crf: FrameLabels,
    decoders.SequenceClass: SequenceLabels,
    decoders.Outputs: Numbers,
}
"""By the decoder's kind."""


def takes_data(model: Model, head: str | None = None) -> bool:
    """Whether a model's head can be judged by data: of frames or tokens, with an answer that `JUDGES` knows. Raises
    UnknownHeadError."""
    settings = model.heads.find(head, None).settings
    return isinstance(model.network.specification.front_end, Frames | Tokens) and type(settings) in JUDGES


def judge_of(way: Way) -> Judge:
    """What compares a way's answers with those that are right; of a model that `takes_data`."""
    return JUDGES[type(way.model.heads.find(way.head, None).settings)](way)


def opened(way: Way, utterance: Utterance) -> Stream:
    """A stream for this utterance. Raises InputError for one that the model cannot take."""
    front_end, data = way.model.network.specification.front_end, utterance.input
    if isinstance(front_end, Tokens) != isinstance(data, str):
        takes, other = ("text", "frames") if isinstance(front_end, Tokens) else ("frames", "text")
        raise InputError(f"{utterance.name} holds {other}, {way.name} takes {takes}")
    if not isinstance(data, str) and data.shape[1] != front_end.frame_size:
        raise InputError(
            f"{utterance.name} has {data.shape[1]} values in a frame, {way.name} takes {front_end.frame_size}"
        )
    check_pace(utterance.name, utterance.frame_ms, front_end.frame_ms, way.name)
    seconds = utterance.length * front_end.frame_ms / 1e3
    if way.wait is None and way.direction == "bidirectional" and seconds > MAX_UTTERANCE_S - 1:
        raise InputError(
            f"{utterance.name} lasts {seconds / 3600:.1f} h, and {way} keeps an utterance of at most "
            f"{MAX_UTTERANCE_S / 3600:g} h until it ends: cut it, or ask for bounded wait"
        )
    longest = min(max(UTTERANCE_S, math.ceil(seconds) + 1.0), MAX_UTTERANCE_S)
    return way.model.open(asked(way.wait, way.head, max_utterance_s=longest))


def answers(way: Way, utterance: Utterance) -> list[Event]:
    """What a way answers to an utterance. Raises InputError for one that is too short for any answer."""
    with opened(way, utterance) as stream:
        events = [*stream.push(utterance.input), *stream.flush()]
    if not events:
        raise InputError(f"{utterance.name} is too short: {way.name} answers nothing")
    return events


def judged(
    ways: Sequence[Way],
    paths: Sequence[Path],
    left_out: Callable[[Path, Exception], None],
    report: Callable[[str], None] = lambda doing: None,
) -> list[Answered]:
    """How right each way's answers to all utterances of these files are.

    A file that cannot be read or answered by one of them is left out for all, and ``left_out`` is told why.
    """
    judges = [judge_of(way) for way in ways]
    names: list[str] = []
    found: list[list[Any]] = [[] for _ in ways]
    for number, path in enumerate(paths, 1):
        report(f"file {number} of {len(paths)}")
        try:
            utterances = read(path)
            of_file = [
                [_judged(way, judge, each) for each in utterances] for way, judge in zip(ways, judges, strict=True)
            ]
        except (OstinatoError, OSError) as error:
            left_out(path, error)
            continue
        names += [each.name for each in utterances]
        for all_files, each in zip(found, of_file, strict=True):
            all_files += each
    if not names:
        return []
    return [
        Answered(way, tuple(names), judge.score(each)) for way, judge, each in zip(ways, judges, found, strict=True)
    ]


def _judged(way: Way, judge: Judge, utterance: Utterance) -> Any:
    right = judge.right(utterance)
    return judge.judge(answers(way, utterance), right, utterance)


def _labels(utterance: Utterance) -> Labels:
    if utterance.labels is None:
        other = ", only targets" if utterance.targets is not None else ""
        cure = "add one after a tab" if isinstance(utterance.input, str) else "add a column, or an array 'labels'"
        raise InputError(f"{utterance.place(0)} has no label{other}: {cure}")
    return utterance.labels
