"""Connectionist temporal classification."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ostinato.events import Event
from ostinato.model.decoders import Ctc
from ostinato.pipeline import state as snapshots
from ostinato.pipeline.decoders.decoder import F32, Decoder, counted


@dataclass(slots=True)
class CtcState:
    """``previous``: the index on the best path at the frame before; -1 before the first."""

    frames: int = 0
    previous: int = -1


class CtcDecoder(Decoder[Ctc, CtcState]):
    """Greedy CTC (best path; Graves et al. 2006): at each frame the most probable symbol; repeats collapse, blanks
    and silent symbols go.

    A symbol is emitted at the first frame of its run on the best path, which is when the path decides it;
    ``probability`` is its probability there.
    """

    def __init__(self, settings: Ctc, frame_ms: float, latency_ms: float) -> None:
        super().__init__(settings, frame_ms, latency_ms)
        self._untold = settings.untold
        self._told = np.array([k not in settings.untold for k in range(len(settings.symbols))])

    def start(self) -> CtcState:
        """A fresh state."""
        return CtcState()

    def step(self, state: CtcState, outputs: F32) -> list[Event]:
        """The symbols that the rows of ``outputs`` [n, symbols] decide."""
        (events,) = self.step_many([state], outputs, [len(outputs)])
        return events

    def step_many(self, states: Sequence[CtcState], outputs: F32, counts: Sequence[int]) -> Iterator[list[Event]]:
        """`step` for many streams: the best paths of all together; most frames decide nothing."""
        untold = self._untold
        path = outputs.argmax(axis=1).tolist() if len(outputs) else []
        start = 0
        for state, count in zip(states, counts, strict=True):
            events: list[Event] = []
            previous, first, end = state.previous, state.frames - start, start + count
            if path[start:end].count(previous) < count:  # nearly always the path stays where it was
                for row in range(start, end):
                    k = path[row]
                    if k != previous and k not in untold:
                        at = first + row
                        events.append(self.decided(at, k, float(outputs[row, k])))
                    previous = k
                state.previous = previous
            state.frames += count
            start = end
            yield events

    def resting(self, state: CtcState) -> tuple[int, npt.NDArray[np.bool_]]:
        """The best path, and its symbols."""
        return state.previous, self._told

    def decided(self, frame: int, index: int, probability: float) -> Event:
        """A symbol."""
        return Event("symbol", frame, self.time_ms(frame), self.settings.symbols[index], index, probability)

    def put_back(self, state: CtcState, frames: int, resting: int) -> None:
        """The path went on."""
        state.frames += frames
        state.previous = resting

    def restore(self, packed: object) -> CtcState:
        """The state that `state.pack` packed. Raises SnapshotError."""
        state = counted(snapshots.unpack(CtcState, packed))
        snapshots.expect(-1 <= state.previous < len(self.settings.symbols), "state.previous is no symbol")
        return state
