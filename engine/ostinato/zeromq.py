"""What ZeroMQ leaves to its users, server and client alike: descriptors, monitors, connections that die unseen."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator
from pathlib import Path

import zmq

from ostinato import stdio
from ostinato.errors import CapacityError

CONTEXT_DESCRIPTORS = 8
"""What a context takes. ZeroMQ ends the process where it cannot have them, so they are counted before."""
MAX_SOCKETS = 16384
_OPEN = next((folder for folder in map(Path, ("/proc/self/fd", "/dev/fd")) if folder.is_dir()), None)
_EVENT = struct.Struct("=Hi")
_MONITORS = itertools.count()
"""Their addresses, none of them twice: ZeroMQ may keep one for a while after its monitor is closed."""


def descriptor_limit() -> int | None:
    """How many descriptors this process may have; None where there is no such limit."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return None if soft == resource.RLIM_INFINITY else int(soft)


def free_descriptors() -> int | None:
    """How many more descriptors this process may open; None where that cannot be known."""
    limit = descriptor_limit()
    if limit is None or _OPEN is None:
        return None
    try:
        return limit - sum(1 for _ in _OPEN.iterdir()) + 1  # listing takes one
    except OSError:
        return 0


def need_descriptors(count: int, who: str) -> None:
    """Raise CapacityError unless ``count`` more descriptors may be opened."""
    free = free_descriptors()
    if free is not None and free < count:
        raise CapacityError(
            f"{who} needs {count} file descriptors, and this process may open {free} more of its "
            f"{descriptor_limit()}: close files or connections, or raise the limit (ulimit -n)"
        )


def make_context(who: str, count: int) -> zmq.Context[zmq.Socket[bytes]]:
    """A context whose first user takes ``count`` descriptors besides. Raises CapacityError where they are too few."""
    stdio.open_descriptors()  # else libraries that complain on standard error would write into a socket
    need_descriptors(CONTEXT_DESCRIPTORS + count, who)  # the context takes its own with its first socket
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    context.set(zmq.MAX_SOCKETS, MAX_SOCKETS)
    return context


def mind_connections(socket: zmq.Socket[bytes]) -> None:
    """Set what every connection of ours has in common.

    The system's keep-alive finds peers whose machine is gone; ZeroMQ's own heartbeat is off, as it ends the process
    when it meets a connection that was reset while its queue was full (libzmq#4364). So does a *peer's* heartbeat
    that waits behind such a queue: therefore no queue of what comes is ever full. What bounds it is credit, and that
    who does not heed it is cut.
    """
    socket.linger = 0
    socket.heartbeat_ivl = 0
    socket.rcvhwm = 0
    socket.tcp_keepalive = 1
    socket.tcp_keepalive_idle = 60
    socket.tcp_keepalive_intvl = 10
    socket.tcp_keepalive_cnt = 6


class Monitor:
    """What happens to a socket's connections. Make it before the socket binds or connects, close it before that."""

    def __init__(self, socket: zmq.Socket[bytes], events: int) -> None:
        self._watched = socket
        address = f"inproc://monitor-{next(_MONITORS)}"
        socket.monitor(address, events)
        self.socket = socket.context.socket(zmq.PAIR)
        self.socket.linger = 0
        self.socket.rcvhwm = 0  # were it full, the thread that serves all connections would wait for its reader
        self.socket.connect(address)

    def events(self) -> Iterator[tuple[int, int]]:
        """What has happened since: the event, and its value, which is a descriptor for most."""
        while True:
            try:
                event, _ = self.socket.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                return
            yield _EVENT.unpack(event)

    def close(self) -> None:
        """Watch no more."""
        self._watched.disable_monitor()
        self.socket.close(0)
