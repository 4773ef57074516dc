"""Down along a line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ostinato.training.schedules.schedule import Schedule, check


@dataclass(frozen=True)
class Linear(Schedule):
    """From ``rate`` to ``floor`` at step ``total``, and ``floor`` from there on."""

    rate: float
    total: int
    floor: float = 0.0

    kind: ClassVar[str] = "linear"

    def __post_init__(self) -> None:
        check(rate=self.rate, total=self.total, floor=self.floor)

    def __call__(self, step: int) -> float:
        """As `Schedule`."""
        share = min(1.0, step / max(1, self.total))
        return self.rate + (self.floor - self.rate) * share
