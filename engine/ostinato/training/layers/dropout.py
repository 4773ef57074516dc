"""Dropout between layers, while a network learns; no model has it."""

from __future__ import annotations

from typing import Any

import numpy as np

from ostinato.training.packing import Array


class Dropout:
    """Inverted dropout (Srivastava et al. 2014): a value is 0 with probability ``rate``, else divided by 1 - rate."""

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self._mask: Any = None

    def forward(self, x: Array, generator: np.random.Generator | None) -> Array:
        """``x`` with what ``generator`` draws dropped; None: all values pass as they are."""
        self._mask = None
        if generator is None:
            return x
        kept = generator.random(x.shape, np.float32) >= self.rate
        self._mask = kept.astype(x.dtype) / x.dtype.type(1 - self.rate)
        return np.asarray(x * self._mask)

    def backward(self, dy: Array) -> Array:
        """Gradients of what `forward` was given last."""
        return dy if self._mask is None else np.asarray(dy * self._mask)
