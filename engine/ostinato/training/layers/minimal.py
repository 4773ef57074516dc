"""What the minimal units share (Feng et al. 2024): gates of the input alone, so that no product waits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from ostinato.training.layers.layer import Parameters
from ostinato.training.layers.recurrent import Direction
from ostinato.training.packing import Array


class MinimalDirection(Direction):
    """A kind's ``cell`` and ``cell_back`` are its compiled steps, there and back."""

    cell: ClassVar[Callable[..., Any]]
    cell_back: ClassVar[Callable[..., Any]]

    def recur(self, own: Parameters, y: Array) -> None:
        """As `Direction.recur`."""
        self.previous = self.buffers("previous", y.shape, y.dtype)
        self.cell(self.sums, self.layer.positive, *self.steps, self.start(own, "h"), y, self.previous)

    def recur_back(self, own: Parameters, dy: Array, d_sums: Array) -> dict[str, Array]:
        """As `Direction.recur_back`."""
        d_start = self.cell_back(dy, self.sums, self.layer.positive, self.previous, *self.steps, d_sums)
        return {"initial_h": self.began("h", d_start)}
