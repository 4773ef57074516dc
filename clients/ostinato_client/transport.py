"""A core's frames over a ZeroMQ socket, without waiting: `service` does all that can be done now.

It never blocks, so that a thread can drive it between polls (`Client`) as well as an event loop (`AsyncClient`). The
socket has one owner: only `service`, `close` and who polls `sockets`, all in one thread, touch it.

A socket is for one connection. ZeroMQ would connect it again by itself, and what was queued for one server would
reach the next one; so it may not, and once a connection has ended, or was refused, the next frame to be sent gets
another socket.
"""

from __future__ import annotations

import time

import zmq

from ostinato import protocol as wire
from ostinato.errors import CapacityError, ConnectionLostError
from ostinato.zeromq import Monitor, mind_connections, need_descriptors
from ostinato_client.context import LINK_DESCRIPTORS
from ostinato_client.core import Core

MAX_TURN = 1000
"""Messages taken in one `service`, so that a flood cannot starve what else its thread does."""
HEARTBEAT_S = 1.0
POLL_S = 0.25
"""How often `service` is wanted even if nothing comes."""
NEVER_MS = 86_400_000
"""When ZeroMQ connects again by itself. (Told not to at all, it would drop what has come and was not read.)"""


class Transport:
    """The DEALER socket of one connection, its monitor, and the heartbeat.

    ``silence_s``: a server that owes an answer and has not been heard for so long is taken for dead. Only time in
    which a PING is on its way and somebody looks counts: not that of a blocked event loop or a stopped process.
    """

    def __init__(self, core: Core, context: zmq.Context[zmq.Socket[bytes]], silence_s: float) -> None:
        self.core = core
        self.silence_s = silence_s
        self.generation = 0
        """Rises when the socket is another."""
        self._context = context
        self._closed = False
        self._connect()

    def _connect(self) -> None:
        socket = self._context.socket(zmq.DEALER)
        try:
            monitor = Monitor(socket, zmq.EVENT_CONNECTED | zmq.EVENT_CONNECT_RETRIED | zmq.EVENT_DISCONNECTED)
        except zmq.ZMQError:
            socket.close(0)
            raise
        self._socket, self._monitor = socket, monitor
        try:
            mind_connections(socket)
            socket.maxmsgsize = wire.BACKSTOP_BYTES
            socket.reconnect_ivl = NEVER_MS
            socket.connect(self.core.endpoint)
        except zmq.ZMQError as error:
            self.close()
            raise ConnectionLostError(
                f"cannot connect to {self.core.endpoint!r}, which is no address: write it as tcp://127.0.0.1:7077"
            ) from error
        self._looked = self._beat = time.monotonic()
        self._silent_s = 0.0
        self._message: float | None = None
        self._connected = False
        self._over = False
        self.generation += 1

    def _disconnect(self) -> None:
        self._monitor.close()
        self._socket.close(0)

    def _connect_again(self) -> None:
        """Take another socket. Where descriptors are too few the core is told, and the next message tries again."""
        try:
            need_descriptors(LINK_DESCRIPTORS, "a client that connects again")
        except CapacityError as error:
            self._over = True
            self.core.fail(error)
            return
        self._disconnect()
        self._connect()

    def close(self) -> None:
        """Close the socket. What has been handed to ZeroMQ and not sent is dropped."""
        if not self._closed:
            self._closed = True
            self._disconnect()

    @property
    def sockets(self) -> list[tuple[zmq.Socket[bytes], int]]:
        """What to poll for before the next `service`, besides the time."""
        wanted = zmq.POLLIN | (zmq.POLLOUT if self.core.pending else 0)
        return [(self._socket, wanted), (self._monitor.socket, zmq.POLLIN)]

    @property
    def descriptors(self) -> list[int]:
        """Descriptors that become readable when there may be something to do. Edge-triggered."""
        return [int(self._socket.fd), int(self._monitor.socket.fd)]

    @property
    def alive(self) -> bool:
        """Whether the server has been heard in the last two heartbeats."""
        return self._message is not None and time.monotonic() - self._message < 2 * HEARTBEAT_S

    def service(self) -> bool:
        """Take what has come, send what can be sent, watch the heartbeat. True if there may be more to do at once."""
        if self._over and self.core.pending:
            self._connect_again()
            if self._over:
                return True
        taken = self._receive()
        if why := self._ended():
            while self._receive() == MAX_TURN:  # what it said last: GOODBYE explains more than a closed connection
                pass
            self._over = True
            if self.core.expecting or not self._connected:
                self.core.fail(ConnectionLostError(why))
            return True
        self._watch()
        self._send()
        return taken == MAX_TURN or bool(int(self._socket.get(zmq.EVENTS)) & zmq.POLLIN)

    def _receive(self) -> int:
        for taken in range(MAX_TURN):
            try:
                frames = self._socket.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                return taken
            self._silent_s, self._message = 0.0, time.monotonic()
            self.core.receive(frames[0] if len(frames) == 1 else b"")
        return MAX_TURN

    def _ended(self) -> str:
        """Why the connection is no more, or never was; "" if that is not so."""
        why, endpoint = "", self.core.endpoint
        for event, _ in self._monitor.events():
            if event == zmq.EVENT_CONNECTED:
                self._silent_s, self._connected = 0.0, True
            elif event == zmq.EVENT_CONNECT_RETRIED and not self._connected:
                why = f"no server listens at {endpoint}: is it running, at that address? `ostinato serve` starts one"
            elif event == zmq.EVENT_DISCONNECTED:
                why = f"the server at {endpoint} has gone: the connection is closed"
                if self._message is None:
                    why = (
                        f"{endpoint} closed the connection without a word: it is no Ostinato server, or it "
                        "has more clients than it can have"
                    )
        return why

    def _watch(self) -> None:
        now = time.monotonic()
        looked, self._looked = self._looked, now
        if not self.core.expecting:
            self._silent_s, self._beat = 0.0, now
            return
        if self.core.pinging:  # whose answer would have been taken before this
            self._silent_s += min(now - looked, 2 * POLL_S)
        if self._silent_s > self.silence_s:
            self.core.fail(ConnectionLostError(self._silence()))
            self._connect_again()
        elif now - self._beat > min(HEARTBEAT_S, self.silence_s / 3):
            self._beat = now
            self.core.heartbeat()

    def _silence(self) -> str:
        if self._connected:
            return f"the server at {self.core.endpoint} has been silent for {self.silence_s:g} s: it hangs or is gone"
        return f"no server answers at {self.core.endpoint}: is it running, at that address?"

    def _send(self) -> None:
        while self.core.pending:
            try:
                self._socket.send(self.core.next_frame(), zmq.DONTWAIT)
            except zmq.Again:
                return
            self.core.sent()
