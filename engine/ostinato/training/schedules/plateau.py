"""Down when learning no longer helps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from ostinato.training.schedules.schedule import Schedule, check


@dataclass
class Plateau(Schedule):
    """``rate``, times ``factor`` whenever the score was not the best so far in more than ``patience`` evaluations
    in a row; not below ``floor``."""

    rate: float
    factor: float = 0.5
    patience: int = 2
    floor: float = 0.0
    best: float = field(default=math.inf, init=False)
    waited: int = field(default=0, init=False)

    kind: ClassVar[str] = "plateau"

    def __post_init__(self) -> None:
        check(rate=self.rate, factor=self.factor, patience=self.patience, floor=self.floor)

    def __call__(self, step: int) -> float:
        """As `Schedule`."""
        return self.rate

    def observe(self, score: float) -> None:
        """As `Schedule`."""
        better = score < self.best
        self.best, self.waited = min(score, self.best), 0 if better else self.waited + 1
        if self.waited > self.patience:
            self.rate, self.waited = max(self.rate * self.factor, self.floor), 0

    def state(self) -> dict[str, float]:
        """As `Schedule`."""
        return {"rate": self.rate, "best": self.best, "waited": self.waited}

    def restore(self, state: Mapping[str, float]) -> None:
        """As `Schedule`."""
        self.rate, self.best, self.waited = state["rate"], state["best"], int(state["waited"])
