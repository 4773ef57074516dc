"""What runs short: memory and descriptors. Who takes what is not granted is cut before others are hurt."""

from __future__ import annotations

import logging
import os

from ostinato.errors import CapacityError
from ostinato.server.clients import Clients
from ostinato.server.connections import Connections
from ostinato.server.dialogue import Dialogue
from ostinato.server.memory import give_back, resident_bytes
from ostinato.server.rarely import Rarely
from ostinato.server.router import SPARE_DESCRIPTORS
from ostinato.zeromq import descriptor_limit

log = logging.getLogger(__name__)
rarely = Rarely(log)
LOOK_S, HASTE_S = 0.05, 0.005
"""How often memory is looked at while there are connections; and while one of them is suspicious."""
GROWTH_BYTES = 4 << 20
"""Growth of the process after which the connections are looked at."""


class Shortage:
    """Watches a server's process. ``limit_mb``: `Settings.max_memory_mb`; raises CapacityError if the process has as
    much already, or the system does not say how much it has."""

    def __init__(self, clients: Clients, connections: Connections, dialogue: Dialogue, limit_mb: int | None) -> None:
        if limit_mb is not None:
            resident = resident_bytes()
            if resident is None:
                raise CapacityError("this system does not say how much memory a process has: set no limit")
            if resident >> 20 >= limit_mb:
                raise CapacityError(
                    f"a server with these models has {resident >> 20} MiB of memory before its first stream, the "
                    f"limit is {limit_mb}: set a higher one"
                )
        self._clients = clients
        self._connections = connections
        self._dialogue = dialogue
        self._limit_mb = limit_mb
        self._calm_bytes = 0
        self._drained = True

    def drained(self) -> None:
        """All complete messages have been taken."""
        self._drained = True

    @property
    def wait_s(self) -> float:
        """When to look again."""
        return HASTE_S if self._connections.suspicious else LOOK_S

    def look(self) -> None:
        """Cut who makes the process grow by what is no message."""
        resident = resident_bytes()
        if resident is not None and not self._connections.suspicious:
            self._calm_bytes = min(self._calm_bytes, resident)
            if resident - self._calm_bytes < GROWTH_BYTES:
                return
        self._cut_hoarders(resident or 0)

    def care(self) -> None:
        """The same although the process has not grown; and heed the limits."""
        resident = resident_bytes()
        self._cut_hoarders(resident or 0)
        if resident is not None and self._limit_mb is not None:
            self._heed(resident >> 20, self._limit_mb)
        self._mind_descriptors()

    def _cut_hoarders(self, resident: int) -> None:
        self._calm_bytes = resident
        for connection in list(self._connections.hoarders(self._drained)):
            rarely(logging.WARNING, "a client is cut: it sends what is no message, or more than its credit")
            if connection.peer is not None:
                self._clients.forget(connection.peer)
            self._connections.cut(connection)
        self._drained = False

    def _heed(self, used: int, limit: int) -> None:
        if used < limit:
            if self._dialogue.full and used < 0.95 * limit:
                log.info("memory: %d MiB in use: streams are opened again", used)
                self._dialogue.full = ""
            return
        if not self._dialogue.full:
            log.error("memory: %d MiB in use, the limit is %d: no stream is opened until it is less", used, limit)
            self._dialogue.full = "the server's memory is short: try again later"
        hoarder = max(self._clients.late, key=lambda peer: peer.outgoing_bytes, default=None)
        if hoarder is not None:
            self._clients.cut(hoarder, "memory is short, and it has the most unread results")
        give_back()

    def _mind_descriptors(self) -> None:
        """Where all are used up, ZeroMQ accepts nobody and tries without end: make room by who has said nothing."""
        try:
            os.close(os.open(os.devnull, os.O_RDONLY))
        except OSError:
            rarely(logging.ERROR, "no file descriptor is left of %s: new clients cannot connect", descriptor_limit())
            for connection in self._connections.silent(SPARE_DESCRIPTORS):
                self._connections.cut(connection)
