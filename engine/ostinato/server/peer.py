"""A client as the server sees it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from itertools import count

_NUMBERS = count()


@dataclass(slots=True, eq=False)
class Peer:
    """A connection: its streams and their rows in the engine (`Directory` keeps them), and what it has yet to be
    sent. ``fd`` is the descriptor of its transport, ``taken`` how many bytes of it were read as messages, with what
    ZMTP adds."""

    identity: bytes
    fd: int
    heard: float
    taken: int = 0
    streams: dict[bytes, int] = field(default_factory=dict)
    number: int = field(default_factory=_NUMBERS.__next__)
    """No other peer of the process has it."""
    outgoing: deque[bytes] = field(default_factory=deque)
    outgoing_bytes: int = 0

    def send(self, frame: bytes) -> None:
        """Queue a message for it."""
        self.outgoing.append(frame)
        self.outgoing_bytes += len(frame)

    def sent(self) -> None:
        """The first message has been handed to the transport."""
        self.outgoing_bytes -= len(self.outgoing.popleft())
