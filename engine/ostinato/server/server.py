"""The server: one ROUTER socket, one thread, one loop: drain the socket, tick, send; wait only if nothing is left.

Nothing that arrives ends the loop: what a peer sends is handled by itself, and a fault there costs that peer only.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket as sockets
import threading
import time
from collections.abc import Callable, Mapping
from typing import Literal, Self

import zmq

from ostinato import protocol as wire
from ostinato.engine import Engine, Limits
from ostinato.errors import AddressError, BadMessageError, OstinatoError
from ostinato.server.address import check_address
from ostinato.server.clients import Clients
from ostinato.server.connections import Connections
from ostinato.server.dialogue import Dialogue
from ostinato.server.directory import Directory
from ostinato.server.door import Door
from ostinato.server.peer import Peer
from ostinato.server.rarely import Rarely
from ostinato.server.router import SPARE_DESCRIPTORS, allowed, make_router
from ostinato.server.settings import Settings
from ostinato.server.shortage import Shortage
from ostinato.streaming import Model
from ostinato.zeromq import make_context

log = logging.getLogger(__name__)
rarely = Rarely(log)
TURN_MESSAGES = 256
"""Messages taken in one turn of the loop, so that computing and sending get theirs …"""
TURN_NS = 8_000_000
"""… and for how long: some take the server milliseconds (an OPEN with many hotwords). ZeroMQ gives of each connection
in its turn, so who sends such without end has one done in the time of one message of each of the others."""
TURN_PARTS = 2000
"""Parts of a message of several passed over in one turn."""
MAX_PARTS = 16
"""Parts beyond which their sender is cut."""
SERVER_DESCRIPTORS = 10
"""What a server takes besides its context."""
CARE_S = 0.5
"""How often idle clients and the end are looked after."""
RESEND_MS = 5
"""When a client's full queue is tried again."""
FINISH_S = 2.0
"""How long what waits at the end of draining may still take, and the last messages to leave."""


