"""Adam, and AdamW, whose weights also decay."""
# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ostinato.training.activations import compiled
from ostinato.training.optimisers.optimiser import Optimiser
from ostinato.training.packing import Array
from ostinato.training.schedules import Schedule


class Adam(Optimiser):
    """Kingma and Ba 2015, algorithm 1, with bias correction:

    m <- beta1 m + (1 - beta1) g;  v <- beta2 v + (1 - beta2) g^2;
    w <- w - rate (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon)
    """

    kind: ClassVar[str] = "adam"
    moments = ("first", "second")
    weight_decay = 0.0

    def __init__(
        self,
        rate: float | Schedule = 1e-3,
        *,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        clip_norm: float | None = None,
    ) -> None:
        super().__init__(rate, clip_norm)
        self.beta1, self.beta2, self.epsilon = beta1, beta2, epsilon

    def constants(self, rate: float, matrix: bool) -> list[float]:
        """As `Optimiser`."""
        decay = rate * self.weight_decay if matrix else 0.0
        corrections = rate / (1 - self.beta1**self.steps), 1 / (1 - self.beta2**self.steps)
        return [self.beta1, self.beta2, *corrections, self.epsilon, decay]

    def update(self, w: Array, g: Array, scale: np.floating, moments: list[Array], constants: Array) -> None:
        """As `Optimiser`."""
        _adam(w, g, scale, *moments, constants)


class AdamW(Adam):
    """Adam (Loshchilov and Hutter 2019, Decoupled weight decay, algorithm 2) whose matrices, not vectors (biases),
    also lose rate times ``weight_decay`` of themselves in each step."""

    kind: ClassVar[str] = "adamw"

    def __init__(self, rate: float | Schedule = 1e-3, *, weight_decay: float = 1e-2, **settings: Any) -> None:
        super().__init__(rate, **settings)
        self.weight_decay = weight_decay


@compiled
def _adam(w: Array, g: Array, scale: Any, m: Array, v: Array, constants: Any) -> None:
    """Constants: beta1, beta2, rate and factor of v with their corrections, epsilon, decay."""
    beta1, beta2, rate, correction = constants[0], constants[1], constants[2], constants[3]
    epsilon, decay = constants[4], constants[5]
    one = w.dtype.type(1)
    for i in range(w.shape[0]):
        d = g[i] * scale
        m[i] = beta1 * m[i] + (one - beta1) * d
        v[i] = beta2 * v[i] + (one - beta2) * d * d
        w[i] -= rate * m[i] / (np.sqrt(v[i] * correction) + epsilon) + decay * w[i]
