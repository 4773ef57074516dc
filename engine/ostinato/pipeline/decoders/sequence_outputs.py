"""Numbers for the whole sequence."""

from __future__ import annotations

from ostinato.events import Event
from ostinato.model.decoders import SequenceOutputs
from ostinato.pipeline.decoders.decoder import F32
from ostinato.pipeline.decoders.pooled import PooledDecoder


class SequenceOutputsDecoder(PooledDecoder[SequenceOutputs]):
    """The whole sequence's outputs: one ``output`` event."""

    def size(self) -> int:
        """As the settings say."""
        return self.settings.size

    def event(self, frame: int, values: F32) -> Event:
        """The outputs."""
        return Event("output", frame, self.time_ms(frame), values=values)