class Server:
    """Serves models at an address; in the calling thread (`run`) or one of its own (`start`, or ``with``).

    ``bind`` must be loopback or ipc; port ``*`` takes a free one, and `endpoint` has it. ``place`` tells where
    streams are opened instead of here, ``report`` is told in each turn how many are open. Raises AddressError, and
    CapacityError where descriptors are too few. It belongs to the process that made it: a fork's copy does nothing.
    """

    def __init__(
        self,
        models: Mapping[str, Model],
        bind: str = "tcp://127.0.0.1:*",
        *,
        settings: Settings | None = None,
        limits: Limits | None = None,
        place: Callable[[], str] | None = None,
        report: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.settings = settings or Settings()
        limits = limits or Limits()
        directory = Directory(limits.max_streams if models else 0)
        self._engine = Engine(models, limits, closed=directory.remove)
        self._dialogue = Dialogue(self._engine, directory, self.settings, place)
        self._report = report
        self._parts: int | None = None
        self._parts_of: Peer | None = None
        self._watched: int | None = None
        self._end: Literal["", "drain", "now"] = ""
        self._thread: threading.Thread | None = None
        self._process = os.getpid()
        bind = check_address(bind)
        self._context = make_context("a server", SERVER_DESCRIPTORS + SPARE_DESCRIPTORS)
        self._router = make_router(self._context, ipv6="[" in bind)
        self._door = Door(self._context)
        self.max_clients, most = allowed(self.settings.max_clients)
        """`Settings.max_clients`, or what descriptors allow."""
        self._connections = Connections(self._router, self._door, most)
        try:
            self._clients = Clients(self._router, self._connections, self._dialogue, self.settings, self.max_clients)
            self._shortage = Shortage(self._clients, self._connections, self._dialogue, self.settings.max_memory_mb)
            self._router.bind(bind)
        except (OstinatoError, zmq.ZMQError) as error:
            self._connections.close()
            self._door.close()
            self._router.close(0)
            self._context.term()
            if isinstance(error, OstinatoError):
                raise
            why = (error.strerror or str(error)).partition(" (addr=")[0].rstrip(".")  # libzmq says it again
            cure = "choose another port" if bind.startswith("tcp:") else "choose another path"
            raise AddressError(f"cannot listen on {bind}: {why}; {cure}") from error
        self.endpoint: str = self._router.get_string(zmq.LAST_ENDPOINT).rstrip("\0")
        self._bell, self._ear = sockets.socketpair()
        self._bell.setblocking(False)
        self._ear.setblocking(False)

    @property
    def streams(self) -> int:
        """Open streams."""
        return self._engine.streams

    @property
    def clients(self) -> int:
        """Connections that have said something and are not refused."""
        return len(self._clients)

    @property
    def connections(self) -> int:
        """All that are there, of strangers too; beyond `max_connections` the longest silent are cut."""
        return len(self._connections)

    @property
    def max_connections(self) -> int:
        """How many may be there."""
        return self._connections.limit

    @property
    def full(self) -> str:
        """Why no stream is opened just now; empty if some are."""
        return self._dialogue.full

    @property
    def resuming_bytes(self) -> int:
        """Of the snapshots that have come in part."""
        return self._dialogue.resuming_bytes

    # --- life -------------------------------------------------------------------------------------------------------

    def start(self) -> Self:
        """Serve in a thread of its own."""
        self._check_process()
        self._thread = threading.Thread(target=self.run, name="ostinato-server", daemon=True)
        self._thread.start()
        return self

    def stop(self, *, drain: bool = False) -> None:
        """Ask for the end, from any thread or a signal handler.

        ``drain`` lets open streams go on for `Settings.drain_s`; asked for again, it ends at once.
        """
        if os.getpid() != self._process:
            return
        self._end = "drain" if drain and not self._end else "now"
        with contextlib.suppress(OSError):  # it rings already, or all is over
            self._bell.send(b"!")

    def close(self) -> None:
        """End at once, and wait for the thread."""
        if os.getpid() != self._process:
            return
        self.stop()
        if self._thread is not None:
            self._thread.join()
        else:
            self._close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def stop_with(self, descriptor: int) -> None:
        """End when this descriptor, of a pipe that the parent process holds, reaches its end. Call before `run`."""
        self._watched = descriptor

    def run(self) -> None:
        """Serve until `stop`."""
        self._check_process()
        try:
            self._serve()
        finally:
            self._close()

    def _close(self) -> None:
        if not self._router.closed:
            self._connections.close()
            self._door.close()
            self._router.close(int(FINISH_S * 1000) if self._end == "drain" else 0)
            self._context.term()
            self._bell.close()
            self._ear.close()

    def _check_process(self) -> None:
        if os.getpid() != self._process:
            raise OstinatoError("this server was made in another process, before a fork: make one in this process")

    # --- the loop ---------------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        sources = [self._router, self._connections.monitor.socket, self._door.socket, self._ear]
        poller = zmq.Poller()
        for each in [*sources, *([] if self._watched is None else [self._watched])]:
            poller.register(each, zmq.POLLIN)
        engine, care, look, deadline = self._engine, 0.0, 0.0, 0.0
        while self._end != "now":
            more = self._receive()
            self._tick()
            _safely(self._clients.send)
            self._report(engine.streams)
            now = time.monotonic()
            if now >= look:
                _safely(self._shortage.look)
                self._connections.cut_leaving()
                look = now + self._shortage.wait_s
            if now >= care:
                care = now + CARE_S
                _safely(self._clients.forget_idle)
                _safely(self._shortage.care)
                _safely(lambda: self._dialogue.care(time.monotonic()))
            if self._end == "drain":
                if not deadline:
                    deadline = now + self.settings.drain_s
                    self._announce_end()
                if now >= deadline or not (engine.streams or engine.busy or more):
                    break
            wait = 0.0
            if not (more or engine.busy):
                wait = min(care, deadline or care, look if len(self._connections) else care) - now
                wait = max(0.0, min(wait, RESEND_MS / 1000) if self._clients.late else wait) + 0.001
            self._heed(dict(poller.poll(int(wait * 1000))))
        if self._end == "drain":
            self._finish()

    def _heed(self, events: dict[object, int]) -> None:
        """Look at the rarer sources of events, before what new connections have sent."""
        if self._connections.monitor.socket in events:
            _safely(self._clients.look)
        if self._door.socket in events:
            _safely(lambda: self._door.answer(lambda: _safely(self._clients.look)))
        if self._ear.fileno() in events:
            with contextlib.suppress(BlockingIOError):
                self._ear.recv(64)
        if self._watched in events and not os.read(self._watched or 0, 64):
            self._end = "now"

    def _tick(self) -> None:
        _safely(self._dialogue.deliver)
        if self._engine.busy:  # the engine ends the streams that a fault costs
            _safely(lambda: self._dialogue.answer(self._engine.tick_columns()))

    # --- receiving --------------------------------------------------------------------------------------------------

    def _receive(self) -> bool:
        """Take what has come; whether there may be more."""
        router, peers, take = self._router, self._clients.peers, self._dialogue.take
        now, until = time.monotonic(), time.monotonic_ns() + TURN_NS
        if self._parts is not None and not self._pass_over():
            return True
        for _ in range(TURN_MESSAGES):
            if time.monotonic_ns() > until:
                return True
            try:
                identity = router.recv(zmq.DONTWAIT)
            except zmq.Again:
                self._shortage.drained()
                return False
            peer = peers.get(identity)
            try:
                if peer is None:
                    body = router.recv(zmq.DONTWAIT, copy=False)
                    peer, frame = self._clients.meet(identity, body, now), body.bytes
                else:
                    frame = router.recv(zmq.DONTWAIT)
                if router.get(zmq.RCVMORE):
                    self._parts, self._parts_of = 1, peer
                    if not self._pass_over():
                        return True
                elif peer is not None:
                    peer.heard = now
                    size = len(frame)
                    peer.taken += size + (2 if size < 256 else 9)
                    take(peer, frame, time.monotonic_ns())
            except zmq.ContextTerminated:
                raise
            except Exception:
                rarely(logging.ERROR, "a message met a fault", fault=True)
                if (faulty := peers.get(identity)) is not None:
                    self._clients.cut(faulty, "its message met a fault of the server")
                if router.get(zmq.RCVMORE):
                    self._parts, self._parts_of = 1, None
                    if not self._pass_over():
                        return True
        return True

    def _pass_over(self) -> bool:
        """Go through the rest of a message of several parts; whether its end was there. Until it is passed, ZeroMQ
        gives nothing that others have sent; but it is shown only when all of it has come."""
        assert self._parts is not None
        recv, peer, more = self._router.recv, self._parts_of, True
        for _ in range(TURN_PARTS):
            self._parts += 1
            more = recv(zmq.DONTWAIT, copy=False).more
            if not more:
                break
        if peer is not None and self._parts > MAX_PARTS:
            self._clients.cut(peer, f"its message has more than {MAX_PARTS} parts")
            self._parts_of = None
        elif peer is not None and not more:
            error = BadMessageError("a message is one frame, and this had several: use a DEALER socket, not REQ")
            self._dialogue.tell(peer, wire.Error(error.code, str(error)))
        if not more:
            self._parts = None
        return not more

    # --- the end ----------------------------------------------------------------------------------------------------

    def _announce_end(self) -> None:
        log.info("draining: open streams (%d) may go on for %g s", self._engine.streams, self.settings.drain_s)
        self._dialogue.draining = True
        for peer in self._clients:
            self._dialogue.tell(peer, wire.Draining(self.settings.drain_s))
        self._clients.send()

    def _finish(self) -> None:
        """Compute what waits, and take leave; both within FINISH_S."""
        end = time.monotonic() + FINISH_S
        while self._engine.busy and self._end == "drain" and time.monotonic() < end:
            self._tick()
            self._clients.send()
        for peer in self._clients:
            self._dialogue.close_all(peer, "drain")
            self._dialogue.tell(peer, wire.Goodbye())
        self._clients.send()
        while self._clients.late and self._end == "drain" and time.monotonic() < end:
            time.sleep(RESEND_MS / 1000)
            self._clients.send()


def _safely(step: Callable[[], None]) -> None:
    """A step of the loop. A fault in it is logged, and the loop goes on."""
    try:
        step()
    except Exception:
        rarely(logging.ERROR, "the server met a fault", fault=True)
