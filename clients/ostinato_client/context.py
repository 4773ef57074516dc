"""What belongs to a process: the ZeroMQ context that all its clients share, so that threads and descriptors are there
once, and the clients themselves."""

from __future__ import annotations

import os
import threading

import zmq

from ostinato.errors import ConnectionLostError
from ostinato.zeromq import make_context, need_descriptors

CLIENT_DESCRIPTORS = 6
"""What a client takes: a connection, its monitor, and what wakes its thread."""
LINK_DESCRIPTORS = 4
"""What each further connection takes."""


class SharedContext:
    """One context for as long as somebody has it. A forked process makes its own."""

    def __init__(self) -> None:
        self.after_fork()

    def after_fork(self) -> None:
        """The lock may be another thread's, which is not here; the context has no threads here."""
        self._lock = threading.Lock()
        self._context: zmq.Context[zmq.Socket[bytes]] | None = None
        self._users = 0

    def take(self) -> zmq.Context[zmq.Socket[bytes]]:
        """The context. Raises CapacityError where descriptors are too few for a client."""
        with self._lock:
            if self._context is None:
                self._context = make_context("a client", CLIENT_DESCRIPTORS)
            else:
                need_descriptors(CLIENT_DESCRIPTORS, "a client")
            self._users += 1
            return self._context

    def give_back(self, context: zmq.Context[zmq.Socket[bytes]]) -> None:
        """Who took it has closed all its sockets."""
        with self._lock:
            if context is not self._context:
                return
            self._users -= 1
            if self._users:
                return
            self._context = None
        context.term()


shared = SharedContext()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=shared.after_fork)


class Home:
    """The process that something was made in, and works in."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._process = os.getpid()

    @property
    def left(self) -> bool:
        """Whether this process is another one, a fork."""
        return os.getpid() != self._process

    def check(self) -> None:
        """Raise ConnectionLostError in another process."""
        if self.left:
            raise ConnectionLostError(
                f"this {self._what} was made in another process, before a fork, and its connection is there: make "
                f"another {self._what} in this one"
            )
