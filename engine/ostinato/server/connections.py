"""Who is connected: the descriptors of connections, as the socket monitor tells them, and how to cut one.

ZeroMQ has no way to end one connection of a ROUTER: it is shut down below it, by its descriptor. As that may be
closed and be another's by then, it is duplicated and looked at before, into a descriptor that is kept for this.

It does not say either who sends parts of a message that never ends: they are held, and seen by nobody, until the last
one is here. So the system is asked how many bytes a connection has received (Linux, TCP), which is compared with what
was taken of it: `hoarders`.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import zmq

from ostinato import protocol as wire
from ostinato.server.door import Door
from ostinato.server.peer import Peer
from ostinato.zeromq import Monitor

HOARD_BYTES = wire.BACKSTOP_BYTES + (32 << 10)
"""What may have come of a message that is not complete: no frame may be longer than BACKSTOP_BYTES."""
AHEAD_BYTES = 16 << 20
"""What a client may have sent that was not taken yet: a snapshot in parts, and the credit of 16 streams …"""
AHEAD_STREAM_BYTES = 1 << 20
"""… and of each further one."""
_TCP_INFO, _INFO_BYTES, _RECEIVED_AT = 11, 136, 128


@dataclass(slots=True, eq=False)
class Connection:
    """One connection. ``inode`` tells it from a later one with its descriptor, and so does ``first``, the least
    number that the door can have given it: who has a lower one is gone, though what it sent may be read late.
    ``peer``: who has spoken on it."""

    fd: int
    inode: int
    first: int
    peer: Peer | None = None
    cut: bool = False
    received_before: int | None = None
    """Bytes received, less those taken, when last nothing of it was waiting."""
    taken: int = 0
    hoarding: bool = False


class Connections:
    """The connections of a ROUTER that has not been bound yet. More than ``limit`` are cut."""

    def __init__(self, router: zmq.Socket[bytes], door: Door, limit: int) -> None:
        self.limit = limit
        self._door = door
        self.monitor = Monitor(router, zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED)
        self._by_fd: dict[int, Connection] = {}
        self._leaving: list[tuple[float, Connection]] = []
        # A descriptor of our own, in whose place one that is to be cut is put: where none is left there is no other.
        self._nothing = os.open(os.devnull, os.O_RDONLY)
        self._own = os.dup(self._nothing)

    def __len__(self) -> int:
        return len(self._by_fd)

    def of(self, fd: int, number: int) -> Connection | None:
        """The connection with that descriptor, of whom the door has given that number; None if it has ended."""
        found = self._by_fd.get(fd)
        return None if found is None or number < found.first else found

    def of_peer(self, peer: Peer) -> Connection | None:
        """The connection on which a peer has spoken."""
        found = self._by_fd.get(peer.fd)
        return found if found is not None and found.peer is peer else None

    def look(self) -> list[Peer]:
        """Take note of what has happened; the peers whose connections have ended."""
        gone = []
        for event, fd in self.monitor.events():
            former = self._by_fd.pop(fd, None)
            if former is not None and former.peer is not None:
                gone.append(former.peer)
            if event == zmq.EVENT_ACCEPTED:
                with contextlib.suppress(OSError):  # it has ended already
                    self._by_fd[fd] = Connection(fd, os.fstat(fd).st_ino, self._door.next)
        return gone

    def cut(self, connection: Connection, grace_s: float = 0.0) -> None:
        """End a connection, after a time in which what was sent to it may leave; `look` learns that it has ended."""
        if connection.cut:
            return
        connection.cut = True
        if grace_s:
            self._leaving.append((time.monotonic() + grace_s, connection))
        else:
            self._shut(connection)

    def cut_leaving(self) -> None:
        """Cut those whose time is over."""
        now = time.monotonic()
        due = [connection for end, connection in self._leaving if end <= now]
        self._leaving = [entry for entry in self._leaving if entry[0] > now]
        for connection in due:
            self._shut(connection)

    def _shut(self, connection: Connection) -> None:
        try:
            os.dup2(connection.fd, self._own, inheritable=False)
        except OSError:  # it has ended
            return
        try:
            if os.fstat(self._own).st_ino == connection.inode:
                with contextlib.suppress(OSError):
                    self._reset()
        finally:
            os.dup2(self._nothing, self._own, inheritable=False)

    def _reset(self) -> None:
        end = socket.socket(fileno=self._own)
        try:
            # When ZeroMQ closes it, so that who sends without end is told, whose data nobody takes any more.
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            end.shutdown(socket.SHUT_RDWR)
        finally:
            end.detach()

    def close(self) -> None:
        """Look no more. Before the ROUTER is closed."""
        self.monitor.close()
        os.close(self._own)
        os.close(self._nothing)

    def excess(self) -> list[Connection]:
        """Connections beyond the limit: those that have said nothing for longest, then the newest."""
        count = len(self._by_fd) - self.limit
        if count <= 0:
            return []
        here = [each for each in self._by_fd.values() if not each.cut]
        count -= len(self._by_fd) - len(here)
        silent = [each for each in here if each.peer is None]
        others = [each for each in reversed(here) if each.peer is not None]
        return (silent + others)[: max(0, count)]

    def silent(self, count: int) -> list[Connection]:
        """Those that have said nothing for longest."""
        return [each for each in self._by_fd.values() if each.peer is None and not each.cut][:count]

    def hoarders(self, drained: bool) -> Iterator[Connection]:
        """Connections of which more has come than its messages account for.

        ``drained``: all messages that were complete have been taken since the call before. What was there by then and
        is no message now is part of one that never ends. Otherwise a connection may be as far ahead as credit allows.
        """
        for each in self._by_fd.values():
            if each.cut or (total := _received(each.fd)) is None:
                continue
            taken = 0 if each.peer is None else each.peer.taken
            if each.received_before is None or (drained and taken != each.taken):
                each.received_before, each.hoarding = total - taken, False
            waiting = total - taken - each.received_before
            if drained:
                if each.hoarding:
                    yield each
                each.hoarding = waiting > HOARD_BYTES
            elif waiting > AHEAD_BYTES + (0 if each.peer is None else len(each.peer.streams) * AHEAD_STREAM_BYTES):
                yield each
            each.taken = taken

    @property
    def suspicious(self) -> bool:
        """Whether the next `hoarders` may have some."""
        return any(each.hoarding for each in self._by_fd.values())


def _received(fd: int) -> int | None:
    """How many bytes a TCP connection has received and given to its reader; None where that cannot be known."""
    if sys.platform != "linux":
        return None
    import fcntl
    import termios

    try:
        end = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, fd)  # of whatever family: only fd is used
    except OSError:  # it has ended
        return None
    try:
        info = end.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _INFO_BYTES)
        waiting = int.from_bytes(fcntl.ioctl(fd, termios.FIONREAD, bytes(4)), sys.byteorder)
    except OSError:  # no TCP, or ended
        return None
    finally:
        end.detach()
    if len(info) < _INFO_BYTES:
        return None
    return int.from_bytes(info[_RECEIVED_AT:], sys.byteorder) - waiting
