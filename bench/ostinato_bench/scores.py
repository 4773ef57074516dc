"""How right a model's answers are: labels of frames, classes of sequences, or numbers.

Utterances are the unit of all that is said of chance: frames of one recording are alike.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from ostinato.pipeline import confidence
from ostinato.pipeline.score import Errors

SIGNIFICANT = 0.05
"""What is less likely than this by chance alone (`Score.chance`) is worse, however small it is."""
MARGIN = 0.005
"""What is worse by more than this, however little was tried: a share wrong, or a part of a mean error."""
WIDE = 0.1
"""An interval wider than this says little: of a share wrong; as a part of a mean error, on either side of it."""


class Score:
    """What one model made of some utterances: the base of what can be counted."""

    unit: str
    """What is counted: word, frame, token or sequence."""

    @property
    def utterances(self) -> int:
        """How many."""
        raise NotImplementedError

    @property
    def count(self) -> int:
        """How many of the unit have an answer that is right."""
        raise NotImplementedError

    @property
    def error(self) -> float:
        """The share of them that is wrong, or the mean squared error."""
        raise NotImplementedError

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval of ``error``; None of a single utterance."""
        raise NotImplementedError

    @property
    def scale(self) -> float:
        """What a margin is a part of."""
        return 1.0

    @property
    def told(self) -> str:
        """The error, for people: as in "the model has ..."."""
        raise NotImplementedError

    @property
    def brief(self) -> str:
        """The same as a number alone, beside another that is told."""
        raise NotImplementedError

    @property
    def collection(self) -> str:
        """What one of the utterances is called."""
        return "utterance"

    @property
    def axis(self) -> str:
        """What `error_shown` is, for an axis."""
        return f"{self.unit}s wrong, %"

    def error_shown(self, error: float) -> float:
        """An error as it is drawn: of a share, per cent."""
        return 100 * error

    def error_told(self, error: float) -> str:
        """An error by itself, for people."""
        return f"{100 * error:.1f} %"

    @property
    def bounds_told(self) -> str:
        """Its interval, for people; a dash where there is none."""
        return "–" if self.interval is None else "{:.1f} to {:.1f} %".format(*(100 * each for each in self.interval))

    @property
    def expected(self) -> str:
        """What other data may show, by the interval."""
        return f"errors in {self.bounds_told}"

    def chance(self, other: Self) -> float:
        """How likely equally good models would differ so much (`confidence.chance_of`)."""
        raise NotImplementedError

    def as_dict(self) -> dict[str, Any]:
        """Its entries in JSON."""
        raise NotImplementedError

    def worse_than(self, other: Self) -> bool:
        """Whether it errs more, as far as can be told: by more than `MARGIN`, or than chance explains."""
        if self.error > other.error + MARGIN * other.scale:
            return True
        return self.error > other.error and self.chance(other) < SIGNIFICANT

    @property
    def proves_little(self) -> bool:
        """Whether its interval is wide, or not known."""
        if self.interval is None:
            return True
        low, high = self.interval
        return high - low > WIDE * self.scale


@dataclass(frozen=True)
class ErrorScore(Score):
    """Symbols that are right or wrong, by utterance."""

    errors: tuple[Errors, ...]
    unit: str

    @property
    def utterances(self) -> int:
        """How many."""
        return len(self.errors)

    @property
    def count(self) -> int:
        """How many are to be right."""
        return sum(each.symbols for each in self.errors)

    @property
    def wrong(self) -> int:
        """How many errors there are."""
        return sum(each.total for each in self.errors)

    @property
    def error(self) -> float:
        """Errors for each that is to be right."""
        return self.wrong / max(1, self.count)

    @property
    def interval(self) -> tuple[float, float] | None:
        """`confidence.interval`."""
        return confidence.interval(self.errors)

    @property
    def told(self) -> str:
        """So many of so many wrong."""
        return f"{self.wrong} of {self.count:,} {self.unit}s wrong"

    @property
    def brief(self) -> str:
        """How many are wrong."""
        return f"{self.wrong}"

    def chance(self, other: ErrorScore) -> float:
        """`confidence.chance`."""
        return confidence.chance(self.errors, other.errors)


