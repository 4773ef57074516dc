"""The client's side of the wire without sockets: bytes in, bytes out.

Operations are generators (`Steps`): they yield what they wait for while there is nothing to do but wait for the
server, and return their result. `Client` and `AsyncClient` drive them, each in its own way. Not thread-safe: the
driver locks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import chain, islice

import numpy as np

from ostinato import protocol as wire
from ostinato.errors import BY_CODE, BadMessageError, ConnectionLostError, OstinatoError, ProtocolError
from ostinato_client.stream_core import Call, Steps, StreamCore

PUSHES_BYTES, PUSHES_PART_BYTES = 128, wire.STREAM_ID_BYTES + 9 + 5
"""What a PUSHES takes besides the data, at most, and each of its parts."""


class Listing(Call):
    """A MODELS request on its way."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(endpoint)
        self.models: list[wire.ModelInfo] = []
        self.parts = 0
        """Of the reply, that have come."""
        self.done = False


class PingCall(Call):
    """A PING on its way. ``token`` counts up, so that a later answer answers earlier ones as well."""

    def __init__(self, endpoint: str, token: int) -> None:
        super().__init__(endpoint)
        self.token = token
        self.done = False


def joined(waiting: Iterator[bytes | wire.Push]) -> tuple[bytes, int]:
    """The message to send first of what waits, and how many of that it is: pushes of different streams that follow
    each other, and are of one kind, go together in a PUSHES."""
    first = next(waiting)
    if isinstance(first, bytes):
        return first, 1
    streams, together, room = set[bytes](), list[wire.Push](), wire.MAX_MESSAGE_BYTES - PUSHES_BYTES
    for each in chain((first,), waiting):
        if isinstance(each, bytes) or each.stream in streams or not _alike(first, each):
            break
        room -= PUSHES_PART_BYTES + np.asarray(each.data).nbytes
        if room < 0:
            break
        streams.add(each.stream)
        together.append(each)
    if len(together) < 2:
        return wire.encode(first), 1
    return wire.encode(wire.Pushes.of(together)), len(together)


def _alike(one: wire.Push, other: wire.Push) -> bool:
    a, b = np.asarray(one.data), np.asarray(other.data)
    return a.ndim <= 2 and a.dtype == b.dtype and a.shape[1:] == b.shape[1:]


