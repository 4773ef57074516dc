"""Pushes of many streams as columns: of a PUSHES, or gathered where each came in a message of its own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ostinato import protocol as wire
from ostinato.kernels import pushes as kernels
from ostinato.kernels.compiler import entry, prepare
from ostinato.server.directory import Directory
from ostinato.server.peer import Peer

Int64 = npt.NDArray[np.int64]
LITTLE = sys.byteorder == "little"
"""Whether arrays are here what they are on the wire."""


@dataclass(frozen=True, slots=True)
class Usual:
    """A right PUSHES of a peer. ``columns`` [3, n] are the rows of its streams, -1 where there is none, the messages'
    numbers and their units of ``data``; its ids begin at frame[ids_at]."""

    frame: bytes
    ids_at: int
    columns: Int64
    data: Any

    def __iter__(self) -> Iterator[wire.Push]:
        at, end, width = self.ids_at, 0, wire.STREAM_ID_BYTES
        for _, seq, units in self.columns.T.tolist():
            yield wire.Push(self.frame[at : at + width], seq, self.data[end : end + units])
            at, end = at + width, end + units


class Reader:
    """Reads PUSHES as nearly all come, by one compiled call and without copying their data."""

    def __init__(self, directory: Directory) -> None:
        self._arrays = directory.arrays
        pieces = wire.PUSHES_PIECES
        self._pieces = np.frombuffer(bytearray().join(pieces), np.uint8)
        self._starts = np.cumsum([0, *map(len, pieces)])
        self._read = np.empty((kernels.READ, wire.MAX_PUSHES), np.int64)
        self._found = np.empty(kernels.FOUND, np.int64)
        self._call: Callable[..., int] | None = None
        if directory.rows:
            prepare(kernels.read_pushes)
            self._call = entry(kernels.read_pushes)

    def read(self, peer: Peer, frame: bytes) -> Usual | None:
        """What `wire.decode_request` makes of a PUSHES whose fields are in the order in which our own encoder has
        them; None of all others, for the strict way to look at."""
        if len(frame) > wire.MAX_MESSAGE_BYTES or not LITTLE or self._call is None:
            return None
        count = self._call(
            np.frombuffer(frame, np.uint8), self._pieces, self._starts, wire.MAX_PUSHES, wire.MAX_MESSAGE_BYTES,
            peer.number, *self._arrays, self._read, self._found,
        )  # fmt: skip
        if not count:
            return None
        ids_at, at, end, total = self._found.tolist()
        if len(frame) - end >= wire.FIELDS_BYTES:
            return None
        array = wire.array_of_pushes(frame[2:3] + frame[end:])
        if array is None or total * (array[1] or 1) * array[0].itemsize != end - at:
            return None
        dtype, size = array
        data = np.frombuffer(frame, dtype, (end - at) // dtype.itemsize, at)
        return Usual(frame, ids_at, self._read[:, :count].copy(), data if size is None else data.reshape(-1, size))


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

    def __bool__(self) -> bool:
        return bool(self._rows)

    def take(self) -> Gathered:
        """All that were taken in; there are none then."""
        held, self._held = self._held, Gathered([], [], [], 0)
        self._rows.clear()
        return held
