"""Pushes that came each in a message of its own, gathered so that they stand in line as those of a PUSHES do."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ostinato import protocol as wire
from ostinato.server.peer import Peer


class Gathered(NamedTuple):
    """Pushes of different streams whose data are of one dtype and frame size; the first arrived at ``arrived_ns``."""

    peers: list[Peer]
    pushes: list[wire.Push]
    rows: list[int]
    arrived_ns: int

    @property
    def data(self) -> Any:
        """That of all, one after the other."""
        return np.concatenate([push.data for push in self.pushes])


class Gathering:
    """Takes in pushes as they come."""

    def __init__(self) -> None:
        self._held = Gathered([], [], [], 0)
        self._rows: set[int] = set()
        self._kind: tuple[Any, ...] = ()

    def add(self, peer: Peer, push: wire.Push, arrived_ns: int) -> bool:
        """Take a push in; False if it cannot be with those that are there, or is not of an open stream."""
        row, data = peer.streams.get(push.stream), push.data
        if row is None or isinstance(data, str) or not data.ndim:
            return False
        kind = data.dtype, data.shape[1:]
        if not self._rows:
            self._kind, self._held = kind, Gathered([], [], [], arrived_ns)
        elif row in self._rows or kind != self._kind:
            return False
        self._rows.add(row)
        held = self._held
        held.peers.append(peer)
        held.pushes.append(push)
        held.rows.append(row)
        return True

    def take(self) -> Gathered:
        """All that were taken in; there are none then."""
        held, self._held = self._held, Gathered([], [], [], 0)
        self._rows.clear()
        return held
