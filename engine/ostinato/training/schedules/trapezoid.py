"""One rate, and at the end down along a line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ostinato.errors import TrainingError
from ostinato.training.schedules.schedule import Schedule, check


@dataclass(frozen=True)
class Trapezoid(Schedule):
    """``rate``, and in the last ``share`` of ``total`` steps from there down to ``floor`` (Hägele et al. 2024,
    "Scaling laws and compute-optimal training beyond fixed training durations"). How long it learns may be decided
    late: until the rate falls, all totals are alike."""

    rate: float
    total: int
    share: float = 0.25
    floor: float = 0.0

    kind: ClassVar[str] = "trapezoid"

    def __post_init__(self) -> None:
        check(rate=self.rate, total=self.total, share=self.share, floor=self.floor)
        if self.share > 1:
            raise TrainingError(f"share = {self.share} is not from 0 to 1: it is of all steps")

    def __call__(self, step: int) -> float:
        """As `Schedule`."""
        falling = round(self.share * self.total)
        part = min(1.0, max(0, step - (self.total - falling)) / max(1, falling))
        return self.rate + (self.floor - self.rate) * part
