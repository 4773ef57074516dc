"""Snapshots that clients are sending in parts: one of each client, so many bytes of all, each within its time."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from ostinato import protocol as wire
from ostinato.errors import CapacityError, OstinatoError
from ostinato.server.peer import Peer
from ostinato.server.settings import Settings


@dataclass(slots=True)
class Resumption:
    """What has come of one snapshot, which is of ``stream`` and must be whole by ``deadline`` (`time.monotonic`)."""

    stream: bytes
    deadline: float
    parts: wire.Assembler = field(default_factory=wire.Assembler)


class Resuming:
    """The snapshots that are not whole yet, by the peer that sends them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._begun: dict[Peer, Resumption] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._begun)

    @property
    def size(self) -> int:
        """Bytes of all of them."""
        return self._bytes

    def add(self, peer: Peer, request: wire.Open) -> bytes | None:
        """The snapshot of an OPEN, once its last part is here; None before.

        Raises BadMessageError, TooLargeError, and CapacityError if too many others are on their way; what came before
        is forgotten then, as it is when the peer begins another."""
        if request.snapshot is None or request.parts == 1:
            return request.snapshot
        begun = self._begun.get(peer)
        if begun is None or begun.stream != request.stream:
            self.forget(peer)
            begun = Resumption(request.stream, time.monotonic() + self._settings.resume_s)
            self._begun[peer] = begun
        if self._bytes + len(request.snapshot) > self._settings.max_resuming_bytes:
            self.forget(peer)
            raise CapacityError("too many clients are sending snapshots just now: try again later")
        before = begun.parts.size
        try:
            snapshot = begun.parts.add(request.snapshot, request.part, request.parts)
        except OstinatoError:
            self._bytes -= before
            del self._begun[peer]
            raise
        self._bytes += begun.parts.size - before
        if snapshot is not None:
            del self._begun[peer]
        return snapshot

    def forget(self, peer: Peer) -> None:
        """What has come of a peer's snapshot is of no more use."""
        if begun := self._begun.pop(peer, None):
            self._bytes -= begun.parts.size

    def late(self, now: float) -> list[tuple[Peer, bytes]]:
        """Those whose time is over, which are forgotten: the peer and its stream."""
        late = [(peer, begun.stream) for peer, begun in self._begun.items() if now >= begun.deadline]
        for peer, _ in late:
            self.forget(peer)
        return late
