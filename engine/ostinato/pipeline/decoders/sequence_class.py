"""A class for the whole sequence."""

from __future__ import annotations

from ostinato.events import Event
from ostinato.model.decoders import SequenceClass
from ostinato.pipeline.decoders.decoder import F32
from ostinato.pipeline.decoders.pooled import PooledDecoder


class SequenceClassDecoder(PooledDecoder[SequenceClass]):
    """The class of the whole sequence: a ``class`` event, with all probabilities in ``values``."""

    def size(self) -> int:
        """One for each label."""
        return len(self.settings.labels)

    def event(self, frame: int, values: F32) -> Event:
        """The most probable class."""
        k = int(values.argmax())
        return Event("class", frame, self.time_ms(frame), self.settings.labels[k], k, float(values[k]), values)
