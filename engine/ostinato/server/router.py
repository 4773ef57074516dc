"""The server's ROUTER socket: how it is set, and what it may have of the process."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os

import zmq

from ostinato import protocol as wire
from ostinato.zeromq import descriptor_limit, free_descriptors, mind_connections

log = logging.getLogger(__name__)
SEND_MESSAGES = 64
"""ZeroMQ's high-water mark for what is sent; it lets many more through (the kernel buffers too)."""
RECEIVE_BUFFER = 256 << 10
"""What the system keeps of what a connection sends: it can still come after the connection was cut."""
SPARE_CONNECTIONS = 64
"""Connections beyond the clients: those that are refused, and those that have said nothing yet."""
SPARE_DESCRIPTORS = 32
"""Descriptors that are not for connections: libraries, files, and what is closed a moment later."""


def make_router(context: zmq.Context[zmq.Socket[bytes]], ipv6: bool) -> zmq.Socket[bytes]:
    """The socket, not bound yet."""
    _seed_routing_ids()
    router = context.socket(zmq.ROUTER)
    mind_connections(router)
    router.ipv6 = ipv6
    router.router_mandatory = True  # a message that cannot be sent is an error, not dropped in silence
    router.sndhwm = SEND_MESSAGES
    router.rcvbuf = RECEIVE_BUFFER
    router.maxmsgsize = wire.BACKSTOP_BYTES
    router.handshake_ivl = 1000  # who does not finish its greeting holds descriptors no longer
    router.zap_domain = b"ostinato"  # so that the door is asked
    return router


def _seed_routing_ids() -> None:
    """ZeroMQ counts up the routing ids that it gives from a random number of the C library's, which is the same in
    each process. Who knows which comes next can claim it, and ZeroMQ ends the process when it gives it to another."""
    with contextlib.suppress(OSError, AttributeError):  # a C library of another name
        ctypes.CDLL(None).srand(int.from_bytes(os.urandom(4), "little"))


def allowed(wanted: int) -> tuple[int, int]:
    """How many clients of those wanted, and how many connections, this process's descriptors allow."""
    free = free_descriptors()
    if free is None or wanted + SPARE_CONNECTIONS + SPARE_DESCRIPTORS <= free:
        return wanted, wanted + SPARE_CONNECTIONS
    connections = max(2, free - SPARE_DESCRIPTORS)
    clients = max(1, min(wanted, connections - min(SPARE_CONNECTIONS, connections // 8)))
    if clients < wanted:
        log.warning(
            "%d clients at most, not %d: this process may have %s file descriptors (ulimit -n)",
            clients, wanted, descriptor_limit(),
        )  # fmt: skip
    return clients, connections
