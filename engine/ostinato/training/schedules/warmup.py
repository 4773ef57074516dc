"""Up along a line before another schedule begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from ostinato.training.schedules.schedule import Schedule, check


@dataclass(frozen=True)
class Warmup(Schedule):
    """``steps`` steps up to the first rate of ``then``, which begins after them."""

    then: Schedule
    steps: int

    kind: ClassVar[str] = "warmup"

    def __post_init__(self) -> None:
        check(steps=self.steps)

    def __call__(self, step: int) -> float:
        """As `Schedule`."""
        return self.then(step - self.steps) if step >= self.steps else self.then(0) * (step + 1) / self.steps

    def observe(self, score: float) -> None:
        """As `Schedule`."""
        self.then.observe(score)

    def state(self) -> dict[str, float]:
        """As `Schedule`."""
        return self.then.state()

    def restore(self, state: Mapping[str, float]) -> None:
        """As `Schedule`."""
        self.then.restore(state)
