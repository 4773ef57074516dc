"""What an encoder makes, kept for what generates from it."""

from __future__ import annotations

from dataclasses import dataclass, field

from ostinato.events import Event
from ostinato.kernels.memory import Memory
from ostinato.model.decoders import Outputs
from ostinato.pipeline import state as snapshots
from ostinato.pipeline.decoders.decoder import F32, Decoder, counted


@dataclass(slots=True)
class MemoryState:
    """``memory``: the ``frames`` so far. A snapshot of a stream keeps them beside this."""

    frames: int = 0
    complete: bool = False
    """Whether the source has ended, and all of it is there."""
    memory: Memory = field(init=False)


class MemoryDecoder(Decoder[Outputs, MemoryState]):
    """Keeps all outputs, ``pitch`` values from one frame to the next, and decides nothing by itself."""

    def __init__(self, frame_ms: float, latency_ms: float, pitch: int) -> None:
        super().__init__(Outputs(), frame_ms, latency_ms)
        self.pitch = pitch

    def start(self) -> MemoryState:
        """A fresh state."""
        state = MemoryState()
        state.memory = Memory(self.pitch)
        return state

    def step(self, state: MemoryState, outputs: F32) -> list[Event]:
        """Take the rows of ``outputs`` [n, size] in."""
        state.memory.append(outputs)
        state.frames += len(outputs)
        return []

    def flush(self, state: MemoryState) -> list[Event]:
        """The source has ended."""
        state.complete = True
        return []

    def restore(self, packed: object) -> MemoryState:
        """The state that `state.pack` packed, its memory still empty. Raises SnapshotError."""
        state = counted(snapshots.unpack(MemoryState, packed))
        state.memory = Memory(self.pitch)
        return state
