"""What a comparison of models on one recording found, as data, for the table, the JSON and the picture.

A latency counts from the end of a word in the recording, which is the same for every model. It is negative where the
word was shown before it had ended. A word that is wrong has no such end, and no latency.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ostinato.options import Options, whole_frames
from ostinato.pipeline.confidence import interval
from ostinato.pipeline.score import Errors
from ostinato_bench.scores import WordScore
from ostinato_bench.word_times import Word

Samples = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Wait:
    """Bounded wait: a bidirectional model answers ``block_ms`` at a time, each block with so much right context."""

    block_ms: float
    lookahead_ms: float

    def __str__(self) -> str:
        return f"{self.block_ms:g} + {self.lookahead_ms:g} ms"

    def in_frames(self, frame_ms: float) -> Wait:
        """What a model with such frames makes of it: both are rounded up to whole ones."""
        block, ahead = (whole_frames(ms, frame_ms) for ms in (self.block_ms, self.lookahead_ms))
        return Wait(max(1, block) * frame_ms, ahead * frame_ms)


def asked(wait: Wait | None, head: str | None, **more: Any) -> Options:
    """How a stream is opened to answer by this head, and with this bounded wait, if any."""
    if wait is None:
        return Options(head=head, **more)
    return Options(head=head, block_ms=wait.block_ms, lookahead_ms=wait.lookahead_ms, **more)


def wait_as_dict(wait: Wait | None) -> dict[str, float | None]:
    """Its entries in JSON; both are null without bounded wait."""
    return {
        "block_ms": None if wait is None else wait.block_ms,
        "lookahead_ms": None if wait is None else wait.lookahead_ms,
    }


def errors_as_dict(by_recording: Sequence[Errors]) -> dict[str, Any]:
    """Their entries in JSON: the errors of all recordings together, and their rate's 95 % interval."""
    total, bounds = sum(by_recording, Errors()), interval(by_recording)
    return {
        "recordings": len(by_recording),
        "symbols": total.symbols,
        "errors": total.total,
        "substitutions": total.substitutions,
        "insertions": total.insertions,
        "deletions": total.deletions,
        "error_rate": round(total.rate, 4),
        "interval_95": None if bounds is None else [round(bound, 4) for bound in bounds],
    }


@dataclass(frozen=True)
class Recording:
    """What is played: mono ``samples`` float32 [n] in [-1, 1] at ``sample_rate`` Hz, and what is said in it.

    ``words`` None: nobody has said when the words of the ``transcript`` are spoken.
    """

    name: str
    samples: Samples
    sample_rate: int
    transcript: str | None = None
    words: tuple[Word, ...] | None = None

    @property
    def seconds(self) -> float:
        """Its length."""
        return len(self.samples) / self.sample_rate


@dataclass(frozen=True)
class Shown:
    """One result: its text, and when, in ms since the first sample was spoken.

    ``decided_at_ms`` is where in the audio the model decided on it (`Event.time_ms`), ``shown_at_ms`` when it reached
    the client, ``end_at_ms`` where the word that it is ends in the recording: None if it is wrong, or not known.
    """

    text: str
    decided_at_ms: float
    shown_at_ms: float
    end_at_ms: float | None = None

    @property
    def latency_ms(self) -> float | None:
        """From the end of the word to the moment that it was shown."""
        return None if self.end_at_ms is None else self.shown_at_ms - self.end_at_ms

    @property
    def decided_ms(self) -> float | None:
        """From the end of the word to where the model decided on it."""
        return None if self.end_at_ms is None else self.decided_at_ms - self.end_at_ms

    def as_dict(self) -> dict[str, Any]:
        """One entry of a model's ``words`` in the JSON."""
        return {
            "text": self.text,
            "end_at_ms": _rounded(self.end_at_ms),
            "decided_at_ms": _rounded(self.decided_at_ms),
            "shown_at_ms": _rounded(self.shown_at_ms),
            "decided_ms": _rounded(self.decided_ms),
            "latency_ms": _rounded(self.latency_ms),
        }


