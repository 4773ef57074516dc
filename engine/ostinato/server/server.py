"""The server: one ROUTER socket, one thread, one loop: drain the socket, tick, send; wait only if nothing is left."""

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
from zmq.utils.monitor import recv_monitor_message

from ostinato import protocol as wire
from ostinato.engine import Engine, Limits
from ostinato.errors import AddressError, CapacityError
from ostinato.server.address import check_address
from ostinato.server.dialogue import Dialogue
from ostinato.server.peer import Peer
from ostinato.server.settings import Settings
from ostinato.streaming import Model

log = logging.getLogger(__name__)
TURN_MESSAGES = 256
"""Messages taken in one turn of the loop, so that computing and sending get theirs."""
QUEUE_MESSAGES = 64
"""ZeroMQ's high-water marks. They let many more through (the kernel buffers too): credit is the real bound."""
CARE_S = 0.5
"""How often idle clients and the end are looked after."""
RESEND_MS = 5
"""When a client's full queue is tried again."""
FINISH_S = 2.0
"""How long what waits at the end of draining may still take, and the last messages to leave."""


class Server:
    """Serves models at an address; in the calling thread (`run`) or one of its own (`start`, or ``with``).

    ``bind`` must be loopback or ipc; port ``*`` takes a free one, and `endpoint` has it. ``place`` tells where
    streams are opened instead of here, ``report`` is told in each turn how many are open. Raises AddressError.
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
        self._engine = Engine(models, limits)
        self._dialogue = Dialogue(self._engine, self.settings, place)
        self._report = report
        self._peers: dict[bytes, Peer] = {}
        self._by_fd: dict[int, Peer] = {}
        self._late: set[Peer] = set()
        self._watched: int | None = None
        self._end: Literal["", "drain", "now"] = ""
        self._thread: threading.Thread | None = None
        self._context = zmq.Context()
        self._router = self._context.socket(zmq.ROUTER)
        try:
            _configure(self._router)
            self._router.ipv6 = "[" in bind
            self._monitor = self._router.get_monitor_socket(zmq.EVENT_DISCONNECTED)
            self._router.bind(check_address(bind))
        except (AddressError, zmq.ZMQError) as error:
            self._router.close(0)
            self._context.destroy(0)
            if isinstance(error, AddressError):
                raise
            raise AddressError(f"cannot listen on {bind}: {error.strerror}; choose another port") from error
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
        """Connections that have said something."""
        return len(self._peers)

    # --- life -------------------------------------------------------------------------------------------------------

    def start(self) -> Self:
        """Serve in a thread of its own."""
        self._thread = threading.Thread(target=self.run, name="ostinato-server", daemon=True)
        self._thread.start()
        return self

    def stop(self, *, drain: bool = False) -> None:
        """Ask for the end, from any thread or a signal handler.

        ``drain`` lets open streams go on for `Settings.drain_s`; asked for again, it ends at once.
        """
        self._end = "drain" if drain and not self._end else "now"
        with contextlib.suppress(OSError):  # it rings already, or all is over
            self._bell.send(b"!")

    def close(self) -> None:
        """End at once, and wait for the thread."""
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
        try:
            self._serve()
        finally:
            self._close()

    def _close(self) -> None:
        if not self._router.closed:
            self._router.disable_monitor()
            self._monitor.close(0)
            self._router.close(int(FINISH_S * 1000) if self._end == "drain" else 0)
            self._context.term()
            self._bell.close()
            self._ear.close()

    # --- the loop ---------------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        poller = zmq.Poller()
        for each in (self._router, self._monitor, self._ear, *([] if self._watched is None else [self._watched])):
            poller.register(each, zmq.POLLIN)
        engine, care, deadline = self._engine, 0.0, 0.0
        while self._end != "now":
            more = self._receive()
            if engine.busy:
                self._dialogue.answer(engine.tick_columns())
            self._send()
            self._report(engine.streams)
            now = time.monotonic()
            if now >= care:
                care = now + CARE_S
                self._monitored()
                self._forget_idle(now)
                self._dialogue.care(now)
            if self._end == "drain":
                if not deadline:
                    deadline = now + self.settings.drain_s
                    self._announce_end()
                if now >= deadline or not (engine.streams or engine.busy or more):
                    break
            if more or engine.busy:
                continue
            wait = min(care, deadline or care) - now
            if self._late:
                wait = min(wait, RESEND_MS / 1000)
            self._heed(dict(poller.poll(max(0, int(wait * 1000) + 1))))
        if self._end == "drain":
            self._finish()

    def _heed(self, events: dict[object, int]) -> None:
        """Look at the rarer sources of events."""
        if self._monitor in events:
            self._monitored()
        if self._ear.fileno() in events:
            with contextlib.suppress(BlockingIOError):
                self._ear.recv(64)
        if self._watched in events and not os.read(self._watched or 0, 64):
            self._end = "now"

    def _receive(self) -> bool:
        """Take what has come; whether there may be more."""
        router, peers, take = self._router, self._peers, self._dialogue.take
        now = time.monotonic()
        for _ in range(TURN_MESSAGES):
            try:
                identity = router.recv(zmq.DONTWAIT)
            except zmq.Again:
                return False
            peer = peers.get(identity)
            if peer is None:
                body = router.recv(zmq.DONTWAIT, copy=False)
                peer, frame = self._meet(identity, int(body.get(zmq.SRCFD)), now), body.bytes
            else:
                frame = router.recv(zmq.DONTWAIT)
            peer.heard = now
            if router.get(zmq.RCVMORE):
                self._skip_rest(peer)
            else:
                take(peer, frame, time.monotonic_ns())
        return True

    def _skip_rest(self, peer: Peer) -> None:
        while self._router.rcvmore:
            self._router.recv(zmq.DONTWAIT, copy=False)
        self._dialogue.take(peer, b"", 0)  # as wrong as no message

    def _send(self) -> None:
        """Hand to ZeroMQ what it takes."""
        touched = self._dialogue.touched
        if not touched and not self._late:
            return
        for peer in touched | self._late:
            self._send_to(peer)
        touched.clear()
        if self._late:
            self._bound_outgoing()

    def _send_to(self, peer: Peer) -> None:
        router, outgoing = self._router, peer.outgoing
        while outgoing:
            try:
                router.send(peer.identity, zmq.SNDMORE | zmq.DONTWAIT)
                router.send(outgoing[0], zmq.DONTWAIT)
            except zmq.Again:
                self._late.add(peer)
                return
            except zmq.ZMQError as error:
                if error.errno != zmq.EHOSTUNREACH:
                    raise
                self._forget(peer)
                return
            peer.sent()
        self._late.discard(peer)

    def _bound_outgoing(self) -> None:
        for peer in [p for p in self._late if p.outgoing_bytes > self.settings.max_client_bytes]:
            self._forget(peer, "it does not read its results")
        while sum(p.outgoing_bytes for p in self._late) > self.settings.max_outgoing_bytes:
            self._forget(max(self._late, key=lambda p: p.outgoing_bytes), "memory for unread results is short")

    # --- peers ------------------------------------------------------------------------------------------------------

    def _meet(self, identity: bytes, fd: int, now: float) -> Peer:
        self._monitored()  # the descriptor's former owner has gone before this one came
        peer = Peer(identity, fd, now)
        if len(self._peers) >= self.settings.max_clients:
            full = CapacityError(f"the server has {self.settings.max_clients} clients already: try again later")
            self._dialogue.tell(peer, wire.Error(full.code, str(full), retry_ms=1000))
            return peer
        if (former := self._by_fd.get(fd)) is not None:
            self._forget(former)
        self._peers[identity] = self._by_fd[fd] = peer
        return peer

    def _monitored(self) -> None:
        """Forget the clients whose connections have ended."""
        while True:
            try:
                event = recv_monitor_message(self._monitor, zmq.DONTWAIT)
            except zmq.Again:
                return
            if event["event"] == zmq.EVENT_DISCONNECTED and (peer := self._by_fd.get(event["value"])):
                self._forget(peer)

    def _forget(self, peer: Peer, why: str = "") -> None:
        """Forget a client that has gone, or that is dropped: then ``why`` says for what reason."""
        if why:
            log.warning("a client with %d open streams is dropped: %s", len(peer.streams), why)
        elif peer.streams:
            log.info("a client with %d open streams has gone", len(peer.streams))
        self._dialogue.forget(peer)
        self._late.discard(peer)
        peer.outgoing.clear()
        peer.outgoing_bytes = 0
        if self._peers.get(peer.identity) is peer:
            del self._peers[peer.identity]
        if self._by_fd.get(peer.fd) is peer:
            del self._by_fd[peer.fd]

    def _forget_idle(self, now: float) -> None:
        for peer in [p for p in self._peers.values() if now - p.heard > self.settings.idle_s]:
            log.info("a client with %d open streams was silent for too long", len(peer.streams))
            self._dialogue.close_all(peer, "idle")
            self._send_to(peer)
            self._forget(peer)

    # --- the end ----------------------------------------------------------------------------------------------------

    def _announce_end(self) -> None:
        log.info("draining: %d streams may go on for %g s", self._engine.streams, self.settings.drain_s)
        self._dialogue.draining = True
        for peer in list(self._peers.values()):
            self._dialogue.tell(peer, wire.Draining(self.settings.drain_s))
        self._send()

    def _finish(self) -> None:
        """Compute what waits, and take leave; both within FINISH_S."""
        end = time.monotonic() + FINISH_S
        while self._engine.busy and self._end == "drain" and time.monotonic() < end:
            self._dialogue.answer(self._engine.tick_columns())
            self._send()
        for peer in list(self._peers.values()):
            self._dialogue.close_all(peer, "drain")
            self._dialogue.tell(peer, wire.Goodbye())
        self._send()
        while self._late and self._end == "drain" and time.monotonic() < end:
            time.sleep(RESEND_MS / 1000)
            self._send()


def _configure(router: zmq.Socket[bytes]) -> None:
    router.linger = 0
    router.ipv6 = True
    router.router_mandatory = True  # a message that cannot be sent is an error, not dropped in silence
    router.sndhwm = router.rcvhwm = QUEUE_MESSAGES
    router.maxmsgsize = wire.BACKSTOP_BYTES
    router.handshake_ivl = 1000  # silent connections hold descriptors no longer
    router.heartbeat_ivl = 5000
    router.heartbeat_timeout = 30000
