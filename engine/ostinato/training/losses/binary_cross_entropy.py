"""Binary cross-entropy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ostinato.errors import TrainingError
from ostinato.training.losses.loss import ElementwiseLoss, Link
from ostinato.training.packing import Array


@dataclass(frozen=True)
class BinaryCrossEntropy(ElementwiseLoss):
    """L<t> = -y log p - (1 - y) log(1 - p), p = sigmoid(logit), of each output; the gradient is p - y.

    Computed as max(x, 0) - x y + log(1 + exp(-|x|)) of the logit x. Targets as `ElementwiseLoss`, in [0, 1];
    ``smoothing`` moves them towards a half: (1 - smoothing) y + smoothing / 2.
    """

    smoothing: float = 0.0

    kind: ClassVar[str] = "binary-cross-entropy"
    link: ClassVar[Link] = "sigmoid"

    def __post_init__(self) -> None:
        if not 0 <= self.smoothing < 1:
            raise TrainingError(f"smoothing = {self.smoothing} is not from 0 up to, but without, 1")

    def of(self, v: Array, y: Array) -> tuple[Array, Array]:
        """As `ElementwiseLoss`. Raises TrainingError for targets that are no probabilities."""
        if y.size and not 0 <= y.min() <= y.max() <= 1:
            raise TrainingError(f"targets are from {y.min():g} to {y.max():g}: of probabilities, from 0 to 1")
        y = (1 - self.smoothing) * y + 0.5 * self.smoothing
        losses = np.maximum(v, 0) - v * y + np.log1p(np.exp(-np.abs(v)))
        return losses, 0.5 * np.tanh(0.5 * v) + 0.5 - y
