"""What is known of one stream: how it was opened, what it counts, what waits, and the states of all that computes it.

    input ── front end ──> queue ── layers ──> decoder ──> events
                           (frames)  rows: computed early, of a whole utterance
                             │
                             └── end of the utterance, where it is not answered at once ──> finished

A `Stream` is what people call, `batch` computes many records at once, and an engine does both. Of a model with an
encoder, the layers are the encoder's, the decoder is a memory, and `writing` makes the events.
"""

from __future__ import annotations

import heapq
from typing import Any, cast

from ostinato.errors import DivergedError, StreamClosedError, StreamError, UtteranceTooLongError
from ostinato.events import Event
from ostinato.model.decoders import Generation
from ostinato.options import MAX_SOURCE, Options
from ostinato.pipeline.decoders.memory import MemoryState
from ostinato.sampling import Sampling
from ostinato.streaming.beam import Beam
from ostinato.streaming.drawing import Ticket
from ostinato.streaming.frames import Float32, FrameQueue, RowStore
from ostinato.streaming.options import BoundedWait, settled
from ostinato.streaming.pipeline import Pipeline
from ostinato.streaming.snapshot import Generating, Writing
from ostinato.streaming.speech import SpeechWatch
from ostinato.streaming.utterance import Computed, FinishedUtterance, placed

TOLD = 16
"""Tokens of a text that is searched for which its own state takes in at once."""


