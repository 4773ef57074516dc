"""Down in steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ostinato.training.schedules.schedule import Schedule, check


@dataclass(frozen=True)
class StepDecay(Schedule):
    """rate factor^k after k times ``every`` steps."""

    rate: float
    every: int
    factor: float = 0.1

    kind: ClassVar[str] = "step"

    def __post_init__(self) -> None:
        check(rate=self.rate, factor=self.factor)
        check(1, every=self.every)

    def __call__(self, step: int) -> float:
        """As `Schedule`."""
        return float(self.rate * self.factor ** (step // self.every))