@dataclass(frozen=True)
class WordScore(ErrorScore):
    """Words of recordings."""

    unit: str = field(default="word", init=False)

    @property
    def collection(self) -> str:
        """A recording."""
        return "recording"


@dataclass(frozen=True)
class LabelScore(ErrorScore):
    """Labels, one of ``labels`` each: ``counts`` is by utterance how often which was right (its index) and which the
    model gave."""

    labels: tuple[str, ...]
    counts: tuple[Counter[tuple[int, int]], ...]

    @staticmethod
    def of(labels: tuple[str, ...], unit: str, counts: Sequence[Counter[tuple[int, int]]]) -> LabelScore:
        """Of what was counted."""
        errors = (
            Errors(sum(pairs.values()), sum(times for (right, said), times in pairs.items() if right != said))
            for pairs in counts
        )
        return LabelScore(tuple(errors), unit, labels, tuple(counts))

    @cached_property
    def pairs(self) -> Counter[tuple[int, int]]:
        """Of all utterances."""
        return sum(self.counts, Counter())

    @property
    def right_interval(self) -> tuple[float, float] | None:
        """The 95 % interval of the share that is right."""
        return None if self.interval is None else (1 - self.interval[1], 1 - self.interval[0])

    def confusions(self) -> list[tuple[int, int, int]]:
        """(right, given, times) of what is wrong, the most frequent first."""
        wrong = [(right, said, times) for (right, said), times in self.pairs.items() if right != said]
        return sorted(wrong, key=lambda each: (-each[2], each[0], each[1]))

    def of_label(self, index: int) -> dict[str, Any]:
        """How often a label is right, and given; recall, precision and their harmonic mean F1, None of nothing."""
        right = sum(times for (one, _), times in self.pairs.items() if one == index)
        given = sum(times for (_, one), times in self.pairs.items() if one == index)
        both = self.pairs[index, index]
        return {
            "label": self.labels[index],
            "right": right,
            "given": given,
            "recall": _share(both, right),
            "precision": _share(both, given),
            "f1": _share(2 * both, right + given),
        }

    def as_dict(self) -> dict[str, Any]:
        """Its entries in JSON."""
        bounds = self.right_interval
        return {
            "utterances": self.utterances,
            f"{self.unit}s": self.count,
            "wrong": self.wrong,
            "accuracy": round(1 - self.error, 4),
            "interval_95": None if bounds is None else [round(bound, 4) for bound in bounds],
        }


@dataclass(frozen=True)
class Sums:
    """Of one utterance, by output: float64 [k] each of the frames with a target."""

    count: npt.NDArray[np.float64]
    squared: npt.NDArray[np.float64]
    absolute: npt.NDArray[np.float64]
    moments: npt.NDArray[np.float64]
    """[5, k]: of targets t and outputs y, the sums of t, y, t², y² and ty."""

    @staticmethod
    def of(outputs: npt.NDArray[np.float32], targets: npt.NDArray[np.float32]) -> Sums:
        """Of outputs [T, k] and targets [T, k]; what has no target (NaN) does not count."""
        there = ~np.isnan(targets)
        t, y = np.where(there, targets, 0).astype(np.float64), np.where(there, outputs, 0).astype(np.float64)
        difference = y - t
        moments = np.stack([part.sum(axis=0) for part in (t, y, t * t, y * y, t * y)])
        return Sums(there.sum(axis=0) * 1.0, (difference**2).sum(axis=0), np.abs(difference).sum(axis=0), moments)


