"""Streams: one sequence in progress each, with its own state."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

from ostinato.errors import InputError, SnapshotError, StreamError
from ostinato.events import Event
from ostinato.options import DEFAULT, Options
from ostinato.pipeline.state import expect, unpack
from ostinato.sampling import Sampling
from ostinato.streaming import generation, keeping
from ostinato.streaming import snapshot as snapshots
from ostinato.streaming.batch import advance, push_alone
from ostinato.streaming.heads import Head
from ostinato.streaming.lone import Lone
from ostinato.streaming.options import Delay, check_dtype, delay
from ostinato.streaming.pipeline import Pipeline
from ostinato.streaming.record import Record, told_again
from ostinato.streaming.utterance import placed


class Stream:
    """One sequence in progress through a model; made by `Model.stream` and `Model.restore`.

    `push` answers each frame at once if the model is causal, in blocks with bounded wait; otherwise a bidirectional
    one answers when the utterance ends (`flush`, or the end of speech if the stream watches for it). Times of events
    count from the start of their utterance.

    ``record`` is what an engine advances many streams by (`ostinato.streaming.batch`)."""

    __slots__ = ("__weakref__", "_lone", "record")

    def __init__(self, record: Record) -> None:
        self.record = record
        self._lone = Lone.of(record)

    def push(self, data: Any) -> list[Event]:
        """Take input in, and return the events that are decided by it: of a stream with ``wait_k`` the tokens that
        are drawn from what is there of the source.

        ``data`` is what the front end takes: mono audio, int16 or float32 in [-1, 1]; text; or float32 frames [n,
        size]. Raises InputError (DtypeError, ShapeError, NotFiniteError, UnknownTokenError), UtteranceTooLongError,
        StreamClosedError; the stream is then as if it had not come. DivergedError if the outputs overflow: its
        ``events`` are those before that, the utterance is lost, and all input is refused so until `flush` or
        `reset`."""
        record = self.record
        if self._lone is None or (events := self._lone.push(record, data)) is None:
            events = self._push(data)
        if record.fault is not None:
            raise told_again(record.fault, events)
        return events

    def _push(self, data: Any) -> list[Event]:
        record = self.record
        data = record.check(data)
        if record.plain and not record.queue.count:
            return push_alone(record, data, record.admit(data))
        record.accept(data)
        events = advance([record])[0]
        while record.sees is not None:
            events += advance([record])[0]
        return events

    def generate(self, sampling: Sampling | None = None, longest: int | None = None) -> Iterator[Event]:
        """Let a language model go on with the text: ``token`` events as they are drawn, then an
        ``end-of-generation``. Each token is the next input, the last one too, so that the stream then goes on behind
        all that it said.

        The text begins behind what was pushed, or with the head's start token. With an encoder what was pushed is the
        source, which ends with this call; once the text has ended, another call makes another one of the same source,
        and `flush` makes room for the next. ``longest`` is how many tokens there
        may be, up to MAX_LONGEST; default: the head's. Whoever breaks off the iteration pauses it, and no input is
        taken until it has ended, or `end_generation`; called again, or for a restored or forked stream, this goes on
        with it, as it was begun but for what is given now.

        Raises InputError if the stream has no head that generates, nothing to begin with, or no such bound;
        StreamClosedError; while iterating DivergedError, as `push` does."""
        generation.begin(self.record, sampling, longest)
        return self._tokens()

    def _tokens(self) -> Iterator[Event]:
        record = self.record
        run = None if record.beam is not None or record.writing is not None else record.model.ahead(record.head)
        while record.generating is not None:
            record.need_open()
            told = False
            for events in generation.ahead(record, run) if run is not None else ():
                told = True
                yield from events
            if told:
                continue
            events = advance([record])[0]
            if record.fault is not None:
                raise told_again(record.fault, events)
            yield from events

    def end_generation(self) -> None:
        """End the generation in progress, if there is one; the stream then takes input behind what was generated."""
        self.record.need_open()
        self.record.end_generation()

    def flush(self) -> list[Event]:
        """End the utterance: all events that are still to come; none if it was lost. A generation ends. The stream
        then starts its next utterance, also if the outputs overflow only now (DivergedError, see `push`)."""
        record = self.record
        record.need_open()
        if record.fault is not None or record.writing is not None:  # a source is done with
            self.reset()
            return []
        record.end_generation()
        if record.causal:
            record.receive(0, record.model.front_end.flush(record.front))
        else:
            record.end_utterance()
        events = advance([record])[0]
        if (fault := record.fault) is not None:
            record.fault = None
            if record.causal:
                self.reset()
            raise told_again(fault, events)
        if not record.causal:
            return events
        last = record.head.decoder.flush(record.decoder_state) + (record.speech.flush() if record.speech else [])
        events += placed(last, record.utterance, record.utterance_ms)
        record.restart()
        return events

    def reset(self) -> None:
        """Drop the utterance and what waits; the stream starts its next utterance."""
        self.record.need_open()
        self.record.drop_frames()
        self.record.fault = None
        self.record.restart()

    def snapshot(self) -> bytes:
        """All of the stream's state, to be given to `Model.restore`, in this process or another. Raises DivergedError
        while the utterance is lost, StreamError if hundreds of finished utterances wait to be computed."""
        record = self.record
        record.need_open()
        if record.fault is not None:
            raise told_again(record.fault)
        if len(record.finished) > snapshots.MAX_FINISHED:
            raise StreamError(
                f"{len(record.finished)} finished utterances wait, and a snapshot holds {snapshots.MAX_FINISHED}: "
                "compute some first"
            )
        return snapshots.encode(keeping.packed(record))

    @staticmethod
    def restore(model: Pipeline, snapshot: bytes, options: Options) -> Stream:
        """The stream that the snapshot is of. Raises SnapshotError if it is damaged, or of another model or
        version, InputError for ``options`` that are asked for and not what it has."""
        raw, *parts = snapshots.decode(snapshot)
        try:
            kept = unpack(snapshots.StreamRecord, raw, "stream")
        except InputError as error:
            raise SnapshotError(f"the snapshot is damaged: {error}") from error
        if kept.model != model.network.digest:
            raise SnapshotError(
                f"the snapshot is of another model than {model.name!r}: restore it with its own model file"
            )
        expect(kept.options.dtype is None, "a stream keeps no dtype")
        try:
            record = Record(model, kept.options)
        except InputError as error:
            raise SnapshotError(f"the snapshot is damaged: {error}") from error
        try:
            check_dtype(options, model)
            for name, value in dataclasses.replace(options, dtype=None).given.items():
                if value != getattr(record.options, name):
                    raise InputError(f"{name} = {value!r} is not what the stream of the snapshot has: leave it out")
            keeping.restore(record, kept, *parts)
            generation.check_restored(record)
        except BaseException:
            record.close()
            raise
        return Stream(record)

    def fork(self) -> Stream:
        """A second stream that goes on from here on its own."""
        return Stream.restore(self.record.model, self.snapshot(), DEFAULT)

    def close(self) -> None:
        """Give the stream's state back; it takes nothing more. Closing twice does nothing."""
        self.record.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- what there is to know of it --------------------------------------------------------------------------------

    @property
    def model(self) -> Pipeline:
        """What it goes through."""
        return self.record.model

    @property
    def options(self) -> Options:
        """How it was opened."""
        return self.record.options

    @property
    def head(self) -> Head:
        """What its events come from."""
        return self.record.head

    @property
    def delay(self) -> Delay:
        """How much of the future an output needs at most, as the stream was opened."""
        return delay(self.record.model, self.record.head, self.record.wait, self.record.options.wait_k)

    @property
    def closed(self) -> bool:
        """Whether it takes nothing more."""
        return self.record.closed

    @property
    def fault(self) -> Exception | None:
        """Why the present utterance is lost, if it is: no input is taken until `flush` or `reset`. A DivergedError,
        or whatever a fault of ours raised."""
        return self.record.fault

    @property
    def generating(self) -> bool:
        """Whether a generation is in progress, be it paused: no input is taken."""
        return self.record.generating is not None

    @property
    def units_in(self) -> int:
        """Samples, tokens or frames accepted since the stream was opened."""
        return self.record.units_in

    @property
    def frames_in(self) -> int:
        """Model frames that the front end has made since the stream was opened."""
        return self.record.frames_in

    @property
    def frames_out(self) -> int:
        """Model frames computed and decoded since the stream was opened."""
        return self.record.frames_out

    @property
    def waiting(self) -> int:
        """Frames that were made and are not answered yet: of a bidirectional stream, the utterance so far."""
        return self.record.waiting

    @property
    def utterance(self) -> int:
        """Number of the present utterance, from 0."""
        return self.record.utterance

    @property
    def utterance_ms(self) -> float:
        """Where the present utterance starts in the stream's input, in ms."""
        return self.record.utterance_ms
