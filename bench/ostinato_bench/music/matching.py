"""Which of the events that were heard are true, by mir_eval's matching, and how late they came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ostinato.errors import InputError
from ostinato_bench.music.hearing import Heard, Task
from ostinato_bench.music.performance import F64
from ostinato_bench.music.scores import CURE

WINDOW_S: dict[Task, float] = {"onsets": 0.050, "beats": 0.070}
"""How far from the truth an event may be, as is usual for each."""
FIRST_S: dict[Task, float] = {"onsets": 0.0, "beats": 5.0}
"""Events before that do not count, as is usual: a tempo has to be found first."""


@dataclass(frozen=True)
class Match:
    """Of ``found`` events and ``true`` ones, ``right`` belong together; ``delays``: of each of these, from where it
    truly was until it was said, in ms."""

    found: int
    true: int
    right: int
    delays: tuple[float, ...]

    @property
    def f(self) -> float:
        """F-measure: the harmonic mean of precision and recall."""
        return 2 * self.right / (self.found + self.true) if self.found + self.true else 1.0

    @property
    def precision(self) -> float:
        """Of those that were found, how many are true."""
        return self.right / self.found if self.found else 1.0

    @property
    def recall(self) -> float:
        """Of the true ones, how many were found."""
        return self.right / self.true if self.true else 1.0

    @staticmethod
    def together(matches: Sequence[Match]) -> Match:
        """Those of several pieces as of one."""
        delays = tuple(delay for match in matches for delay in match.delays)
        return Match(
            sum(match.found for match in matches), sum(match.true for match in matches),
            sum(match.right for match in matches), delays,
        )  # fmt: skip


def match(task: Task, true: F64, heard: Heard) -> Match:
    """Each true event with at most one that was heard, as many as can be. Raises InputError without mir_eval."""
    try:
        from mir_eval.util import match_events
    except ImportError as error:
        raise InputError(f"events are matched by mir_eval, which is not installed ({error}): {CURE}") from error
    true = true[true >= FIRST_S[task]]
    counted = heard.times >= FIRST_S[task]
    times, known = heard.times[counted], heard.known[counted]
    pairs = match_events(true, times, WINDOW_S[task]) if len(true) and len(times) else []
    delays = tuple(1e3 * float(known[there] - true[here]) for here, there in pairs)
    return Match(len(times), len(true), len(pairs), delays)


def shared(one: Heard, other: Heard) -> int:
    """How many events of one are the other's too, to the millisecond."""
    a, b = (np.unique(np.round(1e3 * heard.times).astype(np.int64)) for heard in (one, other))
    return len(np.intersect1d(a, b))
