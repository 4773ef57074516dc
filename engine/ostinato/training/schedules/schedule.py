"""What every learning-rate schedule does. One is a file here, and a line in `ostinato.training.schedules`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

from ostinato.errors import TrainingError


class Schedule:
    """The learning rate by step."""

    kind: ClassVar[str]

    def __call__(self, step: int) -> float:
        """The rate of a step (0-based)."""
        raise NotImplementedError

    def observe(self, score: float) -> None:
        """Be told the score of an evaluation: less is better."""

    def state(self) -> dict[str, float]:
        """What a checkpoint keeps, if anything changes but the step."""
        return {}

    def restore(self, state: Mapping[str, float]) -> None:
        """Go on from a `state`."""


def check(least: float = 0, **settings: float) -> None:
    """Raise TrainingError for a setting that is not finite or below ``least``."""
    for name, value in settings.items():
        if not least <= value < math.inf:
            raise TrainingError(f"{name} = {value} is not finite and at least {least:g}")
