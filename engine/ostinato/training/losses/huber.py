"""Huber's loss: squared for small errors, absolute for large ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ostinato.errors import TrainingError
from ostinato.training.losses.loss import ElementwiseLoss
from ostinato.training.packing import Array


@dataclass(frozen=True)
class Huber(ElementwiseLoss):
    """With e = v - y: e^2 / 2 where |e| <= delta, else delta (|e| - delta / 2) (Huber 1964, Robust estimation of a
    location parameter). Targets as `ElementwiseLoss`."""

    delta: float = 1.0

    kind: ClassVar[str] = "huber"

    def __post_init__(self) -> None:
        if not 0 < self.delta < np.inf:
            raise TrainingError(f"delta = {self.delta} is not above 0 and finite")

    def of(self, v: Array, y: Array) -> tuple[Array, Array]:
        """As `ElementwiseLoss`."""
        error = v - y
        clipped = np.clip(error, -self.delta, self.delta)
        # c (e - c / 2) is both branches at once: e^2 / 2 where c = e, delta (|e| - delta / 2) where c = +-delta.
        return clipped * (error - clipped / 2), clipped
