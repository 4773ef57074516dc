"""Raw outputs."""

from __future__ import annotations

from ostinato.events import Event
from ostinato.model.decoders import Outputs
from ostinato.pipeline import state as snapshots
from ostinato.pipeline.decoders.decoder import F32, Decoder, FrameCount, counted


class OutputsDecoder(Decoder[Outputs, FrameCount]):
    """Each frame's raw outputs: one ``output`` event per frame."""

    def start(self) -> FrameCount:
        """A fresh state."""
        return FrameCount()

    def step(self, state: FrameCount, outputs: F32) -> list[Event]:
        """One event per row of ``outputs`` [n, size]."""
        first = state.frames
        state.frames = end = first + len(outputs)
        copy = outputs if outputs.base is None else outputs.copy()  # a view is of rows that are used again
        if end - first == 1:  # as of a stream that is pushed each frame as it comes
            return [Event("output", first, end * self.frame_ms + self.latency_ms, "", -1, 0.0, copy[0])]
        return [Event("output", i, self.time_ms(i), values=row) for i, row in enumerate(copy, first)]

    def restore(self, packed: object) -> FrameCount:
        """The state that `state.pack` packed. Raises SnapshotError."""
        return counted(snapshots.unpack(FrameCount, packed))
