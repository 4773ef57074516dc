"""Mean absolute error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ostinato.training.losses.loss import ElementwiseLoss
from ostinato.training.packing import Array


@dataclass(frozen=True)
class MeanAbsoluteError(ElementwiseLoss):
    """|v - y|, whose slope at 0 is taken for 0. Targets as `ElementwiseLoss`."""

    kind: ClassVar[str] = "mean-absolute-error"

    def of(self, v: Array, y: Array) -> tuple[Array, Array]:
        """As `ElementwiseLoss`."""
        error = v - y
        return np.abs(error), np.sign(error)
