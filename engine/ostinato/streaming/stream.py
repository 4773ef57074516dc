"""Streams: one sequence in progress each, with its own state."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, cast

import numpy as np

from ostinato.errors import (
    InputError,
    OstinatoError,
    SnapshotError,
    StreamClosedError,
    StreamError,
    UtteranceTooLongError,
)
from ostinato.events import Event
from ostinato.pipeline.state import expect, pack, unpack
from ostinato.streaming import snapshot as snapshots
from ostinato.streaming.frames import Float32, FrameQueue
from ostinato.streaming.packed import MAX_ROWS
from ostinato.streaming.speech import SpeechWatch
from ostinato.streaming.utterance import UtteranceRun, placed

if TYPE_CHECKING:
    from ostinato.streaming.model import Model

MAX_UTTERANCE_S = 3600.0


@dataclass(frozen=True, slots=True)
class Options:
    """How a stream was opened; see `Model.stream`."""

    sample_rate: int | None = None
    decoder: Literal["outputs"] | None = None
    end_of_speech_ms: float | None = None
    max_utterance_s: float = 60.0

    def __post_init__(self) -> None:
        if not 0 < self.max_utterance_s <= MAX_UTTERANCE_S:
            raise InputError(
                f"max_utterance_s = {self.max_utterance_s} is not above 0 and at most {MAX_UTTERANCE_S:g}"
            )
        if self.end_of_speech_ms is not None and not 0 < self.end_of_speech_ms < math.inf:
            raise InputError(
                f"end_of_speech_ms = {self.end_of_speech_ms} is not positive: ask for some 600 ms of silence"
            )


class Stream:
    """One sequence in progress through a model; made by `Model.stream` and `Model.restore`.

    `push` answers each frame at once if the model is causal; a bidirectional one answers when the utterance ends
    (`flush`, or the end of speech if the stream watches for it). Times of events count from the start of their
    utterance."""

    __slots__ = (
        "__weakref__", "_base_ms", "_decoder", "_decoder_state", "_front", "_queue", "_runs", "_slot", "_speech",
        "_start_frame", "_utterance_units", "causal", "closed", "frames_in", "frames_out", "model", "options",
        "units_in", "utterance",
    )  # fmt: skip

    def __init__(self, model: Model, options: Options) -> None:
        self.closed = True  # until it has its slot, there is nothing to give back
        self.model = model
        self.options = options
        self.causal = model.direction == "unidirectional"
        self.units_in = 0
        """Samples, tokens or frames accepted since the stream was opened."""
        self.frames_in = 0
        """Model frames that the front end has made since the stream was opened."""
        self.frames_out = 0
        """Model frames computed and decoded since the stream was opened."""
        self.utterance = 0
        """Number of the present utterance, from 0."""
        self._base_ms = 0.0
        self._start_frame = 0
        self._utterance_units = 0
        self._decoder: Any = model.decoder_for(options.decoder) if options.decoder else model.decoder
        self._speech = SpeechWatch(model, options.end_of_speech_ms) if options.end_of_speech_ms is not None else None
        self._front: Any = model.front_end.start(options.sample_rate)
        self._decoder_state: Any = self._decoder.start()
        self._queue = FrameQueue(model.front_end.frame_size)
        self._runs: list[UtteranceRun] = []
        self._slot = model.states.acquire()  # a bidirectional stream takes its place too, and leaves the row alone
        self.closed = False

    # --- what everybody uses ----------------------------------------------------------------------------------------

    def push(self, data: Any) -> list[Event]:
        """Take input in, and return the events that are decided by it.

        ``data`` is what the front end takes: mono audio, int16 or float32 in [-1, 1]; text; or float32 frames [n,
        size]. Raises InputError (DtypeError, ShapeError, NotFiniteError, UnknownTokenError), UtteranceTooLongError,
        StreamClosedError; the stream is then as if it had not come."""
        self.accept(self.check(data))
        return advance([self])[0]

    def flush(self) -> list[Event]:
        """End the utterance: all events that are still to come. The stream then starts its next utterance."""
        self._need_open()
        if not self.causal:
            self.end_utterance()
            return advance([self])[0]
        self._received(0, self.model.front_end.flush(self._front))
        events = advance([self])[0]
        events += placed(self._decoder.flush(self._decoder_state), self.utterance, self.utterance_ms)
        events += placed(self._speech.flush() if self._speech else [], self.utterance, self.utterance_ms)
        self._restart()
        return events

    def reset(self) -> None:
        """Drop the utterance and what waits; the stream starts its next utterance."""
        self._need_open()
        self._queue = FrameQueue(self.model.front_end.frame_size)
        self._runs.clear()
        self._restart()

    def snapshot(self) -> bytes:
        """All of the stream's state, to be given to `Model.restore`, in this process or another."""
        self._need_open()
        record = snapshots.StreamRecord(
            self.model.network.digest,
            self.options.sample_rate,
            self.options.decoder,
            self.options.end_of_speech_ms,
            self.options.max_utterance_s,
            self.units_in,
            self.frames_in,
            self.frames_out,
            self.utterance,
            self._utterance_units,
            self._base_ms,
            self._start_frame,
            self.model.states.rows[self._slot].astype("<f4").tobytes() if self.causal else None,
            self._queue.all(),
        )
        speech = pack(self._speech.state) if self._speech else None
        runs = [pack(run.record()) for run in self._runs]
        return snapshots.encode([pack(record), pack(self._front), pack(self._decoder_state), speech, runs])

    @staticmethod
    def restore(model: Model, snapshot: bytes) -> Stream:
        """The stream that the snapshot is of. Raises SnapshotError if it is damaged, or of another model or
        version."""
        raw, front, decoder, speech, runs = snapshots.decode(snapshot)
        record = unpack(snapshots.StreamRecord, raw, "stream")
        if record.model != model.network.digest:
            raise SnapshotError(
                f"the snapshot is of another model than {model.name!r}: restore it with its own model file"
            )
        expect(record.decoder in (None, "outputs"), f"decoder {record.decoder!r} is unknown")
        override = cast(Literal["outputs"] | None, record.decoder)
        try:
            options = Options(record.sample_rate, override, record.end_of_speech_ms, record.max_utterance_s)
            stream = Stream(model, options)
        except InputError as error:
            raise SnapshotError(f"the snapshot is damaged: {error}") from error
        try:
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
        return self._base_ms + self._start_frame * cast(float, self.model.front_end.frame_ms)

    # --- what an engine uses besides --------------------------------------------------------------------------------

    @property
    def waiting(self) -> int:
        """Frames that were made and are not computed yet: what `advance` will compute, or the utterance so far."""
        return self._queue.count

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
        self.frames_out += len(run.frames)
        return run

    # --- inside -----------------------------------------------------------------------------------------------------

    def _need_open(self) -> None:
        if self.closed:
            raise StreamClosedError("the stream is closed: open another")

    def _admit(self, data: Any) -> int:
        """The number of units, if the utterance has room for them."""
        self._need_open()
        units = cast(int, self.model.front_end.units(data))
        if not self.causal and self._speech is None:
            limit = self.options.max_utterance_s * 1000 * self._units_per_ms
            if self._utterance_units + units > limit:
                raise UtteranceTooLongError(
                    f"the utterance would be longer than {self.options.max_utterance_s:g} s, and a bidirectional "
                    "model must keep it all: flush it first, or open the stream with a larger max_utterance_s "
                    "or with end_of_speech_ms"
                )
        return units

    def _received(self, units: int, frames: Float32) -> None:
        self.units_in += units
        self._utterance_units += units
        self.frames_in += len(frames)
        if self.causal or self._speech is None:
            self._queue.append(frames)
            return
        limit = max(1, int(self.options.max_utterance_s * 1000 / self.model.front_end.frame_ms))
        for frame in frames[:, None]:
            self._queue.append(frame)
            ends = self._speech.step(frame)
            if ends or self._queue.count >= limit:
                self._cut(ends or self._speech.flush())
                self._speech.next_utterance()
                self.utterance += 1
            elif dropped := self._speech.drop_before_speech(self._queue.count):
                self._queue.take(dropped)
                self._start_frame += dropped

    def _cut(self, ends: list[Event]) -> None:
        """What was buffered becomes a finished utterance, its events followed by ``ends``; the next one starts
        here."""
        frames = self._queue.take(self._queue.count)
        self._runs.append(UtteranceRun(self.model, self._decoder, frames, self.utterance, self.utterance_ms, ends))
        self._start_frame += len(frames)

    def _restart(self) -> None:
        """Everything but the counters as in a fresh stream."""
        if self.causal:
            self.model.states.rows[self._slot] = 0
        self.utterance += 1
        self._base_ms = self.units_in / self._units_per_ms
        self._start_frame = self._utterance_units = 0
        self._front = self.model.front_end.start(self.options.sample_rate)
        self._decoder_state = self._decoder.start()
        if self._speech:
            self._speech.restart()

    @property
    def _units_per_ms(self) -> float:
        return self.options.sample_rate / 1000 if self.options.sample_rate else self.model.units_per_ms

    def _decoded(self, frames: Float32, events: list[Event]) -> list[Event]:
        """All events of ``frames``, of which the decoder has found ``events``."""
        if self._speech:
            # By frame, so that the order does not depend on how the input was cut.
            events = list(heapq.merge(events, self._speech.step(frames), key=lambda event: event.frame))
        self.frames_out += len(frames)
        return placed(events, self.utterance, self.utterance_ms) if events else events

    def _restore(
        self, record: snapshots.StreamRecord, front: Any, decoder: Any, speech: Any, runs: list[Any]
    ) -> None:
        counters = ("units_in", "frames_in", "frames_out", "utterance", "utterance_units", "start_frame")
        expect(min(getattr(record, name) for name in counters) >= 0, "a counter is negative")
        expect(record.utterance_units <= record.units_in, "the utterance is longer than all input")
        self.units_in, self.frames_in, self.frames_out = record.units_in, record.frames_in, record.frames_out
        self.utterance, self._utterance_units = record.utterance, record.utterance_units
        self._base_ms, self._start_frame = record.base_ms, record.start_frame
        self._front = self.model.front_end.restore(front)
        self._decoder_state = self._decoder.restore(decoder)
        expect((speech is None) == (self._speech is None), "the speech state does not fit the options")
        if self._speech:
            self._speech.restore(speech)
        expect((record.state is None) == (not self.causal), "the recurrent state does not fit the model")
        if record.state is not None:
            row = self.model.states.rows[self._slot]
            expect(len(record.state) == row.nbytes, "the recurrent state is not of the model's size")
            row[:] = np.frombuffer(record.state, "<f4")
        expect(
            record.waiting.shape[1] == self.model.front_end.frame_size,
            "the waiting frames are not of the model's size",
        )
        self._queue.append(record.waiting)
        expect(not (runs and self.causal), "a causal stream has no finished utterances")
        self._runs = [UtteranceRun.restore(self.model, self._decoder, run) for run in runs]


