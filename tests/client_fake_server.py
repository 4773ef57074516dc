"""A small server that speaks the protocol without an engine, and can be told to misbehave. For tests of clients."""

from __future__ import annotations

import dataclasses
import threading
from dataclasses import dataclass, field

import zmq

from ostinato import protocol as wire
from ostinato.errors import OstinatoError
from ostinato.events import Event

HEAD = wire.HeadInfo("main", "ctc", " ", 0, 0.0, ("", "a"))
INFO = wire.ModelInfo("echo", "unidirectional", "sample", 10.0, 64, (dataclasses.replace(HEAD, symbols=()),), 16000)


@dataclass
class FakeStream:
    units: int = 0
    seq: int = 0
    events: int = 0
    utterance: int = 0
    held: list[wire.Input] = field(default_factory=list)


class FakeServer:
    """Each PUSH comes back as one symbol: the number of its units, or its text. Model "missing" is refused.

    ``hold``: inputs wait until it is cleared. ``mute``: nothing is answered. `stop` closes the socket at once.
    """

    def __init__(self, credit: int = 64000, inputs: int = 64, endpoint: str = "tcp://127.0.0.1:*") -> None:
        self.credit, self.inputs = credit, inputs
        self.hold = threading.Event()
        self.mute = threading.Event()
        self.requests: list[wire.Request] = []
        self.most_in_flight = 0
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        self._socket.linger = 0
        self._socket.bind(endpoint)
        self.endpoint = self._socket.last_endpoint.decode()
        self._streams: dict[tuple[bytes, bytes], FakeStream] = {}
        self._snapshots: dict[bytes, wire.Assembler] = {}
        self._stop = threading.Event()
        self._linger = 0
        self._say: list[wire.Reply] = []
        self._peers: set[bytes] = set()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def say(self, reply: wire.Reply) -> None:
        """Send to all clients that were heard."""
        self._say.append(reply)

    def stop(self, linger: int = 0) -> None:
        """``linger``: for how many ms what was said may still leave."""
        self._linger = linger
        self._stop.set()
        self._thread.join()

    def __enter__(self) -> FakeServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _serve(self) -> None:
        try:
            while not self._stop.is_set():
                while self._say:
                    reply = self._say.pop(0)
                    for peer in self._peers:
                        self._send(peer, wire.encode(reply))
                if not self.hold.is_set():
                    for (peer, _), stream in list(self._streams.items()):
                        while stream.held:
                            self._process(peer, stream, stream.held.pop(0))
                if self._socket.poll(5):
                    peer, frame = self._socket.recv_multipart()
                    self._peers.add(peer)
                    if not self.mute.is_set():
                        self._take(peer, wire.decode_request(frame))
        finally:
            self._socket.close(self._linger)
            self._context.term()

    def _send(self, peer: bytes, frame: bytes) -> None:
        self._socket.send_multipart([peer, frame])

    def _reply(self, peer: bytes, reply: wire.Reply) -> None:
        self._send(peer, wire.encode(reply))

    def _take(self, peer: bytes, request: wire.Request) -> None:
        self.requests.append(request)
        if isinstance(request, wire.Ping):
            self._reply(peer, wire.Pong(request.token))
        elif isinstance(request, wire.ListModels):
            for frame in wire.encode_models([INFO] * 600):
                self._send(peer, frame)
        elif isinstance(request, wire.Open):
            self._open(peer, request)
        elif isinstance(request, wire.Close):
            self._streams.pop((peer, request.stream), None)
            self._reply(peer, wire.Closed(request.stream, "close"))
        else:
            stream = self._streams.get((peer, request.stream))
            if stream is None:
                self._reply(peer, wire.Error("unknown_stream", "no such stream", request.stream, request.seq))
                return
            stream.held.append(request)
            flying = sum(held.units for held in stream.held if isinstance(held, wire.Push))
            self.most_in_flight = max(self.most_in_flight, flying)

    def _open(self, peer: bytes, request: wire.Open) -> None:
        if request.model == "missing":
            self._reply(peer, wire.Error("unknown_model", "no model 'missing': see ostinato models", request.stream))
            return
        if request.model == "full":
            self._reply(peer, wire.Error("at_capacity", "no room", request.stream, retry_ms=500))
            return
        stream = FakeStream()
        if request.snapshot is not None:
            parts = self._snapshots.setdefault(request.stream, wire.Assembler())
            whole = parts.add(request.snapshot, request.part, request.parts)
            if whole is None:
                return
            stream.utterance = int.from_bytes(whole[:8], "big")
        self._streams[peer, request.stream] = stream
        self._reply(peer, wire.Opened(request.stream, INFO, HEAD, self.credit, self.inputs, 60.0))

    def _process(self, peer: bytes, stream: FakeStream, request: wire.Input) -> None:
        stream.seq = request.seq
        if isinstance(request, wire.Mark):
            self._reply(peer, wire.Marked(request.stream, request.seq, request.token))
        elif isinstance(request, wire.Reset):
            self._reply(peer, wire.ResetDone(request.stream, request.seq))
        elif isinstance(request, wire.TakeSnapshot):
            data = stream.utterance.to_bytes(8, "big") + bytes(100_000)
            for frame in wire.encode_snapshot(request.stream, request.seq, data):
                self._send(peer, frame)
        else:
            events: tuple[Event, ...] = ()
            if isinstance(request, wire.Push):
                if not isinstance(request.data, str) and request.data.dtype == "float64":
                    error = wire.Error("bad_dtype", "float64: convert to float32", request.stream, request.seq)
                    self._reply(peer, error)
                    return
                stream.units += request.units
                text = request.data if isinstance(request.data, str) else str(request.units)
                events = (Event("symbol", stream.events, 10.0, text, 1, 0.5),)
            final = isinstance(request, wire.Flush)
            result = wire.ResultEntry(
                request.stream, stream.seq, stream.events, stream.units, stream.utterance, final, events=events
            )
            stream.events += len(events)
            stream.utterance += final
            for frame in wire.encode_results([result]):
                self._send(peer, frame)


__all__ = ["FakeServer", "INFO", "HEAD", "OstinatoError"]
