"""Windows over frames while learning: which rows of a packing a re-framing reads, forward and backward."""

from __future__ import annotations

import numpy as np

from ostinato.model.framing import Framing
from ostinato.training.packing import Array, Packing


class Windows:
    """What ``framing`` takes of the rows of ``source`` for each row of ``target``."""

    def __init__(self, framing: Framing, source: Packing, target: Packing) -> None:
        self.framing = framing
        rows = np.full((source.batch, len(source.sizes) + 1), -1, np.int64)
        rows[source.sequence, source.time] = np.arange(len(source.time))
        if framing.times > 1:
            at = target.time[:, None] + framing.skip
            number, self._part = at // framing.times, at[:, 0] % framing.times
        else:
            number = target.time[:, None] * framing.stride - framing.left + framing.dilation * np.arange(framing.taps)
            self._part = np.zeros(len(target.time), np.int64)
        inside = (number >= 0) & (number < len(source.sizes))
        self._rows = np.where(inside, rows[target.sequence[:, None], np.where(inside, number, 0)], -1)
        self._count = len(source.time)

    def forward(self, x: Array) -> Array:
        """Rows [N', taps * size] of ``x`` [N, size], or [N', size / times]."""
        if x.ndim == 1:  # token ids, which windows pass on as they are
            return x[self._rows[:, 0]]
        size = x.shape[1] // self.framing.times
        parts = np.concatenate(
            [x.reshape(len(x), self.framing.times, size), np.zeros((1, self.framing.times, size), x.dtype)]
        )
        parts[-1] = self.framing.pad
        made: Array = parts[self._rows, self._part[:, None]].reshape(len(self._rows), self.framing.taps * size)
        return made

    def backward(self, dy: Array) -> Array:
        """Gradients of ``x`` [N, size] from those of the rows."""
        size = dy.shape[1] // self.framing.taps
        parts = np.zeros((self._count + 1, self.framing.times, size), dy.dtype)
        np.add.at(parts, (self._rows, self._part[:, None]), dy.reshape(len(self._rows), self.framing.taps, size))
        dx: Array = parts[:-1].reshape(self._count, self.framing.times * size)
        return dx
