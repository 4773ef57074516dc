"""Mean squared error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ostinato.training.losses.loss import ElementwiseLoss
from ostinato.training.packing import Array


@dataclass(frozen=True)
class MeanSquaredError(ElementwiseLoss):
    """(v - y)^2. Targets as `ElementwiseLoss`."""

    kind: ClassVar[str] = "mean-squared-error"

    def of(self, v: Array, y: Array) -> tuple[Array, Array]:
        """As `ElementwiseLoss`."""
        error = v - y
        return error**2, 2 * error
