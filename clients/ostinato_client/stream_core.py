"""One stream as the client sees it: inputs sent and not yet answered, credit, results not yet read. No sockets."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
from collections import deque
from collections.abc import Callable, Generator
from typing import TypeAlias, TypeVar

import numpy as np

from ostinato import protocol as wire
from ostinato.errors import (
    BadMessageError,
    ConnectionLostError,
    CreditError,
    DivergedError,
    DrainingError,
    DtypeError,
    OstinatoError,
    ProtocolError,
    SequenceError,
    ShapeError,
    StreamClosedError,
    StreamError,
    TooLargeError,
    UnknownStreamError,
    check_text,
)
from ostinato.events import Event
from ostinato.sampling import Sampling
from ostinato_client.results import ChunkClock, Result

T = TypeVar("T")
MAX_UNREAD = 65536
"""Results that a stream holds for a reader; then push waits."""
MAX_CHARACTERS = 15 * 1024
"""Of text in one message: four bytes each in the worst case."""
AHEAD = 64
"""Tokens that a server may generate before they are read."""
_PAYLOAD_BYTES = wire.MAX_MESSAGE_BYTES - 512
_TERMINAL = (SequenceError, CreditError, UnknownStreamError, StreamClosedError, DrainingError)


class Call:
    """Something that the server owes an answer to."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        """Of the server that owes it."""
        self.sent = False
        self.error: OstinatoError | None = None


Steps: TypeAlias = Generator[Call, None, T]
"""An operation: yields what it waits for until that has changed, returns its result, raises its error."""


class StreamCore(Call):
    """State of one stream. ``send`` queues a frame, or a push, of this stream."""

    def __init__(
        self, request: wire.Open, endpoint: str, send: Callable[[StreamCore, bytes | wire.Push], None]
    ) -> None:
        super().__init__(endpoint)
        self.request = request
        self.id = request.stream
        self.opened: wire.Opened | None = None
        self.moved: str | None = None
        """Where it is to be opened instead."""
        self.gone = False
        self.clock = ChunkClock()
        self._send = send
        self._seq = 0
        self._waiting: deque[tuple[int, int]] = deque()  # inputs not yet answered: seq, units
        self._waiting_units = 0
        self._units = 0  # of pushes that were not refused
        self._pushed = 0  # of all pushes
        self._processed = 0
        self._events = 0
        self._last_final = 0
        self._results: deque[Result] = deque()
        self._answers: dict[int, bytes] = {}
        self._awaited: set[int] = set()
        self._parts = wire.Assembler()
        self._refused: deque[OstinatoError] = deque()
        self._reset_at = 0  # the seq of the last RESET
        self._generating = False
        self._generated = 0  # the seq of the last GENERATE
        self._ahead = 0  # tokens that the server may give and that nobody has read

    # --- what the user may know -----------------------------------------------------------------------------------

    @property
    def info(self) -> wire.Opened:
        """What the server said when it opened the stream."""
        if self.opened is None:
            raise StreamClosedError("the stream is not open yet")
        return self.opened

    @property
    def backlog(self) -> int:
        """Units sent and not yet processed."""
        return self._units - self._processed

    @property
    def unanswered(self) -> int:
        """Inputs sent and not yet answered."""
        return len(self._waiting)

    @property
    def unread(self) -> int:
        """Results that have come and were not read."""
        return len(self._results)

    def raise_error(self) -> None:
        """Raise what the server has refused since, or why the stream is no more."""
        if self._refused:
            raise self._refused.popleft()
        if self.error is not None:
            raise self.error.with_traceback(None)

    # --- operations -----------------------------------------------------------------------------------------------

    def push(self, data: wire.Array | str) -> Steps[int]:
        """Send input in pieces that fit, each when there is credit for it; its last ``seq``.

        If it is given up in between, the pieces sent so far stay sent.
        """
        seq = self._seq
        for piece in self._pieces(data):
            self.raise_error()
            while not self._room(wire.units(piece)):
                yield self
                self.raise_error()
            seq = self._input(wire.Push(self.id, self._seq + 1, piece), wire.units(piece))
        return seq

    def flush(self) -> Steps[list[Result]]:
        """End the utterance; all results not yet read, the last of them final."""
        yield from self._room_for_one()
        seq = self._input(wire.Flush(self.id, self._seq + 1))
        self._generating = False
        while self._last_final < seq:
            yield self
            self.raise_error()
        return self.take()

    def mark(self) -> Steps[None]:
        """Wait until all earlier input has been processed."""
        yield from self._ask(lambda seq: wire.Mark(self.id, seq, seq.to_bytes(8, "big")))

    def snapshot(self) -> Steps[bytes]:
        """The state after all earlier input."""
        return (yield from self._ask(lambda seq: wire.TakeSnapshot(self.id, seq)))

    def reset(self) -> Steps[None]:
        """Drop the utterance; what has become of it is told no more."""
        self._refused = deque(error for error in self._refused if not isinstance(error, DivergedError))
        yield from self._ask(self._resetting)

    def _resetting(self, seq: int) -> wire.Reset:
        self._reset_at = seq
        self._generating = False
        return wire.Reset(self.id, seq)

    def generate(self, sampling: Sampling | None, longest: int | None) -> Steps[None]:
        """Let it generate, or go on with that; `tokens` has what comes."""
        if self._generating:
            if sampling is None and longest is None:
                return
            raise StreamError(
                "a generation is in progress: go on with it by generate() alone, or end it first (end_generation)"
            )
        yield from self._room_for_one()
        seq = yield from self._answered(wire.Generate(self.id, self._seq + 1, AHEAD, sampling, longest))
        told = max(self._reset_at, 1)  # what a reset dropped is told no more
        kept = (each for each in self._results if each.seq >= (told if each.events else seq))
        self._results = deque(kept)
        self._generating, self._generated = True, seq
        self._ahead = AHEAD

    def tokens(self) -> Steps[tuple[Event, ...]]:
        """The next token of a generation, and its end if it ends with that; none once it has ended. What came before
        and was not read (tokens drawn while a source went on) comes first."""
        while self._generating:
            while not self._results:
                self.raise_error()
                yield self
            result = self._results[0]
            events, rest = _first_token(result.events)
            mine = result.seq >= self._generated
            ends = any(event.kind == "end-of-generation" for event in events)
            ahead = self._ahead - mine * sum(event.kind == "token" for event in events)
            if ahead <= AHEAD // 2 and not ends:
                yield from self._room_for_one()
                self._input(wire.More(self.id, self._seq + 1, AHEAD // 2))
                ahead += AHEAD // 2
            self._ahead, self._generating = ahead, not ends
            if rest:
                self._results[0] = dataclasses.replace(result, events=rest, text=self._text(rest))
            else:
                self._results.popleft()
            if events:
                return events
        return ()

    def end_generation(self) -> Steps[list[Event]]:
        """End the generation in progress: what came of it and was not read."""
        yield from self._room_for_one()
        yield from self._answered(wire.EndGeneration(self.id, self._seq + 1))
        self._generating = False
        return [event for result in self.take() for event in result.events]

    def _answered(self, message: wire.Input) -> Steps[int]:
        """Send an input, and wait until it is answered; its ``seq``."""
        seq = self._input(message)
        while self._waiting and self._waiting[0][0] <= seq:
            yield self
        self.raise_error()
        return seq

    def results(self) -> Steps[list[Result]]:
        """All results not yet read, as soon as there is one; none when its time is over. Errors come last."""
        with contextlib.suppress(ConnectionLostError):
            while not self._results and self.error is None and not self._refused:
                yield self
        if not self._results:
            self.raise_error()
        return self.take()

    def take(self) -> list[Result]:
        """All results not yet read, maybe none."""
        taken = list(self._results)
        self._results.clear()
        return taken

    def forked(self, snapshot: bytes) -> wire.Open:
        """An OPEN that resumes a snapshot of this stream under a new id."""
        return dataclasses.replace(self.request, stream=os.urandom(wire.STREAM_ID_BYTES), snapshot=snapshot)

    def close(self) -> Steps[None]:
        """Close the stream; what waits is dropped."""
        if not self.gone:
            self._send(self, wire.encode(wire.Close(self.id)))
        while not self.gone:
            yield self

    def _ask(self, build: Callable[[int], wire.Input]) -> Steps[bytes]:
        yield from self._room_for_one()
        seq = self._input(build(self._seq + 1))
        self._awaited.add(seq)
        try:
            while seq not in self._answers:
                yield self
                self.raise_error()
            return self._answers[seq]
        finally:
            self._awaited.discard(seq)
            self._answers.pop(seq, None)

    def _room_for_one(self) -> Steps[None]:
        self.raise_error()
        while not self._room(0):
            yield self
            self.raise_error()

    def _room(self, units: int) -> bool:
        info = self.info
        return (
            self.backlog + units <= info.credit
            and len(self._waiting) < info.inputs
            and len(self._results) < MAX_UNREAD
        )

    def _input(self, message: wire.Input, units: int = 0) -> int:
        frame: bytes | wire.Push
        if isinstance(message, wire.Push) and isinstance(message.data, np.ndarray):
            frame = wire.Push(message.stream, message.seq, message.data.copy())  # it may go with those of others
        else:
            frame = wire.encode(message)
        self._seq = message.seq
        self._waiting.append((message.seq, units))
        self._units += units
        self._pushed += units
        self.clock.note(message.seq, self._pushed, time.monotonic())
        self._send(self, frame)
        return message.seq

    def _pieces(self, data: wire.Array | str) -> list[wire.Array] | list[str]:
        credit = self.info.credit
        if isinstance(data, str):
            check_text(data)
            most = min(MAX_CHARACTERS, credit)
            return [data[i : i + most] for i in range(0, len(data), most)] or [data]
        if not isinstance(data, np.ndarray):
            raise DtypeError(f"push takes a NumPy array or a str, not {type(data).__name__}")
        if str(data.dtype) not in wire.DTYPES:
            raise DtypeError(f"push takes no arrays of {data.dtype}: use int16 or float32")
        if not 1 <= data.ndim <= 4:
            raise ShapeError(f"push takes an array of one to four dimensions, not {data.ndim}")
        if data.ndim == 1 and self.info.model.unit == "frame":
            data = data[None]  # one frame: so it counts as one, and is not cut
        row_bytes = data[:1].nbytes if len(data) else 1
        if row_bytes > _PAYLOAD_BYTES:
            raise TooLargeError(f"one frame of {row_bytes} bytes does not fit a message of {_PAYLOAD_BYTES}")
        most = max(1, min(_PAYLOAD_BYTES // max(1, row_bytes), credit))
        return [data[i : i + most] for i in range(0, len(data), most)] or [data]

    # --- what has come --------------------------------------------------------------------------------------------

    def fail(self, error: OstinatoError) -> None:
        """The stream is no more, and this is why."""
        if self.error is None:
            self.error = error
        self._waiting.clear()

    def on_result(self, reply: wire.ResultEntry) -> None:
        """A result: events seen before are dropped, a hole among them ends the stream."""
        received = time.monotonic()
        if reply.first > self._events:
            self.fail(BadMessageError(f"events {self._events} to {reply.first - 1} of the stream are missing"))
            return
        events = reply.events[self._events - reply.first :]
        self._events += len(events)
        self._processed = max(self._processed, reply.processed)
        answered = self._answer_through(reply.seq)
        if reply.final:
            self._last_final = max(self._last_final, reply.seq)
        if events or answered or reply.final:
            self._results.append(
                Result(
                    seq=reply.seq,
                    events=events,
                    text=self._text(events),
                    utterance=reply.utterance,
                    final=reply.final,
                    processed=reply.processed,
                    frames=reply.frames,
                    waiting_ms=reply.waiting_ms,
                    computing_ms=reply.computing_ms,
                    buffered_ms=reply.buffered_ms,
                    sent=self.clock.sent_at(reply.seq) or 0.0,
                    received=received,
                )
            )

    def on_answer(self, seq: int, data: bytes = b"") -> None:
        """MARKED, a RESET or a whole SNAPSHOT."""
        self._answer_through(seq)
        if seq in self._awaited:
            self._answers[seq] = data

    def on_snapshot(self, reply: wire.Snapshot) -> None:
        """A part of a snapshot."""
        try:
            whole = self._parts.add(reply.data, reply.part, reply.parts)
        except ProtocolError as error:
            self.fail(error)
            return
        if whole is not None:
            self.on_answer(reply.seq, whole)

    def on_error(self, error: OstinatoError) -> None:
        """An ERROR about this stream: it refuses one input, or ends the stream."""
        if isinstance(error, DivergedError) and error.seq is None:  # it came of no input, but of its own tokens
            self._generating = False
            self._refused.append(error)
            return
        place = next((i for i, (seq, _) in enumerate(self._waiting) if seq == error.seq), None)
        if self.opened is None or place is None or isinstance(error, _TERMINAL):
            self.gone = self.opened is None or isinstance(error, UnknownStreamError)
            self.fail(error)
            return
        self._units -= self._waiting[place][1]
        seq, _ = self._waiting[place]
        del self._waiting[place]
        if not isinstance(error, DivergedError):
            self._refused.append(error)
        elif seq > self._reset_at and not any(isinstance(each, DivergedError) for each in self._refused):
            self._refused.append(error)  # all that was sent behind it is refused too: told once

    def on_closed(self, reason: wire.Reason) -> None:
        """The server has closed it."""
        self.gone = True
        why = {
            "close": "the stream is closed: open another",
            "idle": "the server closed the stream: it had heard nothing of this client for too long",
            "error": "the server lost the stream's state and closed it: open another",
        }
        if reason == "drain":
            self.fail(DrainingError("the server is shutting down and closed the stream"))
        else:
            self.fail(StreamClosedError(why[reason]))

    def _answer_through(self, seq: int) -> bool:
        before = len(self._waiting)
        while self._waiting and self._waiting[0][0] <= seq:
            self._waiting.popleft()
        return len(self._waiting) < before

    def _text(self, events: tuple[Event, ...]) -> str:
        separator = self.opened.head.separator if self.opened else ""
        return separator.join(event.text for event in events if event.text)


def _first_token(events: tuple[Event, ...]) -> tuple[tuple[Event, ...], tuple[Event, ...]]:
    """The first token, with the end of the generation if nothing else is behind it; and the rest."""
    count = 2 if len(events) == 2 and events[1].kind == "end-of-generation" else 1
    return events[:count], events[count:]
