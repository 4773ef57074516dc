"""Snapshots longer than one message: cut into parts, and put together again within a bound."""

from __future__ import annotations

import dataclasses

from ostinato.errors import BadMessageError, TooLargeError
from ostinato.protocol import messages as m
from ostinato.protocol.codec import encode

PART_BYTES = m.MAX_MESSAGE_BYTES - 1024
"""Bytes of a snapshot in one message: the rest is for the other fields."""


def encode_snapshot(stream: bytes, seq: int, data: bytes) -> list[bytes]:
    """The SNAPSHOT messages of a snapshot. Raises TooLargeError over MAX_SNAPSHOT_BYTES."""
    pieces = _pieces(data)
    return [encode(m.Snapshot(stream, seq, piece, i, len(pieces))) for i, piece in enumerate(pieces)]


def encode_open(request: m.Open) -> list[bytes]:
    """The OPEN messages of an `Open` whose snapshot is whole. Raises TooLargeError over MAX_SNAPSHOT_BYTES."""
    if request.snapshot is None:
        return [encode(request)]
    pieces = _pieces(request.snapshot)
    return [
        encode(dataclasses.replace(request, snapshot=piece, part=i, parts=len(pieces)))
        for i, piece in enumerate(pieces)
    ]


def _pieces(data: bytes) -> list[bytes]:
    if len(data) > m.MAX_SNAPSHOT_BYTES:
        raise TooLargeError(
            f"a snapshot of {len(data)} bytes is over the limit of {m.MAX_SNAPSHOT_BYTES}: take it between utterances"
        )
    return [data[i : i + PART_BYTES] for i in range(0, len(data), PART_BYTES)] or [b""]


class Assembler:
    """Puts the parts of one snapshot together; holds at most MAX_SNAPSHOT_BYTES."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget what came."""
        self._pieces: list[bytes] = []
        self.size = 0
        """Bytes held."""
        self._parts = 0

    def add(self, data: bytes, part: int, parts: int) -> bytes | None:
        """The whole, when this was the last part.

        Raises BadMessageError for a part out of turn and TooLargeError over the bound; what came before is dropped.
        """
        if part != len(self._pieces) or (part and parts != self._parts):
            self.clear()
            raise BadMessageError("a part of a snapshot is out of turn: send all parts from 0, in order")
        self._parts = parts
        self._pieces.append(data)
        self.size += len(data)
        if self.size > m.MAX_SNAPSHOT_BYTES:
            self.clear()
            raise TooLargeError(f"a snapshot is over the limit of {m.MAX_SNAPSHOT_BYTES} bytes")
        if part < parts - 1:
            return None
        whole = b"".join(self._pieces)
        self.clear()
        return whole
