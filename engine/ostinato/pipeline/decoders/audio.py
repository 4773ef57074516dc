"""Outputs that are samples."""

from __future__ import annotations

from ostinato.events import Event
from ostinato.model.decoders import Audio
from ostinato.pipeline import state as snapshots
from ostinato.pipeline.decoders.audio_output import AudioOutputDecoder, AudioOutputState
from ostinato.pipeline.decoders.decoder import F32


class AudioDecoder(AudioOutputDecoder[Audio, AudioOutputState]):
    """Outputs one after the other."""

    def start(self) -> AudioOutputState:
        """A fresh state."""
        return AudioOutputState()

    def step(self, state: AudioOutputState, outputs: F32) -> list[Event]:
        """The events that the rows of ``outputs`` [n, size] complete."""
        state.frames += len(outputs)
        return self.events(state, outputs.ravel(), state.frames * self.settings.size)

    def flush(self, state: AudioOutputState) -> list[Event]:
        """What makes no whole event."""
        return self.events(state, state.pending[:0], state.frames * self.settings.size, ended=True)

    def restore(self, packed: object) -> AudioOutputState:
        """The state that `state.pack` packed. Raises SnapshotError."""
        state = snapshots.unpack(AudioOutputState, packed)
        self.expect(state)
        return state
