"""Streams: one sequence in progress each, with its own state."""

from __future__ import annotations

import dataclasses
import heapq
import math
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np

from ostinato.errors import (
    DivergedError,
    InputError,
    SnapshotError,
    StreamClosedError,
    StreamError,
    UtteranceTooLongError,
)
from ostinato.events import Event
from ostinato.options import Options
from ostinato.pipeline.state import MAX_COUNT, expect, pack, unpack
from ostinato.streaming import snapshot as snapshots
from ostinato.streaming.batch import advance
from ostinato.streaming.frames import Float32, FrameQueue, RowStore
from ostinato.streaming.options import BoundedWait, Delay, check_dtype, delay, settled
from ostinato.streaming.speech import SpeechWatch
from ostinato.streaming.utterance import Begun, UtteranceRun, placed

if TYPE_CHECKING:
    from ostinato.streaming.model import Model


class Stream:
    """One sequence in progress through a model; made by `Model.stream` and `Model.restore`.

    `push` answers each frame at once if the model is causal, in blocks with bounded wait; otherwise a bidirectional
    one answers when the utterance ends (`flush`, or the end of speech if the stream watches for it). Times of events
    count from the start of their utterance."""

    __slots__ = (
        "__weakref__", "_base_ms", "_computed", "_decoder_state", "_front", "_queue", "_rows", "_runs",
        "_slot", "_speech", "_start_frame", "_utterance_units", "causal", "closed", "fault", "frames_in",
        "frames_out", "head", "model", "options", "plain", "units_in", "utterance", "wait",
    )  # fmt: skip

    def __init__(self, model: Model, options: Options) -> None:
        self.closed = True  # until it has its slot, there is nothing to give back
        self.model = model
        options = settled(options, model)
        self.options = options
        self.head = model.heads.find(options.head, options.decoder)
        """What its events come from."""
        self.causal = model.direction == "unidirectional"
        self.wait = BoundedWait.of(model, options)
        """The blocks of a stream with bounded wait; None for other streams."""
        self.units_in = 0
        """Samples, tokens or frames accepted since the stream was opened."""
        self.frames_in = 0
        """Model frames that the front end has made since the stream was opened."""
        self.frames_out = 0
        """Model frames computed and decoded since the stream was opened."""
        self.utterance = 0
        """Number of the present utterance, from 0."""
        self.fault: Exception | None = None
        """Why the present utterance is lost, if it is: no input is taken until `flush` or `reset`. A DivergedError,
        or whatever a fault of ours raised."""
        self._base_ms = 0.0
        self._start_frame = 0
        self._utterance_units = 0
        self._computed = 0  # frames of the utterance that were answered in blocks
        self._speech = SpeechWatch(model, options.end_of_speech_ms) if options.end_of_speech_ms is not None else None
        self.plain = self.causal and self._speech is None
        """Whether its frames become events by nothing but layers and a decoder, each frame at once."""
        self._front: Any = model.front_end.start(options.sample_rate)
        self._decoder_state: Any = self.head.decoder.start()
        self._queue = FrameQueue(model.front_end.frame_size)
        self._rows = RowStore(model.network.program)  # the frames before those, as far as computed early
        self._runs: list[UtteranceRun] = []
        self._slot = model.states.acquire()
        self.closed = False

    # --- what everybody uses ----------------------------------------------------------------------------------------

    def push(self, data: Any) -> list[Event]:
        """Take input in, and return the events that are decided by it.

        ``data`` is what the front end takes: mono audio, int16 or float32 in [-1, 1]; text; or float32 frames [n,
        size]. Raises InputError (DtypeError, ShapeError, NotFiniteError, UnknownTokenError), UtteranceTooLongError,
        StreamClosedError; the stream is then as if it had not come. DivergedError if the outputs overflow: its
        ``events`` are those before that, the utterance is lost, and all input is refused so until `flush` or
        `reset`."""
        self.accept(self.check(data))
        events = advance([self])[0]
        if self.fault is not None:
            raise _again(self.fault, events)
        return events

    def flush(self) -> list[Event]:
        """End the utterance: all events that are still to come; none if it was lost. The stream then starts its next
        utterance, also if the outputs overflow only now (DivergedError, see `push`)."""
        self._need_open()
        if self.fault is not None:
            self.reset()
            return []
        if self.causal:
            self._received(0, self.model.front_end.flush(self._front))
        else:
            self.end_utterance()
        events = advance([self])[0]
        if (fault := self.fault) is not None:
            self.fault = None
            if self.causal:
                self.reset()
            raise _again(fault, events)
        if not self.causal:
            return events
        events += placed(self.head.decoder.flush(self._decoder_state), self.utterance, self.utterance_ms)
        events += placed(self._speech.flush() if self._speech else [], self.utterance, self.utterance_ms)
        self._restart()
        return events

    def reset(self) -> None:
        """Drop the utterance and what waits; the stream starts its next utterance."""
        self._need_open()
        self._drop()
        self.fault = None
        self._restart()

    def snapshot(self) -> bytes:
        """All of the stream's state, to be given to `Model.restore`, in this process or another. Raises DivergedError
        while the utterance is lost, StreamError if hundreds of finished utterances wait to be computed."""
        self._need_open()
        if self.fault is not None:
            raise _again(self.fault)
        if len(self._runs) > snapshots.MAX_FINISHED:
            raise StreamError(
                f"{len(self._runs)} finished utterances wait, and a snapshot holds {snapshots.MAX_FINISHED}: compute "
                "some first"
            )
        record = snapshots.StreamRecord(
            self.model.network.digest,
            self.options,
            self.units_in,
            self.frames_in,
            self.frames_out,
            self.utterance,
            self._utterance_units,
            self._base_ms,
            self._start_frame,
            self._computed,
            None if self._whole else self._state.astype("<f4").tobytes(),
            np.concatenate([self._rows.frames(self.model.front_end.frame_size), self._queue.peek(self.waiting)]),
        )
        speech = pack(self._speech.state) if self._speech else None
        runs = [run.record() for run in self._runs]
        return snapshots.encode([pack(record), pack(self._front), pack(self._decoder_state), speech, runs])

    @staticmethod
    def restore(model: Model, snapshot: bytes, options: Options) -> Stream:
        """The stream that the snapshot is of. Raises SnapshotError if it is damaged, or of another model or
        version, InputError for ``options`` that are asked for and not what it has."""
        raw, front, decoder, speech, runs = snapshots.decode(snapshot)
        record = unpack(snapshots.StreamRecord, raw, "stream")
        if record.model != model.network.digest:
            raise SnapshotError(
                f"the snapshot is of another model than {model.name!r}: restore it with its own model file"
            )
        expect(record.options.dtype is None, "a stream keeps no dtype")
        try:
            stream = Stream(model, record.options)
        except InputError as error:
            raise SnapshotError(f"the snapshot is damaged: {error}") from error
        try:
            check_dtype(options, model)
            for name, value in dataclasses.replace(options, dtype=None).given.items():
                if value != getattr(stream.options, name):
                    raise InputError(f"{name} = {value!r} is not what the stream of the snapshot has: leave it out")
            stream._restore(record, front, decoder, speech, runs)
        except BaseException:
            stream.close()
            raise
        return stream

    def fork(self) -> Stream:
        """A second stream that goes on from here on its own."""
        return self.model.restore(self.snapshot())

    def close(self) -> None:
        """Give the stream's state back; it takes nothing more. Closing twice does nothing."""
        if not self.closed:
            self.closed = True
            self._runs.clear()
            self.model.states.release(self._slot)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if not getattr(self, "closed", True):
            self.close()

    @property
    def utterance_ms(self) -> float:
        """Where the present utterance starts in the stream's input, in ms."""
        if not self._start_frame:
            return self._base_ms
        return self._base_ms + self._start_frame * cast(float, self.model.front_end.frame_ms)

    @property
    def delay(self) -> Delay:
        """How much of the future an output needs at most, as the stream was opened."""
        return delay(self.model, self.wait)

    # --- what an engine uses besides --------------------------------------------------------------------------------

    @property
    def waiting(self) -> int:
        """Frames that were made and are not answered yet: of a bidirectional stream, the utterance so far."""
        return self._rows.count + self._queue.count

    @property
    def held(self) -> int:
        """Frames in its keeping: those that wait, and those of finished utterances."""
        return self.waiting + sum(run.count for run in self._runs)

    @property
    def ready(self) -> int:
        """Of these, the frames that `advance` will take up: all of a causal stream, those of complete blocks with
        bounded wait, else those not computed early yet. None before speech if the stream listens for its end: they
        may yet be forgotten; and none of an utterance that is lost."""
        if self.fault is not None:
            return 0
        count = self._queue.count
        if self.causal or not count:
            return count
        if self._speech and not self._speech.spoken:
            return 0
        if self.wait:
            return max(0, (count - self.wait.lookahead) // self.wait.block * self.wait.block)
        return count

    @property
    def ended(self) -> bool:
        """Whether a finished utterance waits to be computed, which comes first: see `next_run`."""
        return bool(self._runs)

    @property
    def early_bytes(self) -> int:
        """Memory that was taken to compute a bidirectional stream's utterance early."""
        return self._rows.nbytes

    def early_bytes_after(self, count: int) -> int:
        """The same once ``count`` more frames have been computed early."""
        return self._rows.bytes_for(self._rows.count + min(count, self.ready))

    def check(self, data: Any) -> Any:
        """``data`` as the front end takes it. Raises InputError; changes nothing."""
        self._need_open()
        return self.model.front_end.check(data)

    def accept(self, data: Any) -> None:
        """Take checked input in without computing it. Raises as `push` does."""
        units = self._admit(data)
        self._received(units, self.model.front_end.step(self._front, data))

    def end_utterance(self) -> None:
        """End a bidirectional stream's utterance without computing it: `next_run` has it. Raises StreamError if
        causal."""
        self._need_open()
        if self.causal:
            raise StreamError("a causal stream has no utterance to compute: flush it")
        self._received(0, self.model.front_end.flush(self._front))
        self._cut(self._speech.flush() if self._speech else [])
        self._restart()

    def next_run(self) -> UtteranceRun | None:
        """The oldest finished utterance of a bidirectional stream; whoever takes it computes it and has its
        events."""
        if not self._runs:
            return None
        run = self._runs.pop(0)
        self.frames_out += run.count
        return run

    def lose(self, error: Exception, unanswered: Float32 | None = None) -> None:
        """Its outputs are not finite, or a fault was met: the present utterance, and finished ones that wait, are
        given up. Frames ``unanswered`` [n, frame_size] were computed in vain; they count as waiting."""
        self.fault = error
        self._drop()
        if unanswered is not None:
            self._queue.append(unanswered.copy())

    # --- inside -----------------------------------------------------------------------------------------------------

    @property
    def _whole(self) -> bool:
        """Whether nothing is answered before the end of the utterance."""
        return not self.causal and self.wait is None

    @property
    def _state(self) -> Float32:
        """The recurrent state, [state_size]."""
        return cast(Float32, self.model.states.rows[self._slot])

    def _need_open(self) -> None:
        if self.closed:
            raise StreamClosedError("the stream is closed: open another")

    def _drop(self) -> None:
        """Forget all frames that wait."""
        self._queue = FrameQueue(self.model.front_end.frame_size)
        self._rows = RowStore(self.model.network.program)
        self._runs.clear()

    def _admit(self, data: Any) -> int:
        """The number of units, if the utterance has room for them."""
        self._need_open()
        if self.fault is not None:
            raise _again(self.fault)
        units = cast(int, self.model.front_end.units(data))
        if self._whole and self._speech is None:
            limit = self.options.utterance_s * 1000 * self._units_per_ms
            if self._utterance_units + units > limit:
                raise UtteranceTooLongError(
                    f"the utterance would be longer than {self.options.utterance_s:g} s, and a bidirectional "
                    "model must keep it all: flush it first, or open the stream with a larger max_utterance_s, "
                    "with end_of_speech_ms, or with block_ms"
                )
        return units

    def _received(self, units: int, frames: Float32) -> None:
        self.units_in += units
        self._utterance_units += units
        self.frames_in += len(frames)
        if self.causal or self._speech is None:
            self._queue.append(frames)
            return
        limit = max(1, int(self.options.utterance_s * 1000 / self.model.front_end.frame_ms))
        for frame in frames[:, None]:
            self._queue.append(frame)
            ends = self._speech.step(frame)
            if not ends and (dropped := self._speech.drop_before_speech(self._queue.count, limit)):
                self._queue.take(dropped)
                self._start_frame += dropped
            if ends or (self._whole and self.waiting >= limit):
                self._cut(ends or self._speech.flush())
                self._speech.next_utterance()
                self.utterance += 1

    def _cut(self, ends: list[Event]) -> None:
        """What is left of the utterance becomes a run, its events followed by ``ends``; the next one starts here."""
        frames = self._queue.take(self._queue.count)
        begun = Begun.nothing(self.model, self.head)
        begun.state[0], begun.decoder, begun.rows = self._state, self._decoder_state, self._rows
        run = UtteranceRun(self.model, self.head, frames, self.utterance, self.utterance_ms, ends, self.wait, begun)
        self._runs.append(run)
        self._start_frame += self._computed + run.count
        self._start_anew()

    def _start_anew(self) -> None:
        """The layers and the decoder are as before the first frame."""
        self.model.network.program.begin(self._state)
        self._decoder_state = self.head.decoder.start()
        self._rows = RowStore(self.model.network.program)
        self._computed = 0

    def _restart(self) -> None:
        """Everything but the counters as in a fresh stream."""
        self._start_anew()
        self.utterance += 1
        self._base_ms = self.units_in / self._units_per_ms
        self._start_frame = self._utterance_units = 0
        self._front = self.model.front_end.start(self.options.sample_rate)
        if self._speech:
            self._speech.restart()

    @property
    def _units_per_ms(self) -> float:
        return self.options.sample_rate / 1000 if self.options.sample_rate else self.model.units_per_ms

    def _decoded(self, frames: Float32, events: list[Event]) -> list[Event]:
        """All events of ``frames``, of which the decoder has found ``events``."""
        if self._speech and self.causal:
            # By frame, so that the order does not depend on how the input was cut.
            events = list(heapq.merge(events, self._speech.step(frames), key=lambda event: event.frame))
        self.frames_out += len(frames)
        if self.wait:
            self._computed += len(frames)
        return placed(events, self.utterance, self.utterance_ms) if events else events

    def _restore(
        self, record: snapshots.StreamRecord, front: Any, decoder: Any, speech: Any, runs: list[Any]
    ) -> None:
        counters = ("units_in", "frames_in", "frames_out", "utterance", "utterance_units", "start_frame", "computed")
        expect(min(getattr(record, name) for name in counters) >= 0, "a counter is negative")
        expect(record.utterance_units <= record.units_in, "the utterance is longer than all input")
        expect(0 <= record.base_ms <= MAX_COUNT, "the utterance's place is out of range")
        self.units_in, self.frames_in, self.frames_out = record.units_in, record.frames_in, record.frames_out
        self.utterance, self._utterance_units = record.utterance, record.utterance_units
        self._base_ms, self._start_frame, self._computed = record.base_ms, record.start_frame, record.computed
        self._front = self.model.front_end.restore(front)
        self._decoder_state = self.head.decoder.restore(decoder)
        expect((speech is None) == (self._speech is None), "the speech state does not fit the options")
        if self._speech:
            self._speech.restore(speech)
        expect((record.state is None) == self._whole, "the recurrent state does not fit the model")
        if record.state is not None:
            expect(len(record.state) == self._state.nbytes, "the recurrent state is not of the model's size")
            self._state[:] = np.frombuffer(record.state, "<f4")
        expect(
            record.waiting.shape[1] == self.model.front_end.frame_size,
            "the waiting frames are not of the model's size",
        )
        per_frame = self._units_per_ms * self.model.front_end.frame_ms
        expect(
            len(record.waiting) <= most_frames(self._utterance_units, per_frame),
            "more frames wait than the utterance's input makes",
        )
        self._queue.append(record.waiting)
        expect(not (runs and self.causal), "a causal stream has no finished utterances")
        self._runs = [UtteranceRun.restore(self.model, self.head, run, self.wait) for run in runs]


def _again(fault: Exception, events: list[Event] | None = None) -> Exception:
    """The fault of an utterance that is lost, told once more, now with these events."""
    return DivergedError(str(fault), events) if isinstance(fault, DivergedError) else fault


def most_frames(units: int, units_per_frame: float) -> int:
    """A bound of the frames that so much input makes. (Lower-casing makes two characters of a few.)"""
    return 2 * math.ceil(units / units_per_frame) + 16
