"""The clients of a server: who they are, what they are sent, and how they leave."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator

import zmq

from ostinato import protocol as wire
from ostinato.errors import BadMessageError, CapacityError
from ostinato.server.connections import Connections
from ostinato.server.dialogue import Dialogue
from ostinato.server.door import Door
from ostinato.server.peer import Peer
from ostinato.server.rarely import Rarely
from ostinato.server.settings import Settings

log = logging.getLogger(__name__)
rarely = Rarely(log)
_FIRST, _LAST = int(zmq.SNDMORE | zmq.DONTWAIT), int(zmq.DONTWAIT)  # flags of enumerations take a microsecond
LEAVE_S = 0.1
"""What a client that is cut gets to hear why."""


class Clients:
    """The peers of a ROUTER, by the routing ids that it has given them."""

    def __init__(
        self,
        router: zmq.Socket[bytes],
        connections: Connections,
        dialogue: Dialogue,
        settings: Settings,
        most: int,
    ) -> None:
        self.late: set[Peer] = set()
        """Those whose queues are full."""
        self.peers: dict[bytes, Peer] = {}
        self._router = router
        self._connections = connections
        self._dialogue = dialogue
        self._settings = settings
        self._most = most

    def __len__(self) -> int:
        return len(self.peers)

    def __iter__(self) -> Iterator[Peer]:
        return iter(list(self.peers.values()))

    # --- coming -----------------------------------------------------------------------------------------------------

    def meet(self, identity: bytes, frame: zmq.Frame, now: float) -> Peer | None:
        """Who has spoken for the first time, with that frame; None: do not listen."""
        self.look()
        connection = self._connections.of(int(frame.get(zmq.SRCFD)), Door.number(frame))
        if connection is None or connection.cut:
            return None
        if len(identity) != 5 or identity[0] != 0:
            chosen = BadMessageError("choose no routing id (identity): the server gives one to each connection")
            if self._reaches(identity, wire.Error(chosen.code, str(chosen))):
                rarely(logging.WARNING, "a client is cut: it chose its own routing id")
                self._connections.cut(connection, LEAVE_S)
            return None
        if len(self.peers) >= self._most:
            rarely(logging.WARNING, "a client is refused: there are %d already", self._most)
            full = CapacityError(f"the server has {self._most} clients already: try again later")
            self._reaches(identity, wire.Error(full.code, str(full), retry_ms=1000))
            return None
        connection.peer = self.peers[identity] = peer = Peer(identity, connection.fd, now)
        connection.received_before = None
        return peer

    def _reaches(self, identity: bytes, message: wire.Reply) -> bool:
        """Whether a connection is there still; the message is sent to it, if its queue has room."""
        try:
            self._router.send_multipart([identity, wire.encode(message)], zmq.DONTWAIT)
        except zmq.Again:
            pass
        except zmq.ZMQError:
            return False
        return True

    # --- sending ----------------------------------------------------------------------------------------------------

    def send(self) -> None:
        """Hand to ZeroMQ what it takes for all."""
        touched = self._dialogue.touched
        if not touched and not self.late:
            return
        for peer in touched | self.late:
            self.send_to(peer)
        touched.clear()
        if self.late:
            self._bound_outgoing()

    def send_to(self, peer: Peer) -> None:
        """Hand to ZeroMQ what it takes for one."""
        router, outgoing = self._router, peer.outgoing
        while outgoing:
            try:
                router.send(peer.identity, _FIRST)
                router.send(outgoing[0], _LAST)
            except zmq.Again:
                self.late.add(peer)
                return
            except zmq.ZMQError as error:
                if error.errno != zmq.EHOSTUNREACH:
                    rarely(logging.ERROR, "nothing can be sent to a client: %s", error)
                self.forget(peer)
                return
            peer.sent()
        self.late.discard(peer)

    def _bound_outgoing(self) -> None:
        for peer in [p for p in self.late if p.outgoing_bytes > self._settings.max_client_bytes]:
            self.cut(peer, "it does not read its results")
        while sum(p.outgoing_bytes for p in self.late) > self._settings.max_outgoing_bytes:
            self.cut(max(self.late, key=lambda p: p.outgoing_bytes), "memory for unread results is short")

    # --- leaving ----------------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Forget the clients whose connections have ended, and cut connections beyond the limit."""
        for peer in self._connections.look():
            self.forget(peer)
        for connection in self._connections.excess():
            rarely(logging.WARNING, "a connection is cut: there are more than %d", self._connections.limit)
            self._connections.cut(connection)

    def forget(self, peer: Peer) -> None:
        """Forget a client that has gone, or is to be cut."""
        if peer.streams:
            log.info("a client with %s has gone", _open(peer))
        self._dialogue.forget(peer)
        self.late.discard(peer)
        peer.outgoing.clear()
        peer.outgoing_bytes = 0
        if self.peers.get(peer.identity) is peer:
            del self.peers[peer.identity]
        connection = self._connections.of_peer(peer)
        if connection is not None:
            connection.peer = None

    def cut(self, peer: Peer, why: str) -> None:
        """Forget a client, tell it and the log why, and end its connection."""
        rarely(logging.WARNING, "a client with %s is cut: %s", _open(peer), why)
        connection = self._connections.of_peer(peer)
        self.forget(peer)
        error = BadMessageError(f"the connection is cut: {why}")
        if connection is not None and self._reaches(peer.identity, wire.Error(error.code, str(error))):
            self._connections.cut(connection, LEAVE_S)

    def forget_idle(self) -> None:
        """Forget those from whom nothing has come for `Settings.idle_s`, and tell them."""
        now = time.monotonic()
        for peer in [p for p in self.peers.values() if now - p.heard > self._settings.idle_s]:
            log.info("a client with %s was silent for too long", _open(peer))
            self._dialogue.close_all(peer, "idle")
            self.send_to(peer)
            self.forget(peer)


def _open(peer: Peer) -> str:
    """How many streams it has, for the log."""
    count = len(peer.streams)
    return f"{count} open stream{'s' * (count != 1)}"