@dataclass(frozen=True)
class ModelRun:
    """One model on the recording, paced in real time. Times in ms; None where there was nothing to measure.

    ``head``: which of its heads. ``wait``: the bounded wait that it was served with, if it was.
    ``delay_ms`` None means the whole utterance. ``final_ms``: from the last sample spoken to the final result.
    ``real_time_factor``: seconds of computing per second of audio. ``error_rate``: errors per spoken symbol.
    """

    name: str
    head: str
    direction: Literal["unidirectional", "bidirectional"]
    delay_ms: float | None
    shown: tuple[Shown, ...]
    final_ms: float
    real_time_factor: float
    state_bytes: int
    error_rate: float | None
    text: str
    wait: Wait | None = None

    @property
    def first_result_ms(self) -> float | None:
        """From the first sample spoken to the first result."""
        return min((shown.shown_at_ms for shown in self.shown), default=None)

    @property
    def latency_ms(self) -> dict[str, float | None]:
        """p50, p90, p99 and the maximum, over the words that are right, from the word's end."""
        return percentiles([shown.latency_ms for shown in self.shown if shown.latency_ms is not None])

    @property
    def decided_ms(self) -> dict[str, float | None]:
        """The same for where the model decided."""
        return percentiles([shown.decided_ms for shown in self.shown if shown.decided_ms is not None])

    @property
    def counted(self) -> int:
        """Over how many words that is."""
        return sum(shown.end_at_ms is not None for shown in self.shown)

    def as_dict(self) -> dict[str, Any]:
        """One entry of ``models`` in the JSON."""
        return {
            "name": self.name,
            "head": self.head,
            "direction": self.direction,
            "delay_ms": self.delay_ms,
            "first_result_ms": _rounded(self.first_result_ms),
            "latency_ms": {key: _rounded(value) for key, value in self.latency_ms.items()},
            "decided_ms": {key: _rounded(value) for key, value in self.decided_ms.items()},
            "counted_words": self.counted,
            "final_ms": _rounded(self.final_ms),
            "real_time_factor": float(f"{self.real_time_factor:.3g}"),
            "state_bytes": self.state_bytes,
            "error_rate": None if self.error_rate is None else round(self.error_rate, 4),
            "text": self.text,
            **wait_as_dict(self.wait),
            "words": [shown.as_dict() for shown in self.shown],
        }


@dataclass(frozen=True)
class LengthRow:
    """What an utterance of ``seconds`` costs after its end: the median over ``repeats`` of the time from sending its
    last chunk to the final result, all earlier audio having been processed before."""

    name: str
    seconds: float
    final_ms: float
    repeats: int
    wait: Wait | None = None

    def as_dict(self) -> dict[str, Any]:
        """One entry of ``by_length`` in the JSON."""
        return {
            "name": self.name,
            "seconds": self.seconds,
            "final_ms": _rounded(self.final_ms),
            "repeats": self.repeats,
            **wait_as_dict(self.wait),
        }


@dataclass(frozen=True)
class DelayRow:
    """A model's errors on some transcribed recordings, each by itself, and its delay (None: the utterance)."""

    name: str
    direction: Literal["unidirectional", "bidirectional"]
    wait: Wait | None
    delay_ms: float | None
    by_recording: tuple[Errors, ...]

    @property
    def tokens(self) -> bool:
        """Speech has its time."""
        return False

    @property
    def score(self) -> WordScore:
        """How right the words are."""
        return WordScore(self.by_recording)

    @property
    def errors(self) -> Errors:
        """Those of all recordings."""
        return sum(self.by_recording, Errors())

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval of the error rate (`confidence.interval`)."""
        return interval(self.by_recording)

    def as_dict(self) -> dict[str, Any]:
        """One entry of ``error_by_delay`` in the JSON."""
        return {
            "name": self.name,
            "direction": self.direction,
            **wait_as_dict(self.wait),
            "delay_ms": self.delay_ms,
            **errors_as_dict(self.by_recording),
        }


@dataclass(frozen=True)
class Comparison:
    """Everything that a comparison found; ``chunk_ms`` as sent, ``date`` in ISO 8601, ``machine`` as `describe` says.

    ``words``: the words that latencies count from, and ``words_from`` how their places are known. ``conclusions``:
    what ``error_by_delay`` says, a sentence for each bidirectional model.
    """

    recording: Recording
    words: tuple[Word, ...]
    words_from: str
    chunk_ms: float
    models: tuple[ModelRun, ...]
    by_length: tuple[LengthRow, ...]
    machine: dict[str, Any]
    date: str
    error_by_delay: tuple[DelayRow, ...] = ()
    conclusions: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The JSON that ``ostinato compare --json`` writes."""
        return {
            "audio": {
                "name": self.recording.name,
                "seconds": round(self.recording.seconds, 3),
                "transcript": self.recording.transcript,
                "words_from": self.words_from,
                "words": [
                    {"text": word.text, "start_at_ms": _rounded(word.start_ms), "end_at_ms": _rounded(word.end_ms)}
                    for word in self.words
                ],
            },
            "models": [run.as_dict() for run in self.models],
            "by_length": [row.as_dict() for row in self.by_length],
            "error_by_delay": [row.as_dict() for row in self.error_by_delay],
            "conclusions": list(self.conclusions),
            "machine": self.machine,
            "date": self.date,
        }


def percentiles(values: Sequence[float]) -> dict[str, float | None]:
    """p50, p90, p99 and the maximum of ``values``: the smallest value that at least that share does not exceed; None
    if there are none."""
    ordered = sorted(values)
    shares = {"p50": 50, "p90": 90, "p99": 99, "max": 100}
    return {
        key: ordered[math.ceil(share / 100 * len(ordered)) - 1] if ordered else None for key, share in shares.items()
    }


def of_length(samples: npt.NDArray[np.float32], count: int) -> npt.NDArray[np.float32]:
    """``count`` samples of the recording, from its start, repeated as often as needed."""
    return np.tile(samples, math.ceil(count / max(len(samples), 1)))[:count]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
