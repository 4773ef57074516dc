"""The bounds of the server beside those of its engine (`ostinato.engine.Limits`)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """What a server grants its clients.

    Memory for messages on their way out is at most ``max_outgoing_bytes`` and what one turn of the loop adds.
    """

    max_clients: int = 1024
    """Connections with something to say; fewer where the process may not open so many descriptors."""
    max_client_bytes: int = 16 << 20
    """Messages that one client has not read yet; above it, it is dropped with its streams."""
    max_outgoing_bytes: int = 256 << 20
    """Messages that all clients together have not read yet; above it, the one with the most is dropped."""
    max_resuming_bytes: int = 128 << 20
    """Snapshots that have not come whole yet; a client sends one at a time."""
    resume_s: float = 10.0
    """In how long a snapshot must come, from its first part to its last."""
    max_memory_mb: int | None = None
    """Resident memory of the process (MiB) above which no stream is opened, and who holds much unread is dropped; of
    each worker by itself. None: no limit. Linux only."""
    idle_s: float = 3600.0
    """A client from which nothing comes for so long is forgotten with its streams."""
    drain_s: float = 5.0
    """How long open streams go on after the first signal to end."""
