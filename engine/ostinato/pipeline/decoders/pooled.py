"""What decoders share that say one thing of the whole sequence: the last frame's outputs, or their mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

import numpy as np

from ostinato.events import Event
from ostinato.pipeline import state as snapshots
from ostinato.pipeline.decoders.decoder import F32, Decoder, counted


class Pooling(Protocol):
    """Settings that say which of the two."""

    @property
    def pool(self) -> Literal["last", "mean"]:
        """The last frame's outputs, or the mean of all."""


D = TypeVar("D", bound=Pooling)


@dataclass(slots=True)
class Pooled:
    """``total``: the last frame's outputs, or their sum over the frames, float64 [outputs]."""

    total: snapshots.F64Vector
    frames: int = 0


class PooledDecoder(Decoder[D, Pooled]):
    """One event at flush, of all outputs together (none for a sequence without frames).

    The mean is a sum in float64, frame after frame, so that its bits do not depend on how the frames come.
    """

    def size(self) -> int:
        """How many outputs there are."""
        raise NotImplementedError

    def event(self, frame: int, values: F32) -> Event:
        """What is said of the sequence, whose last frame's number is ``frame``."""
        raise NotImplementedError

    def start(self) -> Pooled:
        """A fresh state."""
        return Pooled(np.zeros(self.size()))

    def step(self, state: Pooled, outputs: F32) -> list[Event]:
        """Take the rows of ``outputs`` [n, size] in; nothing is known before the end."""
        if len(outputs) and self.settings.pool == "last":
            state.total = outputs[-1].astype(np.float64)
        elif len(outputs):
            # accumulate, not sum: it alone promises to add in order.
            state.total = np.add.accumulate(np.concatenate((state.total[None], outputs)), axis=0)[-1].copy()
        state.frames += len(outputs)
        return []

    def flush(self, state: Pooled) -> list[Event]:
        """The event."""
        if not state.frames:
            return []
        count = state.frames if self.settings.pool == "mean" else 1
        return [self.event(state.frames - 1, (state.total / count).astype(np.float32))]

    def restore(self, packed: object) -> Pooled:
        """The state that `state.pack` packed. Raises SnapshotError."""
        state = counted(snapshots.unpack(Pooled, packed))
        snapshots.expect(len(state.total) == self.size(), "state.total is not one value for each output")
        return state
