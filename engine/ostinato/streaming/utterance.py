"""The computation of a complete utterance, in slices that an engine can put between its ticks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ostinato.events import Event
from ostinato.pipeline.state import expect, unpack
from ostinato.streaming.snapshot import EndRecord, UtteranceRecord

if TYPE_CHECKING:
    from ostinato.streaming.model import Model


class UtteranceRun:
    """A finished utterance of a bidirectional stream and how far its computation is.

    Each operation of the program runs over all frames before the next one starts: ascending, or descending for
    backward operations. The bits do not depend on how `step` divides them."""

    __slots__ = (
        "_decoder", "_decoder_state", "_done", "_model", "_phase", "_rows", "_state", "ends", "events", "frames",
        "utterance", "utterance_ms",
    )  # fmt: skip

    def __init__(
        self,
        model: Model,
        decoder: Any,
        frames: npt.NDArray[np.float32],
        utterance: int,
        utterance_ms: float,
        ends: list[Event],
    ) -> None:
        self.frames = frames
        """The utterance, [T, frame_size]."""
        self.utterance = utterance
        self.utterance_ms = utterance_ms
        self.ends = ends
        """The end-of-speech event that ended it, if one did, which comes last."""
        self.events: list[Event] = []
        """What the decoder emitted; complete once `step` has returned True."""
        self._model = model
        self._decoder = decoder
        self._decoder_state = decoder.start()
        self._phase = -1  # -1 copies the frames in, then one phase an operation, then decoding, then done
        self._done = 0
        self._rows = self._state = np.empty((0, 0), np.float32)

    def step(self, max_rows: int = 1 << 30) -> bool:
        """Compute at most ``max_rows`` frames of one operation. True when all is done and ``events`` are complete."""
        total, program = len(self.frames), self._model.network.program
        if self._phase > len(program.operations):
            return True
        if self._phase == -1 and not self._done:
            self._rows, self._state = program.new_rows(total), program.new_states(1)
        count = min(max_rows, total - self._done)
        first, last = self._done, self._done + count
        if self._phase == -1:
            offset = program.input.offset
            self._rows[first:last, offset : offset + self.frames.shape[1]] = self.frames[first:last]
        elif self._phase < len(program.operations):
            if program.backward[self._phase]:
                first, last = total - last, total - first
            if count:
                self._model.runner.run_operation(self._phase, self._state, self._rows[first:last])
        else:
            offset, size = program.output.offset, program.output.size
            self._emit(self._decoder.step(self._decoder_state, self._rows[first:last, offset : offset + size]))
        self._done += count
        if self._done == total:
            self._done = 0
            self._phase += 1
            if self._phase > len(program.operations):
                self._emit(self._decoder.flush(self._decoder_state))
                self._emit(self.ends)
                self._rows = self._state = np.empty((0, 0), np.float32)
        return self._phase > len(program.operations)

    def record(self) -> UtteranceRecord:
        """What a snapshot keeps: the utterance, to be computed from its start."""
        ends = [EndRecord(event.frame, event.time_ms, event.probability) for event in self.ends]
        return UtteranceRecord(self.frames, self.utterance, self.utterance_ms, ends[0] if ends else None)

    @staticmethod
    def restore(model: Model, decoder: Any, packed: object) -> UtteranceRun:
        """The run of a packed record. Raises SnapshotError."""
        record = unpack(UtteranceRecord, packed, "utterance")
        expect(
            record.frames.shape[1] == model.front_end.frame_size, "an utterance's frames are not of the model's size"
        )
        end = record.end
        ends = [Event("end-of-speech", end.frame, end.time_ms, probability=end.probability)] if end else []
        return UtteranceRun(model, decoder, record.frames, record.utterance, record.utterance_ms, ends)

    def _emit(self, events: list[Event]) -> None:
        self.events += placed(events, self.utterance, self.utterance_ms)


def placed(events: list[Event], utterance: int, utterance_ms: float) -> list[Event]:
    """The events, saying which utterance of the stream they belong to and where it starts."""
    if not utterance and not utterance_ms:
        return events
    return [replace(event, utterance=utterance, utterance_ms=utterance_ms) for event in events]
