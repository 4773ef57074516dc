"""Many streams' pushes out of the bytes of one message (docs/protocol.md, PUSHES)."""

from __future__ import annotations

from typing import Any

import numpy as np

from ostinato.kernels.compiler import kernel, part
from ostinato.kernels.directory import find

ROWS, SEQUENCES, UNITS = range(3)
READ = 3
"""What is read of each push."""
IDS_AT, DATA_AT, DATA_END, TOTAL = range(4)
FOUND = 4
"""And of all: where their ids begin, where their data begin and end, and how many units these are."""


@part
def _short(frame: Any, at: Any) -> Any:
    """The two bytes there, the higher first."""
    return np.int64(frame[at]) << 8 | np.int64(frame[at + 1])


@part
def _same(frame: Any, at: Any, pieces: Any, first: Any, last: Any) -> Any:
    """Where the bytes pieces[first:last] end in the frame, if they stand there; else -1."""
    if at < 0 or at + (last - first) > frame.shape[0]:
        return -1
    for k in range(last - first):
        if frame[at + k] != pieces[first + k]:
            return -1
    return at + (last - first)


@part
def _binary(frame: Any, at: Any) -> Any:
    """Where a binary of less than 64 KiB begins and ends; -1, -1 if there is none."""
    if at >= 0 and at + 2 <= frame.shape[0] and frame[at] == 0xC4:
        start, size = at + 2, np.int64(frame[at + 1])
    elif at >= 0 and at + 3 <= frame.shape[0] and frame[at] == 0xC5:
        start, size = at + 3, _short(frame, at + 1)
    else:
        return -1, -1
    return (start, start + size) if start + size <= frame.shape[0] else (-1, -1)


@part
def _integers(frame: Any, at: Any, count: Any, least: Any, most: Any, out: Any) -> Any:
    """Where an array of so many integers from ``least`` to ``most`` ends, which fill ``out``; else -1."""
    if at < 0 or at + 3 > frame.shape[0]:
        return -1
    if frame[at] == 0x90 + count and count < 16:
        at += 1
    elif frame[at] == 0xDC and _short(frame, at + 1) == count:
        at += 3
    else:
        return -1
    for i in range(count):
        if at >= frame.shape[0]:
            return -1
        value: Any = np.int64(frame[at])
        at += 1
        if value >= 0x80:
            if not 0xCC <= value <= 0xCF:
                return -1
            width = 1 << (value - 0xCC)
            if at + width > frame.shape[0]:
                return -1
            value = 0
            for k in range(width):
                value = value << 8 | np.int64(frame[at + k])
            at += width
        if not least <= value <= most:  # beyond int64 it is negative
            return -1
        out[i] = value
    return at


@kernel(
    "int64(Array(uint8, 1, 'C', True), uint8[::1], int64[::1], int64, int64, int64, "
    "int64[::1], uint8[::1], int64[::1], int64[::1], int64[::1], int64[:, ::1], int64[::1])"
)
def read_pushes(
    frame: Any, pieces: Any, starts: Any, most: Any, longest: Any, owner: Any,
    owners: Any, ids: Any, following: Any, buckets: Any, factors: Any, read: Any, found: Any,
) -> Any:  # fmt: skip
    """How many pushes a PUSHES of ``owner`` has, 1 to ``most``; 0 if anything about it is unusual.

    Its parts are in the usual order: the bytes of piece n, pieces[starts[n] : starts[n + 1]], stand before a map's
    head (n = 0), the ids (1), the numbers (2), the units (3), each at most ``longest``, and the data (4). What comes
    behind the data is not looked at, nor is how long these are. Fills in ``read`` [READ, most], the rows as
    `directory.find` has them, and ``found`` [FOUND]."""
    at = _same(frame, 0, pieces, starts[0], starts[1])
    start, end = _binary(frame, _same(frame, at + 1 if at >= 0 else -1, pieces, starts[1], starts[2]))
    count = (end - start) // 16
    if start < 0 or not 1 <= count <= most or 16 * count != end - start:
        return 0
    at = _same(frame, end, pieces, starts[2], starts[3])
    at = _integers(frame, at, count, 1, 0x7FFFFFFFFFFFFFFF, read[SEQUENCES])
    at = _same(frame, at, pieces, starts[3], starts[4])
    at = _integers(frame, at, count, 0, longest, read[UNITS])
    at, end = _binary(frame, _same(frame, at, pieces, starts[4], starts[5]))
    if at < 0:
        return 0
    found[IDS_AT], found[DATA_AT], found[DATA_END], found[TOTAL] = start, at, end, 0
    for i in range(count):
        found[TOTAL] += read[UNITS, i]
        read[ROWS, i] = find(owner, frame, start + 16 * i, owners, ids, following, buckets, factors)
    return count
