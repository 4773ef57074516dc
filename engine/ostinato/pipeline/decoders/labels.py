"""A label for each frame."""

from __future__ import annotations

from ostinato.events import Event
from ostinato.model.decoders import Labels
from ostinato.pipeline import state as snapshots
from ostinato.pipeline.decoders.decoder import F32, Decoder, FrameCount, counted


class LabelsDecoder(Decoder[Labels, FrameCount]):
    """Each frame's most probable label: one ``label`` event per frame; the lowest index wins a tie."""

    def start(self) -> FrameCount:
        """A fresh state."""
        return FrameCount()

    def step(self, state: FrameCount, outputs: F32) -> list[Event]:
        """One event per row of ``outputs`` [n, labels]."""
        first, state.frames = state.frames, state.frames + len(outputs)
        labels = self.settings.labels
        return [
            Event("label", i, self.time_ms(i), labels[k], k, float(outputs[i - first, k]))
            for i, k in enumerate(outputs.argmax(axis=1).tolist(), first)
        ]

    def restore(self, packed: object) -> FrameCount:
        """The state that `state.pack` packed. Raises SnapshotError."""
        return counted(snapshots.unpack(FrameCount, packed))
