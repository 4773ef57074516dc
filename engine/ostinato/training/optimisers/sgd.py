"""Stochastic gradient descent."""
# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ostinato.training.activations import compiled
from ostinato.training.optimisers.optimiser import Optimiser
from ostinato.training.packing import Array
from ostinato.training.schedules import Schedule


class Sgd(Optimiser):
    """With momentum (Polyak 1964): v <- momentum v + g;  w <- w - rate v

    ``nesterov`` (Nesterov 1983; in this form Sutskever et al. 2013, section 7.2, at the weights looked ahead to):
    w <- w - rate (g + momentum v)
    """

    kind: ClassVar[str] = "sgd"
    moments = ("velocity",)

    def __init__(
        self,
        rate: float | Schedule = 1e-2,
        *,
        momentum: float = 0.9,
        nesterov: bool = False,
        clip_norm: float | None = None,
    ) -> None:
        super().__init__(rate, clip_norm)
        self.momentum, self.nesterov = momentum, nesterov

    def constants(self, rate: float, matrix: bool) -> list[float]:
        """As `Optimiser`."""
        return [rate, self.momentum, float(self.nesterov)]

    def update(self, w: Array, g: Array, scale: np.floating, moments: list[Array], constants: Array) -> None:
        """As `Optimiser`."""
        _sgd(w, g, scale, *moments, constants)


@compiled
def _sgd(w: Array, g: Array, scale: Any, v: Array, constants: Any) -> None:
    """Constants: rate, momentum, 1 for Nesterov's."""
    rate, momentum, ahead = constants[0], constants[1], constants[2] > 0
    for i in range(w.shape[0]):
        d = g[i] * scale
        v[i] = momentum * v[i] + d
        w[i] -= rate * (d + momentum * v[i] if ahead else v[i])
