"""The connections of one client: to the server that it was told of, and to the workers which that one names.

A server with several workers opens no streams itself: it answers OPEN with MOVED, and the stream is opened at the
worker's endpoint, over a connection that all streams there share. Who drives the links need not know.
"""

from __future__ import annotations

import zmq

from ostinato import protocol as wire
from ostinato.errors import CapacityError, OstinatoError
from ostinato.zeromq import need_descriptors
from ostinato_client.context import LINK_DESCRIPTORS, shared
from ostinato_client.core import Core
from ostinato_client.stream_core import Call, Steps, StreamCore
from ostinato_client.transport import Transport

MAX_LINKS = 64
"""Connections at once; one that has no streams is closed for a new one."""


class Links:
    """The connections, each a `Core` and its `Transport`. ``silence_s`` as `Transport` has it.

    `service` and what it stands beside are those of all transports together. Raises ConnectionLostError if
    ``endpoint`` is no address, CapacityError where descriptors are too few.
    """

    def __init__(self, endpoint: str, silence_s: float) -> None:
        self._silence_s = silence_s
        self._context = shared.take()
        self._closed = False
        self._transports: dict[str, Transport] = {}
        self._retired: list[Transport] = []
        self._closed_generations = 0
        try:
            self.first = self._link(endpoint)
            """The core of the server itself."""
        except OstinatoError:
            shared.give_back(self._context)
            raise

    # --- operations -----------------------------------------------------------------------------------------------

    def open(self, request: wire.Open) -> Steps[StreamCore]:
        """Open a stream where the server says."""
        stream = yield from self.first.open(request)
        if stream.moved is not None:
            stream = yield from self._link(stream.moved).open(request)
            if stream.moved is not None:
                raise CapacityError(f"the worker at {stream.endpoint} sent the stream on: try again")
        return stream

    def close_stream(self, stream: StreamCore) -> Steps[None]:
        """Close a stream, and forget it whatever happens."""
        yield from self._core_of(stream).close(stream)

    def close_all(self) -> Steps[None]:
        """Close all streams."""
        for core in self._cores():
            yield from core.close_all()

    def _core_of(self, call: Call) -> Core:
        transport = self._transports.get(call.endpoint)
        return transport.core if transport is not None else self.first

    def _cores(self) -> list[Core]:
        return [transport.core for transport in self._transports.values()]

    def _link(self, endpoint: str) -> Core:
        """The core of the connection to an endpoint, which is made if there is none."""
        if endpoint not in self._transports:
            if len(self._transports) >= MAX_LINKS:
                self._drop_one()
            need_descriptors(LINK_DESCRIPTORS, "another connection of a client")
            self._transports[endpoint] = Transport(Core(endpoint), self._context, self._silence_s)
        return self._transports[endpoint].core

    def _drop_one(self) -> None:
        for endpoint, transport in self._transports.items():
            if transport.core is not self.first and not transport.core.expecting and not transport.core.pending:
                self._closed_generations += transport.generation
                self._retired.append(self._transports.pop(endpoint))  # closed by who owns the sockets
                return
        raise CapacityError(f"streams are open on {MAX_LINKS} workers already: close some, or make another client")

    # --- what drives it -------------------------------------------------------------------------------------------

    def service(self) -> bool:
        """`Transport.service` of all."""
        while self._retired:
            self._retired.pop().close()
        return any([transport.service() for transport in self._transports.values()])

    def take_touched(self) -> set[Call]:
        """For what something has changed since this was asked last."""
        touched: set[Call] = set()
        for core in self._cores():
            touched |= core.touched
            core.touched.clear()
        return touched

    def fail(self, error: OstinatoError) -> None:
        """Nothing comes any more: everything that waits fails with this."""
        for core in self._cores():
            core.fail(error)

    def close(self) -> None:
        """Close all sockets. May be called again."""
        if self._closed:
            return
        self._closed = True
        for transport in (*self._transports.values(), *self._retired):
            transport.close()
        shared.give_back(self._context)

    @property
    def pending(self) -> bool:
        """Whether frames wait to be sent."""
        return any(core.pending for core in self._cores())

    @property
    def draining_s(self) -> float | None:
        """Seconds that a server gave its open streams when it announced its end."""
        return max((core.draining_s for core in self._cores() if core.draining_s is not None), default=None)

    @property
    def sockets(self) -> list[tuple[zmq.Socket[bytes], int]]:
        """What to poll for before the next `service`, besides the time."""
        return [each for transport in self._transports.values() for each in transport.sockets]

    @property
    def descriptors(self) -> list[int]:
        """Descriptors that become readable when there may be something to do. Edge-triggered."""
        return [each for transport in self._transports.values() for each in transport.descriptors]

    @property
    def generation(self) -> int:
        """Rises when there is another socket."""
        return self._closed_generations + sum(transport.generation for transport in self._transports.values())

    def alive(self, call: Call) -> bool:
        """Whether the server that owes this has been heard in the last two heartbeats."""
        transport = self._transports.get(call.endpoint)
        return transport is not None and transport.alive
