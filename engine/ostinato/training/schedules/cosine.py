"""Down along half a cosine."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from ostinato.training.schedules.schedule import Schedule, check


@dataclass(frozen=True)
class Cosine(Schedule):
    """floor + (rate - floor) (1 + cos(pi step / total)) / 2, and ``floor`` from step ``total`` on (Loshchilov and
    Hutter 2017, SGDR, equation 5, without restarts)."""

    rate: float
    total: int
    floor: float = 0.0

    kind: ClassVar[str] = "cosine"

    def __post_init__(self) -> None:
        check(rate=self.rate, total=self.total, floor=self.floor)

    def __call__(self, step: int) -> float:
        """As `Schedule`."""
        share = min(1.0, step / max(1, self.total))
        return self.floor + (self.rate - self.floor) * 0.5 * (1 + math.cos(math.pi * share))
