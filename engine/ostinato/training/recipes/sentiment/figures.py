"""How right answers are, in numbers with 95 % intervals, for models and baselines alike."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.pipeline.confidence import LEVEL, chance_of, interval, mean_interval
from ostinato.pipeline.score import Errors
from ostinato.training.recipes.sentiment.examples import Example

F64 = npt.NDArray[np.float64]
DRAWS = 2000


def of_scores(examples: Sequence[Example], given: F64, *, scaled: bool = True) -> dict[str, Any]:
    """Of scores [n] given to sentences that have one: the share whose sign is right (of those that people did not
    score 0), the correlation, and, if they are on the same scale, the mean absolute error."""
    wanted = np.array([example.score for example in examples])
    found = of_classes(*signs(examples, given))
    correlation = float(np.corrcoef(given, wanted)[0, 1])
    found |= {"r": [correlation, *_fisher(correlation, len(given))]}
    if scaled:
        sums, counts = _by_document(examples, np.abs(given - wanted))
        found |= {"mae": [float(np.abs(given - wanted).mean()), *(mean_interval(sums, counts) or (math.nan,) * 2)]}
    return found


def of_classes(examples: Sequence[Example], right: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """The share of sentences whose class is right. Sentences of one document err together, and the interval knows."""
    errors, counts = _by_document(examples, (~right).astype(np.float64))
    bounds = interval([Errors(n, int(wrong)) for wrong, n in zip(errors, counts, strict=True)]) or (0.0, 1.0)
    return {"sentences": len(right), "right": [float(right.mean()), 1 - bounds[1], 1 - bounds[0]]}


def better(examples: Sequence[Example], one: npt.NDArray[np.bool_], other: npt.NDArray[np.bool_]) -> float:
    """How likely chance alone makes two answers to the same sentences differ so much (`confidence.chance_of`)."""
    sums, _ = _by_document(examples, one.astype(np.float64) - other)
    return chance_of(sums)


def more_right(examples: Sequence[Example], one: npt.NDArray[np.bool_], other: npt.NDArray[np.bool_]) -> list[float]:
    """By which share of the same sentences ``one`` is right more often than ``other``, and its 95 % interval: the
    percentiles of `DRAWS` draws of as many documents (bootstrap, Efron 1979)."""
    sums, counts = map(np.array, _by_document(examples, one.astype(np.float64) - other))
    random = np.random.default_rng(0)
    drawn = random.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), DRAWS)
    found = np.quantile(drawn @ sums / (drawn @ counts), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return [float(sums.sum() / counts.sum()), *map(float, found)]


def signs(examples: Sequence[Example], given: F64) -> tuple[list[Example], npt.NDArray[np.bool_]]:
    """The examples with a sign, and where it is right."""
    signed = [i for i, example in enumerate(examples) if example.score != 0]
    return [examples[i] for i in signed], np.array([(given[i] > 0) == (examples[i].score > 0) for i in signed])


def _by_document(examples: Sequence[Example], values: npt.NDArray[np.float64]) -> tuple[list[float], list[int]]:
    sums: dict[str, float] = {}
    counts: dict[str, int] = {}
    for example, value in zip(examples, values, strict=True):
        sums[example.document] = sums.get(example.document, 0.0) + float(value)
        counts[example.document] = counts.get(example.document, 0) + 1
    return list(sums.values()), list(counts.values())


def _fisher(r: float, n: int) -> tuple[float, float]:
    """The 95 % interval of a correlation (Fisher 1921)."""
    if n < 4 or not abs(r) < 1:
        return math.nan, math.nan
    z, reach = math.atanh(r), NormalDist().inv_cdf((1 + LEVEL) / 2) / math.sqrt(n - 3)
    return math.tanh(z - reach), math.tanh(z + reach)
