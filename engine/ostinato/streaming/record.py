"""What is known of one stream: how it was opened, what it counts, what waits, and the states of all that computes it.

    input ── front end ──> queue ── layers ──> decoder ──> events
                           (frames)  rows: computed early, of a whole utterance
                             │
                             └── end of the utterance, where it is not answered at once ──> finished

A `Stream` is what people call, `batch` computes many records at once, and an engine does both.
"""

from __future__ import annotations

import heapq
import math
from typing import Any, cast

import numpy as np

from ostinato.errors import DivergedError, StreamClosedError, StreamError, UtteranceTooLongError
from ostinato.events import Event
from ostinato.options import Options
from ostinato.pipeline.state import MAX_COUNT, expect, pack
from ostinato.streaming import snapshot as snapshots
from ostinato.streaming.beam import Beam
from ostinato.streaming.frames import Float32, FrameQueue, RowStore
from ostinato.streaming.options import BoundedWait, settled
from ostinato.streaming.pipeline import Pipeline
from ostinato.streaming.speech import SpeechWatch
from ostinato.streaming.utterance import Computed, FinishedUtterance, placed

TOLD = 16
"""Tokens of a text that is searched for which its own state takes in at once."""


class Record:
    """One stream through a model: its fields are public, for whoever advances many of them. It holds a slot of the
    model's states until `close`. Raises InputError, CapacityError."""

    __slots__ = (
        "__weakref__", "answered", "base_ms", "beam", "causal", "closed", "decoder_state", "fault", "finished",
        "frames_in", "frames_out", "front", "generating", "head", "model", "options", "plain", "queue", "room",
        "rows", "slot", "speech", "start_frame", "units_in", "utterance", "utterance_units", "wait",
    )  # fmt: skip

    def __init__(self, model: Pipeline, options: Options) -> None:
        self.closed = True  # until it has its slot, there is nothing to give back
        self.model = model
        options = settled(options, model)
        self.options = options
        self.head = model.heads.find(options.head, options.decoder)
        """What its events come from."""
        self.causal = self.head.direction == "unidirectional"
        self.wait = BoundedWait.of(model, self.head, options)
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
        self.plain = self.causal and self.speech is None
        """Whether its frames become events by nothing but layers and a decoder, each frame at once."""
        self.front: Any = model.front_end.start(options.sample_rate)
        self.decoder_state: Any = self.head.decoder.start()
        self.queue = FrameQueue(model.front_end.frame_size)
        """Frames that are not computed."""
        self.rows = RowStore(model.network.program)
        """The frames before those, as far as they were computed early."""
        self.generating: snapshots.Generating | None = None
        """How it generates, while it does: `advance` draws a token a call, which is its next frame, and no input is
        taken."""
        self.beam: Beam | None = None
        """Its hypotheses, where it does not draw tokens but searches for the likeliest text."""
        self.room = 1
        """How many tokens `advance` may tell at once, of a text that is searched for."""
        self.finished: list[FinishedUtterance] = []
        """Utterances that have ended and are not computed, oldest first."""
        self.slot = model.states.acquire()
        """Where the recurrent state is: a row of ``model.states``."""
        self.closed = False

    def close(self) -> None:
        """Give the stream's state back; it takes nothing more. Closing twice does nothing."""
        if not self.closed:
            self.closed = True
            self.finished.clear()
            self._drop_beam()
            self.model.states.release(self.slot)

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
        if self.generating is not None:
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
        if self.generating is not None:
            return StreamError(
                "the stream is generating, and its own tokens are its input: let the generation end, or end it, then "
                "push"
            )
        return None

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

    def need_open(self) -> None:
        """Raise StreamClosedError if it is closed."""
        if self.closed:
            raise StreamClosedError("the stream is closed: open another")

    def drop_frames(self) -> None:
        """Forget all frames that wait."""
        self.queue = FrameQueue(self.model.front_end.frame_size)
        self.rows = RowStore(self.model.network.program)
        self.finished.clear()

    def admit(self, data: Any) -> int:
        """The number of units of checked input, if the utterance has room for them. Raises StreamClosedError,
        UtteranceTooLongError, and the fault of an utterance that is lost."""
        self.need_open()
        if (why := self.refusal) is not None:
            raise why
        units = cast(int, self.model.front_end.units(data))
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

    def cut(self, ends: list[Event]) -> None:
        """What is left of the utterance is finished, its events followed by ``ends``; the next one starts here."""
        frames = self.queue.take(self.queue.count)
        computed = Computed.nothing(self.model, self.head)
        computed.state[0], computed.decoder, computed.rows = self.state, self.decoder_state, self.rows
        utterance = FinishedUtterance(
            self.model, self.head, frames, self.utterance, self.utterance_ms, ends, self.wait, computed
        )
        self.finished.append(utterance)
        self.start_frame += self.answered + utterance.count
        self.begin_utterance()

    def begin_utterance(self) -> None:
        """The layers and the decoder are as before the first frame."""
        self.model.network.program.begin(self.state)
        self.decoder_state = self.head.decoder.start()
        self.rows = RowStore(self.model.network.program)
        self.answered = 0
        self.end_generation()

    def end_generation(self) -> None:
        """It generates no more: what was told is its input, and nothing else."""
        self.generating = None
        self._drop_beam()

    def _drop_beam(self) -> None:
        if self.beam is not None:
            self.beam.close()
            self.beam = None

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

    def decoded(self, frames: Float32, events: list[Event]) -> list[Event]:
        """All events of ``frames``, of which the decoder has found ``events``."""
        if self.speech and self.causal:
            # By frame, so that the order does not depend on how the input was cut.
            events = list(heapq.merge(events, self.speech.step(frames), key=lambda event: event.frame))
        self.frames_out += len(frames)
        if self.wait:
            self.answered += len(frames)
        return placed(events, self.utterance, self.utterance_ms) if events else events

    def packed(self) -> list[Any]:
        """All of it but what follows from the options, for a snapshot."""
        kept = snapshots.StreamRecord(
            self.model.network.digest,
            self.options,
            self.units_in,
            self.frames_in,
            self.frames_out,
            self.utterance,
            self.utterance_units,
            self.base_ms,
            self.start_frame,
            self.answered,
            None if self.whole else self.state.astype("<f4").tobytes(),
            np.concatenate([self.rows.frames(self.model.front_end.frame_size), self.queue.peek(self.waiting)]),
            self.generating,
            self.beam.packed() if self.beam is not None else None,
        )
        speech = pack(self.speech.state) if self.speech else None
        finished = [utterance.packed() for utterance in self.finished]
        return [pack(kept), pack(self.front), pack(self.decoder_state), speech, finished]

    def restore(
        self, kept: snapshots.StreamRecord, front: Any, decoder: Any, speech: Any, finished: list[Any]
    ) -> None:
        """Go on from what was `packed`. Raises SnapshotError."""
        counters = ("units_in", "frames_in", "frames_out", "utterance", "utterance_units", "start_frame", "computed")
        expect(min(getattr(kept, name) for name in counters) >= 0, "a counter is negative")
        expect(kept.utterance_units <= kept.units_in, "the utterance is longer than all input")
        expect(0 <= kept.base_ms <= MAX_COUNT, "the utterance's place is out of range")
        self.units_in, self.frames_in, self.frames_out = kept.units_in, kept.frames_in, kept.frames_out
        self.utterance, self.utterance_units = kept.utterance, kept.utterance_units
        self.base_ms, self.start_frame, self.answered = kept.base_ms, kept.start_frame, kept.computed
        self.front = self.model.front_end.restore(front)
        self.decoder_state = self.head.decoder.restore(decoder)
        expect((speech is None) == (self.speech is None), "the speech state does not fit the options")
        if self.speech:
            self.speech.restore(speech)
        expect((kept.state is None) == self.whole, "the recurrent state does not fit the model")
        if kept.state is not None:
            expect(len(kept.state) == self.state.nbytes, "the recurrent state is not of the model's size")
            self.state[:] = np.frombuffer(kept.state, "<f4")
        expect(
            kept.waiting.shape[1] == self.model.front_end.frame_size,
            "the waiting frames are not of the model's size",
        )
        per_frame = self.units_per_ms * self.model.front_end.frame_ms
        expect(
            len(kept.waiting) <= most_frames(self.utterance_units, per_frame),
            "more frames wait than the utterance's input makes",
        )
        self.queue.append(kept.waiting)
        self.generating = kept.generating
        beams = kept.generating.sampling.beams if kept.generating is not None else 1
        expect((kept.beam is None) == (beams == 1), "a beam does not fit the generation")
        if kept.beam is not None:
            self.beam = Beam(self.model.states, beams)
            self.beam.restore(kept.beam, self.head.region.size)
        expect(not (finished and self.causal), "a causal stream has no finished utterances")
        self.finished = [FinishedUtterance.restore(self.model, self.head, each, self.wait) for each in finished]


def told_again(fault: Exception, events: list[Event] | None = None) -> Exception:
    """The fault of an utterance that is lost, told once more, now with these events."""
    return DivergedError(str(fault), events) if isinstance(fault, DivergedError) else fault


def most_frames(units: int, units_per_frame: float) -> int:
    """A bound of the frames that so much input makes. (Lower-casing makes two characters of a few.)"""
    return 2 * math.ceil(units / units_per_frame) + 16
