"""Dropout between layers, while a network learns; no model has it."""
# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

from typing import Any

import numpy as np

from ostinato.training.activations import compiled
from ostinato.training.layers.layer import Buffers
from ostinato.training.packing import Array

_STEPS = 1 << 16
"""Draws are this many numbers, four of 64 random bits: a float32 for each value takes three times as long."""


class Dropout:
    """Inverted dropout (Srivastava et al. 2014): a value is 0 with probability ``rate``, to the nearest 1/65536, else
    divided by 1 - rate."""

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self.buffers = Buffers()
        self._drawn: Array | None = None

    def forward(self, x: Array, generator: np.random.Generator | None) -> Array:
        """``x`` with what ``generator`` draws dropped; None: all values pass as they are."""
        self._drawn = None
        if generator is None:
            return x
        drawn = generator.integers(0, 2**64 - 1, -(-x.size // 4), np.uint64, endpoint=True)
        self._drawn = drawn.view(np.uint16)[: x.size].reshape(x.shape)
        return self._passed(x, "y")

    def backward(self, dy: Array) -> Array:
        """Gradients of what `forward` was given last."""
        return dy if self._drawn is None else self._passed(dy, "dx")

    def _passed(self, x: Array, name: str) -> Array:
        y, least = self.buffers(name, x.shape, x.dtype), min(round(self.rate * _STEPS), _STEPS - 1)
        _pass(np.ascontiguousarray(x), self._drawn, least, x.dtype.type(1 / (1 - least / _STEPS)), y)
        return y


@compiled
def _pass(x: Array, drawn: Array, least: int, scale: Any, y: Array) -> None:
    """``y`` <- x times ``scale`` where what was drawn is ``least`` or more, else times 0."""
    for row in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[row, j] = x[row, j] * (scale if drawn[row, j] >= least else scale - scale)
