"""What a comparison of models on one recording found, as data, for the table, the JSON and the picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Wait:
    """Bounded wait: a bidirectional model answers ``block_ms`` at a time, each block with so much right context."""

    block_ms: float
    lookahead_ms: float

    def __str__(self) -> str:
        return f"{self.block_ms:g} + {self.lookahead_ms:g} ms"


def wait_as_dict(wait: Wait | None) -> dict[str, float | None]:
    """Its entries in JSON; both are null without bounded wait."""
    return {
        "block_ms": None if wait is None else wait.block_ms,
        "lookahead_ms": None if wait is None else wait.lookahead_ms,
    }


@dataclass(frozen=True)
class Shown:
    """One result: its text, and when, in ms since the first sample was spoken.

    ``spoken_ms`` is where in the audio it was decided (`Event.time_ms`), ``shown_ms`` when it reached the client.
    """

    text: str
    spoken_ms: float
    shown_ms: float

    @property
    def latency_ms(self) -> float:
        """From the moment that its audio had been spoken to the moment that it was shown."""
        return self.shown_ms - self.spoken_ms


@dataclass(frozen=True)
class ModelRun:
    """One model on the recording, paced in real time. Times in ms; None where there was nothing to measure.

    ``wait``: the bounded wait that it was served with, if it was.
    ``delay_ms`` None means the whole utterance. ``final_ms``: from the last sample spoken to the final result.
    ``real_time_factor``: seconds of computing per second of audio. ``error_rate``: errors per spoken symbol.
    """

    name: str
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
        return min((shown.shown_ms for shown in self.shown), default=None)

    @property
    def latency_ms(self) -> dict[str, float | None]:
        """p50, p90 and p99 over the results."""
        return percentiles([shown.latency_ms for shown in self.shown])

    def as_dict(self) -> dict[str, Any]:
        """One entry of ``models`` in the JSON."""
        return {
            "name": self.name,
            "direction": self.direction,
            "delay_ms": self.delay_ms,
            "first_result_ms": _rounded(self.first_result_ms),
            "latency_ms": {key: _rounded(value) for key, value in self.latency_ms.items()},
            "final_ms": _rounded(self.final_ms),
            "real_time_factor": float(f"{self.real_time_factor:.3g}"),
            "state_bytes": self.state_bytes,
            "error_rate": None if self.error_rate is None else round(self.error_rate, 4),
            "text": self.text,
            **wait_as_dict(self.wait),
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
    """A model's errors among the ``symbols`` of some transcribed recordings, and its delay (None: the utterance)."""

    name: str
    direction: Literal["unidirectional", "bidirectional"]
    wait: Wait | None
    delay_ms: float | None
    errors: int
    symbols: int
    recordings: int

    @property
    def error_rate(self) -> float:
        """Errors per spoken symbol."""
        return self.errors / max(1, self.symbols)

    def as_dict(self) -> dict[str, Any]:
        """One entry of ``error_by_delay`` in the JSON."""
        return {
            "name": self.name,
            "direction": self.direction,
            **wait_as_dict(self.wait),
            "delay_ms": self.delay_ms,
            "error_rate": round(self.error_rate, 4),
            "errors": self.errors,
            "symbols": self.symbols,
            "recordings": self.recordings,
        }


@dataclass(frozen=True)
class Comparison:
    """Everything that a comparison found. ``samples`` float32 [n], mono, of the recording; ``chunk_ms`` as sent."""

    samples: Samples
    sample_rate: int
    chunk_ms: float
    transcript: str | None
    models: tuple[ModelRun, ...]
    by_length: tuple[LengthRow, ...]
    machine: dict[str, Any]
    error_by_delay: tuple[DelayRow, ...] = ()

    @property
    def seconds(self) -> float:
        """Length of the recording."""
        return len(self.samples) / self.sample_rate

    def as_dict(self) -> dict[str, Any]:
        """The JSON that ``ostinato compare --json`` writes."""
        return {
            "audio": {"seconds": round(self.seconds, 3), "transcript": self.transcript},
            "models": [run.as_dict() for run in self.models],
            "by_length": [row.as_dict() for row in self.by_length],
            "error_by_delay": [row.as_dict() for row in self.error_by_delay],
            "machine": self.machine,
        }


def percentiles(values: Sequence[float]) -> dict[str, float | None]:
    """p50, p90 and p99 of ``values``: the smallest value that at least that share does not exceed; None if none."""
    ordered = sorted(values)
    return {
        f"p{share}": ordered[math.ceil(share / 100 * len(ordered)) - 1] if ordered else None for share in (50, 90, 99)
    }


def of_length(samples: npt.NDArray[np.float32], count: int) -> npt.NDArray[np.float32]:
    """``count`` samples of the recording, from its start, repeated as often as needed."""
    return np.tile(samples, math.ceil(count / max(len(samples), 1)))[:count]


def spoken_words(
    samples: npt.NDArray[np.float32], sample_rate: int, transcript: str | None
) -> list[tuple[float, float, str]]:
    """Where the transcript's words were roughly spoken: (start, end) in seconds and the word.

    Loud stretches between quiet ones are taken for words; if their number is not that of the transcript's words, the
    places are not known, and the list is empty.
    """
    words = (transcript or "").split()
    hop = sample_rate // 100
    if not words or len(samples) < hop:
        return []
    level = np.sqrt((samples[: len(samples) // hop * hop].reshape(-1, hop) ** 2).mean(1))
    level = np.convolve(level, np.ones(5) / 5, "same")
    for share in (0.02, 0.04, 0.06, 0.08, 0.12, 0.16):
        loud = np.concatenate(([False], level > share * level.max(), [False]))
        starts, ends = np.flatnonzero(loud[1:] & ~loud[:-1]), np.flatnonzero(~loud[1:] & loud[:-1])
        found = [(start, end) for start, end in zip(starts, ends, strict=True) if end - start >= 10]
        if len(found) == len(words):
            return [(start / 100, end / 100, word) for (start, end), word in zip(found, words, strict=True)]
    return []


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