class Record:
    """One stream through a model: its fields are public, for whoever advances many of them. It holds a slot of the
    model's states until `close`. Raises InputError, CapacityError."""

    __slots__ = (
        "__weakref__", "answered", "base_ms", "beam", "causal", "closed", "decoder_state", "fault", "finished",
        "frames_in", "frames_out", "front", "generating", "head", "model", "options", "pen", "plain", "queue",
        "room", "rows", "sink", "slot", "speech", "start_frame", "ticket", "units_in", "utterance",
        "utterance_units", "wait", "writing",
    )  # fmt: skip

    def __init__(self, model: Pipeline, options: Options) -> None:
        self.closed = True  # until it has its slot, there is nothing to give back
        self.model = model
        options = settled(options, model)
        self.options = options
        self.head = model.heads.asked(options)
        """What its events come from."""
        self.sink = model.heads.memory or self.head
        """Where what is computed of its input goes: there, or into its memory."""
        self.causal = self.sink.direction == "unidirectional"
        self.wait = BoundedWait.of(model, self.sink, options)
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
        """Why the present utterance is lost, if it is: no input is taken until it is flushed or reset. A
        DivergedError, or whatever a fault of ours raised."""
        self.base_ms = 0.0
        """Where the stream's input stood at the last `restart`; the present utterance begins ``start_frame`` frames
        behind it."""
        self.start_frame = 0
        self.utterance_units = 0
        """Of the input, those since the last `restart`."""
        self.answered = 0
        """Frames of the utterance that were answered in blocks."""
        self.speech = SpeechWatch(model, options.end_of_speech_ms) if options.end_of_speech_ms is not None else None
        self.plain = self.causal and self.speech is None and options.wait_k is None
        """Whether its frames become events by nothing but layers and a decoder, each frame at once."""
        self.front: Any = model.front_end.start(options.sample_rate)
        self.decoder_state: Any = self.sink.decoder.start()
        self.queue = FrameQueue(model.front_end.frame_size)
        """Frames that are not computed."""
        self.rows = RowStore(model.reader.program)
        """The frames before those, as far as they were computed early."""
        self.generating: Generating | None = None
        """How it generates, while it does: `advance` draws a token a call, which is its next frame, and no input is
        taken."""
        self.ticket: Ticket | None = None
        """What compiled code that draws tokens knows it by, as of the last one."""
        self.beam: Beam | None = None
        """Its hypotheses, where it does not draw tokens but searches for the likeliest text."""
        self.room = 1
        """How many tokens `advance` may tell at once, of a text that is searched for."""
        self.finished: list[FinishedUtterance] = []
        """Utterances that have ended and are not computed, oldest first."""
        self.writing = self._begun()
        """The text that it makes of what is pushed, if the model has an encoder."""
        self.slot = model.states.acquire()
        """Where the recurrent state is: a row of ``model.states``."""
        self.pen = model.writer.states.acquire() if model.writer else -1
        """Where that of what generates from a memory is: a row of ``model.writer.states``, of which there are as
        many."""
        self.closed = False

    def close(self) -> None:
        """Give the stream's state back; it takes nothing more. Closing twice does nothing."""
        if not self.closed:
            self.closed = True
            self.finished.clear()
            self._drop_beam()
            self.model.states.release(self.slot)
            if self.model.writer:
                self.model.writer.states.release(self.pen)

    def __del__(self) -> None:
        if not getattr(self, "closed", True):
            self.close()

    def check(self, data: Any) -> Any:
        """``data`` as the front end takes it. Raises InputError; changes nothing."""
        self.need_open()
        return self.model.front_end.check(data)

    def accept(self, data: Any) -> None:
        """Take checked input in without computing it. Raises as `Stream.push` does."""
        units = self.admit(data)
        self.receive(units, self.model.front_end.step(self.front, data))

    def end_utterance(self) -> None:
        """End a bidirectional stream's utterance without computing it: `next_finished` has it. Raises StreamError if
        causal."""
        self.need_open()
        if self.causal:
            raise StreamError("a causal stream has no utterance to compute: flush it")
        self.receive(0, self.model.front_end.flush(self.front))
        self.cut(self.speech.flush() if self.speech else [])
        self.restart()

    def end_source(self) -> None:
        """What the model generates from has ended. What is not computed of it yet is one finished utterance, or waits
        in the queue if the encoder is causal."""
        assert self.writing is not None
        self.writing.ended = True
        self.receive(0, self.model.front_end.flush(self.front))
        if not self.causal:
            self._finish([])

    def next_finished(self) -> FinishedUtterance | None:
        """The oldest finished utterance of a bidirectional stream; whoever takes it computes it and has its
        events."""
        if not self.finished:
            return None
        utterance = self.finished.pop(0)
        self.frames_out += utterance.count
        return utterance

    def lose(self, error: Exception, unanswered: Float32 | None = None) -> None:
        """Its outputs are not finite, or a fault was met: the present utterance, and finished ones that wait, are
        given up. Frames ``unanswered`` [n, frame_size] were computed in vain; they count as waiting."""
        self.fault = error
        self.end_generation()
        self.drop_frames()
        if unanswered is not None:
            self.queue.append(unanswered.copy())

    @property
    def utterance_ms(self) -> float:
        """Where the present utterance starts in the stream's input, in ms."""
        if not self.start_frame:
            return self.base_ms
        return self.base_ms + self.start_frame * cast(float, self.model.front_end.frame_ms)

    @property
    def waiting(self) -> int:
        """Frames that were made and are not answered yet: of a bidirectional stream, the utterance so far."""
        return self.rows.count + self.queue.count

    @property
    def held(self) -> int:
        """Frames in its keeping: those that wait, and those of finished utterances."""
        return self.waiting + sum(utterance.count for utterance in self.finished)

    @property
    def ready(self) -> int:
        """Of these, the frames that `advance` will take up: all of a causal stream, those of complete blocks with
        bounded wait, else those not computed early yet. None before speech if the stream listens for its end: they
        may yet be forgotten; and none of an utterance that is lost. Of one that generates at least 1: the token
        that is drawn next. Of one that searches, what it has told: several at once, which costs less than one by
        one."""
        if self.fault is not None:
            return 0
        count = self.queue.count
        if self.beam is not None and self.beam.begun:
            return count if count >= TOLD else 0
        if self.generating is not None and self.writing is None:
            return max(count, 1)
        if self.causal or not count:
            return count
        if self.speech and not self.speech.spoken:
            return 0
        if self.wait:
            return max(0, (count - self.wait.lookahead) // self.wait.block * self.wait.block)
        return count

    @property
    def refusal(self) -> Exception | None:
        """Why no input is taken, if none is: the utterance is lost, or its own tokens are its input."""
        if self.fault is not None:
            return told_again(self.fault)
        if self.writing is not None and self.writing.ended:
            return StreamError("the source of this text has ended: flush the stream, then push the next one")
        if self.generating is not None and self.writing is None:
            return StreamError(
                "the stream is generating, and its own tokens are its input: let the generation end, or end it, then "
                "push"
            )
        return None

    @property
    def going(self) -> Generating | None:
        """How tokens are drawn, while they are: also while the source goes on."""
        return self.generating or (self.writing.early if self.writing else None)

    @property
    def sees(self) -> int | None:
        """How many frames of its memory the next token is drawn from; None if it is not time yet, or nothing
        generates. With wait-k, token t (from 0) sees t + k of them, or all once the source has ended."""
        if self.writing is None or self.fault is not None or self.going is None:
            return None
        if not self.going.left and self.generating is None:
            return None  # no text ends before its source
        memory: MemoryState = self.decoder_state
        if self.options.wait_k is not None and self.writing.count + self.options.wait_k <= memory.frames:
            return self.writing.count + self.options.wait_k
        complete = memory.complete or (self.causal and self.writing.ended and not self.queue.count)
        return memory.frames if complete else None

    @property
    def draws(self) -> bool:
        """Whether its next token is to be drawn: it generates, and no other frame waits."""
        return self.generating is not None and self.beam is None and self.writing is None and not self.queue.count

    @property
    def searches(self) -> bool:
        """Whether it does nothing but go on with a search, of what is no source."""
        return self.beam is not None and self.beam.begun and self.writing is None and self.fault is None

    @property
    def ended(self) -> bool:
        """Whether a finished utterance waits to be computed, which comes first: see `next_finished`."""
        return bool(self.finished)

    @property
    def early_bytes(self) -> int:
        """Memory that was taken to compute a bidirectional stream's utterance early."""
        return self.rows.nbytes

    def early_bytes_after(self, count: int) -> int:
        """The same once ``count`` more frames have been computed early."""
        return self.rows.bytes_for(self.rows.count + min(count, self.ready))

    @property
    def whole(self) -> bool:
        """Whether nothing is answered before the end of the utterance."""
        return not self.causal and self.wait is None

    @property
    def state(self) -> Float32:
        """The recurrent state, [state_size]."""
        return cast(Float32, self.model.states.rows[self.slot])

    @property
    def written(self) -> Float32:
        """The recurrent state of what generates from its memory."""
        assert self.model.writer is not None
        return cast(Float32, self.model.writer.states.rows[self.pen])

    def need_open(self) -> None:
        """Raise StreamClosedError if it is closed."""
        if self.closed:
            raise StreamClosedError("the stream is closed: open another")

    def drop_frames(self) -> None:
        """Forget all frames that wait."""
        self.queue = FrameQueue(self.model.front_end.frame_size)
        self.rows = RowStore(self.model.reader.program)
        self.finished.clear()

    def admit(self, data: Any) -> int:
        """The number of units of checked input, if the utterance has room for them. Raises StreamClosedError,
        UtteranceTooLongError, and the fault of an utterance that is lost."""
        self.need_open()
        if (why := self.refusal) is not None:
            raise why
        units: int = self.model.front_end.units(data)
        if self.writing is not None and self.utterance_units + units > self.longest_source:
            raise UtteranceTooLongError(
                f"the source would be longer than {self.options.utterance_s:g} s or {MAX_SOURCE} frames, and all of "
                "it is kept for what is made of it: generate, flush, and push the rest as another source"
            )
        if self.whole and self.speech is None:
            limit = self.options.utterance_s * 1000 * self.units_per_ms
            if self.utterance_units + units > limit:
                raise UtteranceTooLongError(
                    f"the utterance would be longer than {self.options.utterance_s:g} s, and a bidirectional "
                    "model must keep it all: flush it first, or open the stream with a larger max_utterance_s, "
                    "with end_of_speech_ms, or with block_ms"
                )
        return units

    def receive(self, units: int, frames: Float32) -> None:
        """Take in the ``frames`` [n, frame_size] that the front end made of so many units. Where speech ends within
        them, or no more fits an utterance, it is cut there."""
        self.units_in += units
        self.utterance_units += units
        self.frames_in += len(frames)
        if self.causal or self.speech is None:
            self.queue.append(frames)
            return
        limit = max(1, int(self.options.utterance_s * 1000 / self.model.front_end.frame_ms))
        for frame in frames[:, None]:
            self.queue.append(frame)
            ends = self.speech.step(frame)
            if not ends and (dropped := self.speech.drop_before_speech(self.queue.count, limit)):
                self.queue.take(dropped)
                self.start_frame += dropped
            if ends or (self.whole and self.waiting >= limit):
                self.cut(ends or self.speech.flush())
                self.speech.next_utterance()
                self.utterance += 1

    def computed(self, units: int, frames: int) -> None:
        """So many units more came in and were answered at once, as so many frames."""
        self.units_in += units
        self.utterance_units += units
        self.frames_in += frames
        self.frames_out += frames

    def cut(self, ends: list[Event]) -> None:
        """What is left of the utterance is finished, its events followed by ``ends``; the next one starts here."""
        self.start_frame += self.answered + self._finish(ends)
        self.begin_utterance()

    def _finish(self, ends: list[Event]) -> int:
        """Let what waits be a finished utterance, of so many frames."""
        frames = self.queue.take(self.queue.count)
        computed = Computed.nothing(self.model, self.sink)
        computed.state[0], computed.decoder, computed.rows = self.state, self.decoder_state, self.rows
        utterance = FinishedUtterance(
            self.model, self.sink, frames, self.utterance, self.utterance_ms, ends, self.wait, computed
        )
        self.finished.append(utterance)
        self.rows = RowStore(self.model.reader.program)
        return utterance.count

    def begin_utterance(self) -> None:
        """The layers and the decoder are as before the first frame."""
        self.model.reader.program.begin(self.state)
        self.decoder_state = self.sink.decoder.start()
        self.rows = RowStore(self.model.reader.program)
        self.answered = 0
        self.end_generation()
        self.writing = self._begun()

    def end_generation(self) -> None:
        """It generates no more: what was told is its input, and nothing else."""
        self.generating = None
        if self.writing is not None:
            self.writing.early = None
        self._drop_beam()

    def _drop_beam(self) -> None:
        if self.beam is not None:
            self.beam.close()
            self.beam = None

    def _begun(self) -> Writing | None:
        """Of a text of which nothing is said yet."""
        if self.model.writer is None:
            return None
        settings = self.head.settings
        assert isinstance(settings, Generation) and settings.start is not None
        early = Generating(self.options.sampling or Sampling(), settings.longest)
        return Writing(settings.start, early=None if self.options.wait_k is None else early)

    def restart(self) -> None:
        """Everything but the counters as in a fresh stream."""
        self.begin_utterance()
        self.utterance += 1
        self.base_ms = self.units_in / self.units_per_ms
        self.start_frame = self.utterance_units = 0
        self.front = self.model.front_end.start(self.options.sample_rate)
        if self.speech:
            self.speech.restart()

    @property
    def units_per_ms(self) -> float:
        """Units of its input in 1 ms."""
        return self.options.sample_rate / 1000 if self.options.sample_rate else self.model.units_per_ms

    @property
    def units_per_frame(self) -> float:
        """Units of its input that make a frame."""
        return self.units_per_ms * cast(float, self.model.front_end.frame_ms)

    @property
    def longest_source(self) -> float:
        """Units of its input that a model with an encoder generates from, at most."""
        return min(self.options.utterance_s * 1000 * self.units_per_ms, MAX_SOURCE * self.units_per_frame)

    def decoded(self, frames: Float32, events: list[Event]) -> list[Event]:
        """All events of ``frames``, of which the decoder has found ``events``."""
        if self.speech and self.causal:
            # By frame, so that the order does not depend on how the input was cut.
            events = list(heapq.merge(events, self.speech.step(frames), key=lambda event: event.frame))
        self.frames_out += len(frames)
        if self.wait:
            self.answered += len(frames)
        return placed(events, self.utterance, self.utterance_ms) if events else events


def told_again(fault: Exception, events: list[Event] | None = None) -> Exception:
    """The fault of an utterance that is lost, told once more, now with these events."""
    return DivergedError(str(fault), events) if isinstance(fault, DivergedError) else fault
