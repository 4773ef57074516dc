"""One rate for all steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ostinato.training.schedules.schedule import Schedule, check


@dataclass(frozen=True)
class Constant(Schedule):
    """rate"""

    rate: float

    kind: ClassVar[str] = "constant"

    def __post_init__(self) -> None:
        check(rate=self.rate)

    def __call__(self, step: int) -> float:
        """As `Schedule`."""
        return self.rate