def accept(streams: Sequence[Stream], data: Sequence[Any]) -> list[OstinatoError | None]:
    """`Stream.accept` of checked data for many different streams of one model, their front ends in one batch.

    Returns each stream's error, or None; a stream with an error is as if its data had not come.
    """
    _one_model(streams)
    errors: list[OstinatoError | None] = [None] * len(streams)
    batch: list[tuple[Stream, Any, int]] = []
    for i, (stream, each) in enumerate(zip(streams, data, strict=True)):
        try:
            batch.append((stream, each, stream._admit(each)))
        except StreamError as error:
            errors[i] = error
    if batch:
        front_end = batch[0][0].model.front_end
        frames = front_end.step_many([stream._front for stream, _, _ in batch], [each for _, each, _ in batch])
        for (stream, _, units), made in zip(batch, frames, strict=True):
            stream._received(units, made)
            if not stream.causal:
                stream._queue.own()  # these wait; those of causal streams are computed next, by `advance`
    return errors


def advance(streams: Sequence[Stream], max_frames: int | None = None) -> list[list[Event]]:
    """Compute what waits in many different streams of one model, together; the events of each.

    At most ``max_frames`` of each causal stream, if given. Finished utterances of bidirectional streams are
    computed whole; what has not ended stays. Company changes no bit of a stream's results."""
    _one_model(streams)
    events: list[list[Event]] = [[] for _ in streams]
    left = [(max_frames if max_frames is not None else stream.waiting) if stream.causal else 0 for stream in streams]
    for i, stream in enumerate(streams):
        while run := stream.next_run():
            while not run.step():
                pass
            events[i] += run.events
    todo = [(i, stream, left[i]) for i, stream in enumerate(streams) if left[i] and stream.waiting]
    while todo:
        batch: list[tuple[int, Stream, Float32]] = []
        later, room = [], MAX_ROWS
        for i, stream, most in todo:
            if count := min(stream._queue.count, most, room):
                batch.append((i, stream, stream._queue.take(count)))
                room -= count
            if stream._queue.count:
                if most > count:
                    later.append((i, stream, most - count))
                else:
                    stream._queue.own()
        for (i, _, _), each in zip(batch, _run(batch), strict=True):
            events[i] += each
        todo = later
    return events


def _run(batch: Sequence[tuple[int, Stream, Float32]]) -> list[list[Event]]:
    """Compute and decode these frames of causal streams of one model; the events of each."""
    model = batch[0][1].model
    streams = [stream for _, stream, _ in batch]
    frames = [each for _, _, each in batch]
    outputs = model.runner.run(model.states.rows, [stream._slot for stream in streams], frames)
    if all(stream._decoder is model.decoder for stream in streams):
        states, counts = [stream._decoder_state for stream in streams], [len(each) for each in frames]
        decoded: list[list[Event]] = model.decoder.step_many(states, outputs, counts)
    else:  # each has its own part of the outputs, and maybe its own decoder
        parts = np.split(outputs, np.cumsum([len(each) for each in frames])[:-1])
        decoded = [s._decoder.step(s._decoder_state, part) for s, part in zip(streams, parts, strict=True)]
    return [stream._decoded(each, events) for (_, stream, each), events in zip(batch, decoded, strict=True)]


def _one_model(streams: Sequence[Stream]) -> None:
    if len({id(stream.model) for stream in streams}) > 1 or len({id(stream) for stream in streams}) < len(streams):
        raise ValueError("the streams must be different ones of one model")
