"""Times calls in turns, so that noise and the clock's changes meet all of them alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

ROUNDS = 7
Clock = Callable[[], int]
"""Nanoseconds."""
_SAMPLE_NS = 30_000  # calls are timed together until they take this long, so that the clock's own time is no matter


@dataclass(frozen=True)
class Timed:
    """What is timed: ``call``. ``before`` each, if given, something is prepared that does not count."""

    call: Callable[[], object]
    before: Callable[[], object] | None = None


@dataclass(frozen=True)
class Spread:
    """Microseconds a call: median and quartiles over the rounds, of each round's median."""

    median: float
    low: float
    high: float

    @staticmethod
    def of(values: list[float]) -> Spread:
        """Median and quartiles of at least two values."""
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return Spread(median, low, high)

    @property
    def quartiles(self) -> list[float]:
        """The quartiles alone, to a nanosecond."""
        return [round(self.low, 3), round(self.high, 3)]

    def divided(self, count: int) -> Spread:
        """Of one of ``count`` things that a call does."""
        return Spread(self.median / count, self.low / count, self.high / count)


def alternate(
    contenders: Mapping[str, Timed], seconds: float, rounds: int = ROUNDS, clock: Clock = time.perf_counter_ns
) -> dict[str, Spread]:
    """Call the contenders in turns for about ``seconds`` in all, after a round that only warms up.

    Calls of milliseconds are interrupted by whatever else the machine does: of these, processor time tells more
    (``clock`` time.process_time_ns). Each gets an equal share of the time, and at least one call a round.
    """
    share = seconds / (rounds + 1) / max(len(contenders), 1)
    together = {name: _calls_a_sample(timed, clock) for name, timed in contenders.items()}
    found: dict[str, list[float]] = {name: [] for name in contenders}
    for warm in range(rounds + 1):
        for name, timed in contenders.items():
            us = _median_us(timed, together[name], share, clock)
            if warm:
                found[name].append(us)
    return {name: Spread.of(values) for name, values in found.items()}


def _calls_a_sample(timed: Timed, clock: Clock) -> int:
    if timed.before is not None:
        return 1
    timed.call()
    return max(1, int(_SAMPLE_NS / max(1e3 * _median_us(timed, 1, 1e-4, clock), 1)))


def _median_us(timed: Timed, together: int, seconds: float, clock: Clock) -> float:
    call, before = timed.call, timed.before
    samples: list[float] = []
    end = clock() + int(seconds * 1e9)
    while not samples or clock() < end:
        if before is not None:
            before()
        start = clock()
        for _ in range(together):
            call()
        samples.append((clock() - start) / together)
    return statistics.median(samples) / 1e3
