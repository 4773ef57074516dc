"""RMSProp."""
# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ostinato.training.activations import compiled
from ostinato.training.optimisers.optimiser import Optimiser
from ostinato.training.packing import Array
from ostinato.training.schedules import Schedule


class RmsProp(Optimiser):
    """Tieleman and Hinton 2012 (Neural networks for machine learning, lecture 6.5), with momentum as Graves 2013
    (Generating sequences, section 4.2) has it:

    v <- decay v + (1 - decay) g^2;  u <- momentum u + g / (sqrt(v) + epsilon);  w <- w - rate u
    """

    kind: ClassVar[str] = "rmsprop"
    moments = ("square", "velocity")

    def __init__(
        self,
        rate: float | Schedule = 1e-3,
        *,
        decay: float = 0.99,
        momentum: float = 0.0,
        epsilon: float = 1e-8,
        clip_norm: float | None = None,
    ) -> None:
        super().__init__(rate, clip_norm)
        self.decay, self.momentum, self.epsilon = decay, momentum, epsilon

    def constants(self, rate: float, matrix: bool) -> list[float]:
        """As `Optimiser`."""
        return [rate, self.decay, self.momentum, self.epsilon]

    def update(self, w: Array, g: Array, scale: np.floating, moments: list[Array], constants: Array) -> None:
        """As `Optimiser`."""
        _rmsprop(w, g, scale, *moments, constants)


@compiled
def _rmsprop(w: Array, g: Array, scale: Any, v: Array, u: Array, constants: Any) -> None:
    """Constants: rate, decay, momentum, epsilon."""
    rate, decay, momentum, epsilon = constants[0], constants[1], constants[2], constants[3]
    one = w.dtype.type(1)
    for i in range(w.shape[0]):
        d = g[i] * scale
        v[i] = decay * v[i] + (one - decay) * d * d
        u[i] = momentum * u[i] + d / (np.sqrt(v[i]) + epsilon)
        w[i] -= rate * u[i]
