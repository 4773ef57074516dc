"""What models recognise in transcribed recordings, and which of it is wrong.

Computed in this process, as fast as it goes: errors do not depend on how fast one speaks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from ostinato.errors import InputError, OstinatoError
from ostinato.model.decoders import CtcSymbols, SequenceClass
from ostinato.model.front_ends import Audio
from ostinato.options import UTTERANCE_S
from ostinato.pipeline.score import Errors, Pair, align, count
from ostinato.pipeline.transcript import Vocabulary
from ostinato.streaming import Model
from ostinato_bench.comparison import Samples, Wait, asked, wait_as_dict

MOST_PAIRS = 100_000_000
"""Words said times words heard: an hour of speech, and 100 MB while it is aligned."""


@dataclass(frozen=True)
class Spoken:
    """A recording and what is said in it, as people write it; ``read`` gives its mono samples and their rate."""

    path: Path
    transcript: str
    read: Callable[[Path], tuple[Samples, int]]


@dataclass(frozen=True)
class Way:
    """A model, the bounded wait that it answers with, if it does, and which of its heads; None is the first."""

    name: str
    model: Model
    wait: Wait | None = None
    head: str | None = None

    def __str__(self) -> str:
        if self.wait is None:
            return self.name
        return f"{self.name}, {str(self.wait).replace(' ms', ' tokens') if self.tokens else self.wait}"

    @property
    def tokens(self) -> bool:
        """Whether the model reads tokens, which count as 1 ms each."""
        return self.model.network.specification.front_end.counted_in == "character"

    @property
    def direction(self) -> Literal["unidirectional", "bidirectional"]:
        """That of the head."""
        return self.model.heads.find(self.head, None).direction

    @property
    def delay_ms(self) -> float | None:
        """How late its answers are; None is the whole utterance, as for the class of it."""
        if isinstance(self.model.heads.find(self.head, None).settings, SequenceClass):
            return None
        with self.model.open(asked(self.wait, self.head)) as stream:
            return stream.delay.ms

    def as_dict(self) -> dict[str, Any]:
        """Its entries in JSON."""
        return {
            "name": self.name,
            "head": self.model.heads.find(self.head, None).name,
            "direction": self.direction,
            **wait_as_dict(self.wait),
            "delay_ms": self.delay_ms,
        }


@dataclass(frozen=True)
class Recognised:
    """A recording: the symbols said and heard, aligned."""

    path: Path
    pairs: tuple[Pair[str], ...]

    @cached_property
    def errors(self) -> Errors:
        """How many."""
        return count(self.pairs)

    @property
    def said(self) -> tuple[str, ...]:
        """The symbols that its transcript says."""
        return tuple(said for said, _ in self.pairs if said is not None)

    @property
    def heard(self) -> tuple[str, ...]:
        """The symbols that the model gave."""
        return tuple(heard for _, heard in self.pairs if heard is not None)


def transcribes(model: Model, head: str | None = None) -> bool:
    """Whether a model's head turns audio into symbols, which can be compared with a transcript. Raises
    UnknownHeadError."""
    settings = model.heads.find(head, None).settings
    return isinstance(model.network.specification.front_end, Audio) and isinstance(settings, CtcSymbols)


def vocabulary(model: Model, head: str | None = None) -> Vocabulary:
    """What a head that `transcribes` can say."""
    settings = model.heads.find(head, None).settings
    assert isinstance(settings, CtcSymbols)
    return Vocabulary(settings)


def heard(
    model: Model, samples: Samples, sample_rate: int, wait: Wait | None = None, head: str | None = None
) -> list[str]:
    """The symbols that a model's head recognises in a recording, one utterance. Raises InputError if it is too short
    for a single frame."""
    seconds = len(samples) / sample_rate
    longest = max(UTTERANCE_S, math.ceil(seconds) + 1.0)
    with model.open(asked(wait, head, sample_rate=sample_rate, max_utterance_s=longest)) as stream:
        events = [*stream.push(samples), *stream.flush()]
        frames = stream.frames_in
    if not frames:
        needed = model.front_end.frame_ms + model.front_end.latency_ms
        raise InputError(
            f"{1e3 * seconds:.0f} ms are too short for {model.name}, which hears nothing in less than {needed:.0f} ms"
        )
    return [event.text for event in events if event.kind == "symbol"]


def recognise(
    ways: Sequence[Way],
    recordings: Sequence[Spoken],
    left_out: Callable[[Path, Exception], None],
    report: Callable[[str], None] = lambda doing: None,
) -> list[list[Recognised]]:
    """What each way makes of the recordings: a list for each, of the same recordings in the same order.

    A recording that cannot be read or heard by one is left out for all, and ``left_out`` is told why.
    """
    found: list[list[Recognised]] = [[] for _ in ways]
    vocabularies = [vocabulary(way.model, way.head) for way in ways]
    for number, spoken in enumerate(recordings, 1):
        report(f"recording {number} of {len(recordings)}")
        try:
            samples, rate = spoken.read(spoken.path)
            compared = [
                (known.read(spoken.transcript), known.heard(heard(way.model, samples, rate, way.wait, way.head)))
                for way, known in zip(ways, vocabularies, strict=True)
            ]
            for said, each in compared:
                if len(said) * len(each) > MOST_PAIRS:
                    raise InputError(
                        f"{len(said)} words said and {len(each)} heard are too many to align: cut it into utterances"
                    )
        except (OstinatoError, OSError) as error:
            left_out(spoken.path, error)
            continue
        for results, (said, each) in zip(found, compared, strict=True):
            results.append(Recognised(spoken.path, tuple(align(said, each))))
    return found
