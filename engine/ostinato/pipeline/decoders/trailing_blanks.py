"""Where speech ends, as a head hears it that is decoded by connectionist temporal classification."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from ostinato.events import Event
from ostinato.model.decoders import CtcSymbols
from ostinato.pipeline import state as snapshots
from ostinato.pipeline.decoders.decoder import F32, Decoder, counted, whole_frames


@dataclass(slots=True)
class BlankCount:
    """``blanks``: frames since the last one that was no blank, once a symbol was ``heard``."""

    frames: int = 0
    blanks: int = 0
    heard: bool = False


@dataclass(slots=True)
class TrailingBlanksState:
    """``said``: the state of the decoder whose symbols these are."""

    count: BlankCount
    said: Any

    @property
    def frames(self) -> int:
        """Frames so far."""
        return self.count.frames


class TrailingBlanksDecoder(Decoder[CtcSymbols, TrailingBlanksState]):
    """The events of another decoder, and between them ends of speech: where a symbol was heard that is told, and
    since then the blank has been the likeliest output for so many ms, rounded up to whole frames (Kaldi's online
    decoders call that an endpoint by trailing silence).

    An ``end-of-speech`` event comes with the frame that decides it, behind what the other decoder says by then;
    ``time_ms`` is where the last frame ends that was no blank, ``probability`` that of the blank. After it another
    symbol must be heard. `flush` ends speech that is going on, so that each stretch of speech has exactly one end.
    """

    def __init__(self, decoder: Decoder[Any, Any], blanks_ms: float) -> None:
        super().__init__(decoder.settings, decoder.frame_ms, decoder.latency_ms)
        self.delay = decoder.delay
        self._decoder = decoder
        self._blanks = whole_frames(blanks_ms, decoder.frame_ms)

    @property
    def state_bytes(self) -> int:
        """As `Decoder` has it."""
        return self._decoder.state_bytes

    def start(self) -> TrailingBlanksState:
        """A fresh state."""
        return TrailingBlanksState(BlankCount(), self._decoder.start())

    def step(self, state: TrailingBlanksState, outputs: F32) -> list[Event]:
        """The symbols, and the ends of speech, that the rows of ``outputs`` [n, symbols] decide."""
        (events,) = self.step_many([state], outputs, [len(outputs)])
        return events

    def step_many(
        self, states: Sequence[TrailingBlanksState], outputs: F32, counts: Sequence[int]
    ) -> Iterator[list[Event]]:
        """`step` for many streams: the likeliest outputs of all together."""
        path = outputs.argmax(axis=1).tolist() if len(outputs) else []
        for state, count, end in zip(states, counts, accumulate(counts), strict=True):
            yield self._step(state, outputs[end - count : end], path[end - count : end])

    def flush(self, state: TrailingBlanksState) -> list[Event]:
        """What the other decoder held back, and the end of speech that was going on."""
        said: list[Event] = self._decoder.flush(state.said)
        return [*said, self._end(state.count, 1.0)] if state.count.heard else said

    def restore(self, packed: object) -> TrailingBlanksState:
        """The state that `state.pack` packed. Raises SnapshotError."""
        parts = packed if isinstance(packed, dict) else {}
        snapshots.expect(parts.keys() == {"count", "said"}, "the decoder's state lacks its two parts")
        count = counted(snapshots.unpack(BlankCount, parts["count"]))
        most = min(count.frames, self._blanks - 1) if count.heard else 0
        snapshots.expect(0 <= count.blanks <= most, "state.count.blanks is out of range")
        state = TrailingBlanksState(count, self._decoder.restore(parts["said"]))
        snapshots.expect(state.said.frames == count.frames, "the decoder's two parts have other frames")
        return state

    def _step(self, state: TrailingBlanksState, outputs: F32, path: list[int]) -> list[Event]:
        settings, count = self.settings, state.count
        events: list[Event] = []
        said = 0  # rows that the other decoder has had
        for row, index in enumerate(path):
            count.frames += 1
            if index != settings.blank:
                count.blanks = 0
                count.heard = count.heard or index not in settings.untold
            elif count.heard:
                count.blanks += 1
                if count.blanks == self._blanks:
                    events += self._decoder.step(state.said, outputs[said : row + 1])
                    events.append(self._end(count, float(outputs[row, index])))
                    said = row + 1
        return events + self._decoder.step(state.said, outputs[said:]) if said < len(path) else events

    def _end(self, count: BlankCount, probability: float) -> Event:
        last = count.frames - 1
        event = Event("end-of-speech", last, self.time_ms(last - count.blanks), probability=probability)
        count.blanks, count.heard = 0, False
        return event
