"""Whose streams are which rows of the engine: each peer's, by their ids."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato import protocol as wire
from ostinato.kernels import directory as kernels
from ostinato.kernels import prepare
from ostinato.server.peer import Peer

Bytes = npt.NDArray[np.uint8]
Int64 = npt.NDArray[np.int64]


class Directory:
    """The peers that have open streams, and these: as `Peer.streams` has them, and in arrays for compiled code.

    ``owners`` [rows] are numbers of peers (`Peer.number`) or `kernels.directory.NOBODY`, ``ids`` [rows, 16] the ids.
    ``arrays`` are what `kernels.directory.find` takes.
    """

    def __init__(self, rows: int) -> None:
        """Of an engine with so many rows; 0: there will be no streams, so no kernels are needed."""
        self.rows = rows
        if rows:
            prepare(kernels.enter)
        self.owners: Int64 = np.full(rows, kernels.NOBODY, np.int64)
        self.ids: Bytes = np.zeros((rows, wire.STREAM_ID_BYTES), np.uint8)
        self._peers: dict[int, Peer] = {}
        buckets = np.full(1 << max(1, 2 * rows).bit_length(), -1, np.int64)
        factors = np.frombuffer(bytearray(os.urandom(8 * kernels.FACTORS)), np.int64) | 1
        self.arrays: tuple[Any, ...] = (
            self.owners, self.ids.reshape(-1), np.full(rows, -1, np.int64), buckets, factors,
        )  # fmt: skip

    def add(self, peer: Peer, stream: bytes, row: int) -> None:
        """A peer has opened a stream, which the engine knows by a row."""
        self.ids[row] = np.frombuffer(stream, np.uint8)
        kernels.enter(row, peer.number, *self.arrays)
        self._peers[peer.number] = peer
        peer.streams[stream] = row

    def remove(self, key: tuple[Peer, bytes]) -> None:
        """A stream is closed; nothing if the peer has none of that id. It is an engine's ``closed``: so no fault in
        between leaves a peer with a row that is another's."""
        peer, stream = key
        if (row := peer.streams.pop(stream, None)) is None:
            return
        kernels.leave(row, *self.arrays)
        if not peer.streams:
            del self._peers[peer.number]

    def peer(self, number: int) -> Peer:
        """Who has that number, and open streams."""
        return self._peers[number]
