"""Activations of gates by settings, over whole arrays, where a kind has not the usual ones compiled in."""

from __future__ import annotations

import numpy as np

from ostinato.model.activation import Activation
from ostinato.training.activations import activate_all, settings, slope_all
from ostinato.training.packing import Array


class Gate:
    """y = f(x) with x clipped to within [-limit, limit], if there is a limit."""

    def __init__(self, activation: Activation, limit: float | None) -> None:
        self.activation, self.limit = activation, limit

    def __call__(self, x: Array) -> Array:
        """Values of f, of x [N, H]."""
        x = np.ascontiguousarray(x if self.limit is None else np.clip(x, -self.limit, self.limit))
        y = np.empty_like(x)
        activate_all(*settings(self.activation, x.dtype), x, y)
        return y

    def back(self, x: Array, y: Array, dy: Array) -> Array:
        """Gradient of x."""
        x, y, dy = (np.ascontiguousarray(each) for each in (x, y, dy))
        dx = np.empty_like(x)
        slope_all(*settings(self.activation, x.dtype), x, y, dy, dx)
        if self.limit is not None:
            dx[np.abs(x) > self.limit] = 0
        return dx