@dataclass(frozen=True)
class NumberScore(Score):
    """Numbers: by utterance, how far off each output is."""

    unit: str
    by_utterance: tuple[Sums, ...]

    @cached_property
    def outputs(self) -> list[dict[str, float | None]]:
        """By output: mean squared error, mean absolute error, and Pearson's correlation with the targets (None where
        one of them never changes)."""
        n = np.maximum(self._count, 1)
        squared, absolute = self._sum("squared") / n, self._sum("absolute") / n
        t, y, tt, yy, ty = self._sum("moments") / n
        spread = np.sqrt(np.maximum(tt - t * t, 0) * np.maximum(yy - y * y, 0))
        return [
            {
                "mse": float(squared[i]),
                "mae": float(absolute[i]),
                "correlation": float((ty[i] - t[i] * y[i]) / spread[i]) if spread[i] > 1e-12 * (tt * yy)[i] else None,
            }
            for i in range(len(n))
        ]

    @property
    def utterances(self) -> int:
        """How many."""
        return len(self.by_utterance)

    @property
    def count(self) -> int:
        """Of frames: how many targets of the output that has the most."""
        return int(self._count.max(initial=0))

    @property
    def error(self) -> float:
        """The mean squared error of all outputs."""
        return math.fsum(self._squares) / max(1, sum(self._counts))

    @property
    def absolute(self) -> float:
        """The mean absolute error of all outputs."""
        return math.fsum(float(each.absolute.sum()) for each in self.by_utterance) / max(1, sum(self._counts))

    @property
    def correlation(self) -> float | None:
        """The mean of the outputs' correlations; None if one of them has none."""
        found = [each["correlation"] for each in self.outputs]
        known = [each for each in found if each is not None]
        return math.fsum(known) / len(known) if known and len(known) == len(found) else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """`confidence.mean_interval` of the squared errors."""
        return confidence.mean_interval(self._squares, self._counts)

    @property
    def scale(self) -> float:
        """The error itself: its unit is the targets' own."""
        return 2 * self.error

    @property
    def told(self) -> str:
        """The mean squared error."""
        return f"a mean squared error of {self.error:.3g}"

    @property
    def brief(self) -> str:
        """It alone."""
        return f"{self.error:.3g}"

    @property
    def axis(self) -> str:
        """As it is."""
        return "mean squared error"

    def error_shown(self, error: float) -> float:
        """As it is."""
        return error

    def error_told(self, error: float) -> str:
        """As it is."""
        return f"{error:.3g}"

    @property
    def bounds_told(self) -> str:
        """Its interval, for people."""
        return "–" if self.interval is None else "{:.3g} to {:.3g}".format(*self.interval)

    @property
    def expected(self) -> str:
        """What other data may show, by the interval."""
        return f"one of {self.bounds_told}"

    def chance(self, other: NumberScore) -> float:
        """By the utterances' squared errors."""
        return confidence.chance_of(np.subtract(self._squares, other._squares).tolist())

    def as_dict(self) -> dict[str, Any]:
        """Its entries in JSON."""
        bounds = self.interval
        return {
            "utterances": self.utterances,
            f"{self.unit}s": self.count,
            "mse": _digits(self.error),
            "interval_95": None if bounds is None else [_digits(bound) for bound in bounds],
            "mae": _digits(self.absolute),
            "correlation": _digits(self.correlation),
            "outputs": [{name: _digits(value) for name, value in each.items()} for each in self.outputs],
        }

    @property
    def _count(self) -> npt.NDArray[np.float64]:
        return self._sum("count")

    def _sum(self, what: str) -> npt.NDArray[np.float64]:
        """Of all utterances."""
        total: npt.NDArray[np.float64] = np.stack([getattr(each, what) for each in self.by_utterance]).sum(axis=0)
        return total

    @cached_property
    def _squares(self) -> list[float]:
        return [float(each.squared.sum()) for each in self.by_utterance]

    @cached_property
    def _counts(self) -> list[int]:
        return [int(each.count.sum()) for each in self.by_utterance]


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def _digits(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")
