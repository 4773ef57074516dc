"""A class for the whole sequence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ostinato.events import Event
from ostinato.model.decoders import SequenceClass
from ostinato.pipeline import state as snapshots
from ostinato.pipeline.decoders.decoder import F32, Decoder, counted


@dataclass(slots=True)
class SequenceClassState:
    """``total``: the last frame's probabilities, or their sum over the frames, float64 [labels]."""

    total: snapshots.F64Vector
    frames: int = 0


class SequenceClassDecoder(Decoder[SequenceClass, SequenceClassState]):
    """The class of the whole sequence, one ``class`` event at flush (none for a sequence without frames).

    The mean is a sum in float64, frame after frame, so that its bits do not depend on how the frames come.
    """

    def start(self) -> SequenceClassState:
        """A fresh state."""
        return SequenceClassState(np.zeros(len(self.settings.labels)))

    def step(self, state: SequenceClassState, outputs: F32) -> list[Event]:
        """Take the rows of ``outputs`` [n, labels] in; nothing is known before the end."""
        if len(outputs) and self.settings.pool == "last":
            state.total = outputs[-1].astype(np.float64)
        elif len(outputs):
            # accumulate, not sum: it alone promises to add in order.
            state.total = np.add.accumulate(np.concatenate((state.total[None], outputs)), axis=0)[-1].copy()
        state.frames += len(outputs)
        return []

    def flush(self, state: SequenceClassState) -> list[Event]:
        """The class, and all probabilities in ``values``."""
        if not state.frames:
            return []
        count = state.frames if self.settings.pool == "mean" else 1
        values = (state.total / count).astype(np.float32)
        k, last = int(values.argmax()), state.frames - 1
        return [Event("class", last, self.time_ms(last), self.settings.labels[k], k, float(values[k]), values)]

    def restore(self, packed: object) -> SequenceClassState:
        """The state that `state.pack` packed. Raises SnapshotError."""
        state = counted(snapshots.unpack(SequenceClassState, packed))
        snapshots.expect(len(state.total) == len(self.settings.labels), "state.total is not one value per label")
        return state
