"""The computation of a finished utterance, in slices that an engine can put between its ticks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from ostinato.errors import DivergedError
from ostinato.events import Event
from ostinato.kernels.schedule import Pass
from ostinato.pipeline.state import MAX_COUNT, expect, pack, unpack
from ostinato.streaming.finite import finite_rows
from ostinato.streaming.frames import Float32, RowStore
from ostinato.streaming.heads import Head
from ostinato.streaming.options import BoundedWait
from ostinato.streaming.pipeline import Pipeline
from ostinato.streaming.snapshot import EndRecord, UtteranceRecord


@dataclass(slots=True)
class Computed:
    """What has been computed of an utterance: ``state`` [1, state_size] and ``decoder`` as they are after that, and
    the ``rows`` of frames whose early operations have run, and whose others have not."""

    state: Float32
    decoder: Any
    rows: RowStore

    @staticmethod
    def nothing(model: Pipeline, head: Head) -> Computed:
        """Of an utterance that has not been begun."""
        program = model.reader.program
        return Computed(program.new_states(1), head.decoder.start(), RowStore(program))


class FinishedUtterance:
    """A finished utterance of a bidirectional stream, as far as it is not computed yet.

    Pass after pass of the program runs over all frames: from the last to the first for backward operations. The bits
    do not depend on how `step` divides them."""

    __slots__ = (
        "__weakref__", "_computing", "_frames", "_head", "_max_rows", "_model", "_rows", "_state", "_wait", "count",
        "decoder_state", "ends", "events", "utterance", "utterance_ms",
    )  # fmt: skip

    def __init__(
        self,
        model: Pipeline,
        head: Head,
        frames: Float32,
        utterance: int,
        utterance_ms: float,
        ends: list[Event],
        wait: BoundedWait | None = None,
        computed: Computed | None = None,
    ) -> None:
        computed = computed or Computed.nothing(model, head)
        self.count = computed.rows.count + len(frames)
        """Frames that are left to compute."""
        self.utterance = utterance
        self.utterance_ms = utterance_ms
        self.ends = ends
        """The end-of-speech event that ended it, if one did, which comes last."""
        self.events: list[Event] = []
        """What the decoder emitted; complete once `step` has returned True."""
        self._model = model
        self._head = head
        self.decoder_state = computed.decoder
        """Of the decoder, after what is computed."""
        self._state = computed.state
        self._rows = computed.rows
        self._frames = frames  # after those of the rows, [n, frame_size]
        self._wait = wait
        self._max_rows = 0
        self._computing: Iterator[bool] | None = None

    def step(self, max_rows: int = 1 << 30) -> bool:
        """Compute at most ``max_rows`` frames of one pass. True when all is done and ``events`` are complete.

        Raises DivergedError if outputs are not finite; ``events`` are those before that then."""
        self._max_rows = max_rows
        if self._computing is None:
            self._computing = self._compute()
        return next(self._computing, True)

    def drop(self) -> None:
        """Give its memory back: it will not be computed any further."""
        self._computing = iter(())
        self._rows = RowStore(self._model.reader.program)

    @property
    def held_bytes(self) -> int:
        """Memory that its rows take already."""
        return self._rows.nbytes

    @property
    def needed_bytes(self) -> int:
        """Memory that its rows will take at most."""
        return self._rows.bytes_for(self.count if self._wait is None else min(self.count, self._wait.frames))

    def packed(self) -> list[Any]:
        """What a snapshot keeps of one that is not begun: the rest of the utterance, to be computed anew."""
        ends = [EndRecord(event.frame, event.time_ms, event.probability) for event in self.ends]
        frames = np.concatenate([self._rows.frames(self._frames.shape[1]), self._frames])
        state = self._state.astype("<f4").tobytes() if self._wait else None
        record = UtteranceRecord(frames, state, self.utterance, self.utterance_ms, ends[0] if ends else None)
        return [pack(record), pack(self.decoder_state)]

    @staticmethod
    def restore(model: Pipeline, head: Head, packed: object, wait: BoundedWait | None) -> FinishedUtterance:
        """What was `packed`. Raises SnapshotError."""
        expect(isinstance(packed, list) and len(packed) == 2, "an utterance lacks its two parts")
        raw, decoder_state = cast(list[Any], packed)
        record = unpack(UtteranceRecord, raw, "utterance")
        expect(
            record.frames.shape[1] == model.front_end.frame_size, "an utterance's frames are not of the model's size"
        )
        expect(record.utterance >= 0, "an utterance's number is negative")
        expect(0 <= record.utterance_ms <= MAX_COUNT, "an utterance's place is out of range")
        computed = Computed.nothing(model, head)
        computed.decoder = head.decoder.restore(decoder_state)
        expect((record.state is None) == (wait is None), "an utterance's recurrent state does not fit the options")
        if record.state is not None:
            expect(
                len(record.state) == computed.state.nbytes,
                "an utterance's recurrent state is not of the model's size",
            )
            computed.state[0] = np.frombuffer(record.state, "<f4")
        end = record.end
        ends = [Event("end-of-speech", end.frame, end.time_ms, probability=end.probability)] if end else []
        return FinishedUtterance(
            model, head, record.frames, record.utterance, record.utterance_ms, ends, wait, computed
        )

    # --- inside: generators that yield False after each slice -------------------------------------------------------

    def _compute(self) -> Iterator[bool]:
        program = self._model.reader.program
        if self._wait is None:
            yield from self._catch_up()
            yield from self._block(self._rows.count, [each for each in program.passes if each.first >= program.early])
        else:
            while len(self._frames) >= self._wait.frames:
                yield from self._next_block(self._wait.block, self._wait.frames)
            # What is left sees the utterance to its end: one block, the same bits as many.
            yield from self._next_block(len(self._frames), len(self._frames))
        self._emit(self._head.decoder.flush(self.decoder_state))
        self._emit(self.ends)
        self._rows = RowStore(program)

    def _catch_up(self) -> Iterator[bool]:
        """Run the early operations over the frames that they have not seen."""
        while len(self._frames):
            frames = self._frames[: min(self._max_rows, self._model.runner.max_rows)]
            self._frames = self._frames[len(frames) :]
            self._rows.append(self._model.runner.run_early(self._state, [0], frames, [len(frames)]))
            yield False

    def _next_block(self, keep: int, length: int) -> Iterator[bool]:
        """Compute the next ``keep`` frames, with those up to ``length`` as their right context."""
        self._rows = RowStore(self._model.reader.program)
        self._rows.append_frames(self._frames[:length])
        yield from self._block(keep, self._model.reader.program.passes)
        self._frames = self._frames[keep:]

    def _block(self, keep: int, passes: Sequence[Pass]) -> Iterator[bool]:
        """Run ``passes`` over all rows, forward ones over the context from a copy of the state, and decode the first
        ``keep``."""
        rows = self._rows
        for each in passes:
            if each.backward:  # from its initial state, as nothing of a backward operation stays in the state
                yield from self._run(each, self._state.copy(), 0, rows.count)
            else:
                yield from self._run(each, self._state, 0, keep)
                if each.context:
                    yield from self._run(each, self._state.copy(), keep, rows.count)
        done = 0
        while done < keep:
            piece = rows.head(done, keep, self._max_rows)
            outputs = piece[:, self._head.region.slice]
            finite = finite_rows(outputs)
            self._emit(self._head.decoder.step(self.decoder_state, outputs[:finite]))
            if finite < len(outputs):
                self.drop()
                raise DivergedError.at(self.decoder_state.frames)
            done += len(piece)
            yield False

    def _run(self, each: Pass, state: Float32, first: int, last: int) -> Iterator[bool]:
        """Run a pass over rows ``first`` … ``last`` - 1, in its direction."""
        while first < last:
            piece = (self._rows.tail if each.backward else self._rows.head)(first, last, self._max_rows)
            self._model.runner.run_slice(each, state, piece)
            if each.backward:
                last -= len(piece)
            else:
                first += len(piece)
            yield False

    def _emit(self, events: list[Event]) -> None:
        self.events += placed(events, self.utterance, self.utterance_ms)


def placed(events: list[Event], utterance: int, utterance_ms: float) -> list[Event]:
    """The events, as a decoder has just made them, now saying which utterance of the stream they belong to and where
    it starts."""
    for event in events:
        event.utterance, event.utterance_ms = utterance, utterance_ms
    return events