class Core:
    """One connection: its streams, the frames that wait to be sent, and what the server owes."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.streams: dict[bytes, StreamCore] = {}
        self.draining_s: float | None = None
        self.touched: set[Call] = set()
        """Calls and streams for which something has changed; the driver wakes who waits for them, and clears it."""
        self._outgoing: deque[tuple[Call | None, bytes | wire.Push]] = deque()
        self._next: tuple[bytes, int] | None = None
        """The frame to send next, and how many of these it is."""
        self._listings: deque[Listing] = deque()
        self._pings: deque[PingCall] = deque()
        self._token = 0

    # --- what is to be sent ---------------------------------------------------------------------------------------

    @property
    def expecting(self) -> bool:
        """Whether something has been sent whose answer, or whose stream, the server's death would take."""
        return any(call.sent for call in (*self.streams.values(), *self._listings, *self._pings))

    @property
    def pending(self) -> bool:
        """Whether frames wait to be sent."""
        return bool(self._outgoing)

    def next_frame(self) -> bytes:
        """The frame to send next; call `sent` when it has gone."""
        if self._next is None:
            self._next = joined(what for _, what in islice(self._outgoing, wire.MAX_PUSHES))
        return self._next[0]

    def sent(self) -> None:
        """The frame of `next_frame` has gone."""
        assert self._next is not None
        for _ in range(self._next[1]):
            call, _ = self._outgoing.popleft()
            if call is not None:
                call.sent = True
        self._next = None

    @property
    def pinging(self) -> bool:
        """Whether a PING has not been answered yet."""
        return bool(self._pings)

    def heartbeat(self) -> None:
        """Queue a PING that nobody waits for, unless one is on its way."""
        if not self._pings:
            self._ping()

    def _ping(self) -> PingCall:
        self._token += 1
        call = PingCall(self.endpoint, self._token)
        self._pings.append(call)
        self._send(call, wire.encode(wire.Ping(self._token.to_bytes(8, "big"))))
        return call

    def _send(self, call: Call | None, frame: bytes | wire.Push) -> None:
        # Bounded: inputs by their stream's credit; the rest by the calls that wait, and _forget takes theirs back.
        self._outgoing.append((call, frame))

    def _forget(self, call: Call) -> None:
        """Nobody waits for it any more: do not send what has not been sent."""
        self._outgoing = deque(entry for entry in self._outgoing if entry[0] is not call)
        self._next = None
        if isinstance(call, StreamCore):
            self.streams.pop(call.id, None)
            if call.sent and not call.gone:
                self._send(None, wire.encode(wire.Close(call.id)))
        elif not call.sent:
            if isinstance(call, Listing) and call in self._listings:
                self._listings.remove(call)
            elif isinstance(call, PingCall) and call in self._pings:
                self._pings.remove(call)

    # --- operations -----------------------------------------------------------------------------------------------

    def models(self) -> Steps[list[wire.ModelInfo]]:
        """The models that the server has."""
        call = Listing(self.endpoint)
        self._listings.append(call)
        self._send(call, wire.encode(wire.ListModels()))
        yield from self._until_done(call)
        return call.models

    def ping(self) -> Steps[None]:
        """A round trip to the server's loop."""
        yield from self._until_done(self._ping())

    def open(self, request: wire.Open) -> Steps[StreamCore]:
        """Open a stream; if it comes back ``moved``, it is to be opened elsewhere."""
        frames = wire.encode_open(request)
        for frame in frames:
            wire.decode_request(frame)  # the server's answer to a wrong field names no stream: it would end them all
        stream = StreamCore(request, self.endpoint, self._send)
        self.streams[stream.id] = stream
        try:
            for frame in frames:
                self._send(stream, frame)
            while stream.opened is None and stream.moved is None:
                yield stream
                stream.raise_error()
        except BaseException:
            self._forget(stream)
            raise
        return stream

    def close_all(self) -> Steps[None]:
        """Close all streams, together."""
        streams = [stream for stream in self.streams.values() if stream.opened is not None]
        for stream in streams:
            self._send(stream, wire.encode(wire.Close(stream.id)))
        for stream in streams:
            while not stream.gone:
                yield stream

    def close(self, stream: StreamCore) -> Steps[None]:
        """Close a stream, and forget it whatever happens."""
        try:
            yield from stream.close()
        finally:
            self._forget(stream)
            stream.on_closed("close")

    def _until_done(self, call: Listing | PingCall) -> Steps[None]:
        try:
            while not call.done:
                yield call
                if call.error is not None:
                    raise call.error.with_traceback(None)
        finally:
            self._forget(call)

    # --- what has come --------------------------------------------------------------------------------------------

    def fail(self, error: OstinatoError) -> None:
        """The connection is of no more use: everything that waits fails with this."""
        calls: list[Call] = [*self.streams.values(), *self._listings, *self._pings]
        for call in calls:
            if isinstance(call, StreamCore):
                call.gone = True
                call.fail(error)
            call.error = call.error or error
        self.touched.update(calls)
        self.streams.clear()
        self._listings.clear()
        self._pings.clear()
        self._outgoing.clear()
        self._next = None
        self.draining_s = None

    def receive(self, frame: bytes) -> None:
        """A frame from the server. What cannot be read fails the streams that it is about, or the connection if that
        is not to be seen: nothing after it can be trusted."""
        try:
            reply = wire.decode_reply(frame)
        except ProtocolError as error:
            self._salvage(frame, error)
        else:
            self._receive(reply)

    def _salvage(self, frame: bytes, error: ProtocolError) -> None:
        try:
            results, broken = wire.salvage(frame, error)
        except ProtocolError:
            self.fail(error)
            return
        self._receive(wire.Results(tuple(results)))
        for stream_id, why in broken.items():
            if stream := self._stream(stream_id):
                self._send(None, wire.encode(wire.Close(stream_id)))
                self.streams.pop(stream_id)
                stream.gone = True
                stream.fail(why)

    def _receive(self, reply: wire.Reply) -> None:
        if isinstance(reply, wire.Results):
            for result in reply.results:
                if stream := self._stream(result.stream):
                    stream.on_result(result)
        elif isinstance(reply, wire.Pong):
            self._on_pong(int.from_bytes(reply.token, "big"))
        elif isinstance(reply, wire.ModelList):
            self._on_models(reply)
        elif isinstance(reply, wire.Draining):
            self.draining_s = reply.seconds
        elif isinstance(reply, wire.Goodbye):
            self.fail(ConnectionLostError(f"the server at {self.endpoint} has shut down"))
        elif isinstance(reply, wire.Error):
            self._on_error(reply)
        elif stream := self._stream(reply.stream):
            self._on_stream(stream, reply)
        elif isinstance(reply, wire.Opened):
            self._send(None, wire.encode(wire.Close(reply.stream)))  # came after open had given up

    def _on_stream(
        self,
        stream: StreamCore,
        reply: wire.Opened | wire.Moved | wire.Marked | wire.ResetDone | wire.Snapshot | wire.Closed,
    ) -> None:
        if isinstance(reply, wire.Opened):
            stream.opened = reply
        elif isinstance(reply, wire.Moved):
            stream.moved, stream.gone = reply.endpoint, True
            self.streams.pop(stream.id, None)
        elif isinstance(reply, wire.Closed):
            stream.on_closed(reply.reason)
            self.streams.pop(stream.id, None)
        elif isinstance(reply, wire.Snapshot):
            stream.on_snapshot(reply)
        else:
            stream.on_answer(reply.seq)

    def _stream(self, stream_id: bytes) -> StreamCore | None:
        stream = self.streams.get(stream_id)
        if stream is not None:
            self.touched.add(stream)
        return stream

    def _on_pong(self, token: int) -> None:
        while self._pings and self._pings[0].token <= token:
            call = self._pings.popleft()
            call.done = True
            self.touched.add(call)

    def _on_models(self, reply: wire.ModelList) -> None:
        if self._listings:
            call = self._listings[0]
            if reply.part != call.parts:
                self.fail(BadMessageError("a part of the list of models is out of turn"))
                return
            call.parts += 1
            call.models += reply.models
            if reply.part == reply.parts - 1:
                call.done = True
                self._listings.popleft()
                self.touched.add(call)

    def _on_error(self, reply: wire.Error) -> None:
        error = BY_CODE.get(reply.code, OstinatoError)(reply.message)
        error.seq, error.retry_ms = reply.seq, reply.retry_ms
        if reply.stream is None:
            self.fail(error)
        elif stream := self._stream(reply.stream):
            stream.on_error(error)
