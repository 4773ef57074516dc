"""Talking to a server over a bare socket, right and wrong, for its tests. Every wait ends."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import zmq
from engine_models import frames, model
from random_models import bits

from ostinato import protocol as wire
from ostinato.options import Options

R = TypeVar("R")
PATIENCE_S = 20.0


def eventually(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    end = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < end, "it never came to hold"
        time.sleep(0.01)


class Raw:
    """A DEALER socket."""

    def __init__(self, endpoint: str, **options: int) -> None:
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.linger = 0
        for name, value in options.items():
            setattr(self.socket, name, value)
        self.socket.connect(endpoint)
        self.replies: list[wire.Reply] = []

    def send(self, *messages: wire.Request | bytes) -> None:
        for message in messages:
            self.socket.send(message if isinstance(message, bytes) else wire.encode(message))

    def receive(self) -> wire.Reply:
        assert self.socket.poll(int(PATIENCE_S * 1000)), "no reply came"
        return wire.decode_reply(self.socket.recv())

    def ask(self, message: wire.Request | bytes, kind: type[R]) -> R:
        """The reply to a message, which must be of that kind."""
        self.send(message)
        reply = self.receive()
        assert isinstance(reply, kind), type(reply)
        return reply

    def refused(self, message: wire.Request | bytes) -> wire.Error:
        return self.ask(message, wire.Error)

    def open(self, name: str, snapshot: bytes | None = None, **options: Any) -> bytes:
        stream = os.urandom(16)
        self.ask(wire.Open(stream, name, Options(**options), snapshot), wire.Opened)
        return stream

    def results(self, stream: bytes, until: int, *, final: bool = False) -> list[wire.ResultEntry]:
        """The results of the stream, the only one, until that seq is done (and the utterance has ended)."""
        found: list[wire.ResultEntry] = []
        while not found or found[-1].seq < until or (final and not found[-1].final):
            reply = self.receive()
            assert isinstance(reply, wire.Results), type(reply)
            assert {result.stream for result in reply.results} == {stream}
            found += reply.results
        return found

    def close(self) -> None:
        self.context.destroy(0)

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Bystander:
    """A stream that minds its own business on a connection of its own, and at the end has the bits it has alone."""

    def __init__(self, endpoint: str, name: str = "frames") -> None:
        self.raw = Raw(endpoint)
        self.name = name
        self.stream = self.raw.open(name)
        self.pushed: list[np.ndarray] = []
        self.found: list[wire.ResultEntry] = []

    def go_on(self) -> None:
        """Push a little and read the results."""
        data = frames(20, len(self.pushed))
        self.pushed.append(data)
        self.raw.send(wire.Push(self.stream, len(self.pushed), data))
        self.found += self.raw.results(self.stream, len(self.pushed))

    def finish(self) -> None:
        """Flush, and compare."""
        seq = len(self.pushed) + 1
        self.raw.send(wire.Flush(self.stream, seq))
        self.found += self.raw.results(self.stream, seq)
        assert self.found[-1].final
        with model(self.name).stream() as stream:
            wanted = [event for data in self.pushed for event in stream.push(data)] + stream.flush()
        assert bits([event for result in self.found for event in result.events]) == bits(wanted)
        self.raw.close()
