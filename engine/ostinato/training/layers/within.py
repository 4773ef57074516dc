"""A layer over the positions of each frame, learning: frames are its sequences, positions their steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ostinato.model.layers import Within
from ostinato.training.layers.layer import LearningLayer, Parameters
from ostinato.training.packing import Array, Packing
from ostinato.training.reframing import Windows


class LearningWithin:
    """``inner`` is what learns of the layer within. What it re-frames is gathered before it, and spread behind it, as
    the network does for all others (`TrainableNetwork`)."""

    def __init__(self, name: str, layer: Within, inner: LearningLayer) -> None:
        self.layer, self.inner = layer, inner

    def forward(self, parameters: Parameters, inputs: Sequence[Array], packing: Packing) -> Array:
        """As `LearningLayer.forward`."""
        counts, framings = self.layer.counts, self.layer.layer.framings
        # Its sequences are whole, and others in each frame: no state goes on.
        learning = packing.learning and replace(packing.learning, states=None)
        self.sequences = [Packing.of(np.full(len(inputs[0]), count), learning) for count in counts]
        windows = [Windows(f, *self.sequences[n : n + 2]) for n, f in enumerate(framings)]
        gathering = sum(framing.times == 1 for framing in framings)  # they come first
        self.before, self.after = windows[:gathering], windows[gathering:]
        rows = [_by_position(x, counts[0]) for x in inputs]
        for each in self.before:
            rows = [each.forward(x) for x in rows]
        y = self.inner.forward(parameters, rows, self.sequences[gathering])
        for each in self.after:
            y = each.forward(y)
        return _by_frame(y, counts[-1])

    def backward(
        self, parameters: Parameters, dy: Array, gradients: dict[str, Array], wanted: bool = True
    ) -> Sequence[Array | None]:
        """As `LearningLayer.backward`."""
        counts = self.layer.counts
        d = _by_position(dy, counts[-1])
        for each in reversed(self.after):
            d = each.backward(d)
        found: list[Array | None] = []
        for dx in self.inner.backward(parameters, d, gradients, wanted=wanted):
            if dx is not None:
                for each in reversed(self.before):
                    dx = each.backward(dx)
            found.append(None if dx is None else _by_frame(dx, counts[0]))
        return found


def _by_position(x: Array, positions: int) -> Array:
    """Frames [N, positions * channels] as packed rows [positions * N, channels]."""
    size = x.shape[1] // positions
    return np.ascontiguousarray(x.reshape(len(x), positions, size).transpose(1, 0, 2)).reshape(
        positions * len(x), size
    )


def _by_frame(rows: Array, positions: int) -> Array:
    """The inverse of `_by_position`."""
    size, frames = rows.shape[1], len(rows) // positions
    return np.ascontiguousarray(rows.reshape(positions, frames, size).transpose(1, 0, 2)).reshape(
        frames, positions * size
    )
