"""Which row a stream has: a hash table of who owns it and its id, 16 bytes, that compiled code looks up.

Rows that fall into one bucket are a chain: the bucket has the first, and each row has the one that follows, -1 ends
it. Which bucket that is depends on random ``factors`` (vector multiply-shift: Dietzfelbinger 1996), so nobody can
choose ids that fall into one."""

from __future__ import annotations

from typing import Any

import numpy as np

from ostinato.kernels.compiler import kernel, part

FACTORS = 5
"""Random int64 that choose buckets."""
NOBODY = -1
"""The owner of a row that is free; owners are numbers from 0 up."""


@part
def _bucket(owner: Any, ids: Any, at: int, factors: Any, buckets: Any) -> Any:
    """That of the id that begins at ids[at]."""
    mixed = (owner & 0xFFFFFFFF) * factors[4]
    for k in range(4):
        piece = np.int64(0)
        for b in range(4):
            piece = piece << 8 | np.int64(ids[at + 4 * k + b])
        mixed += piece * factors[k]
    return (mixed >> 32) & (buckets.shape[0] - 1)


@part
def find(owner: Any, given: Any, at: int, owners: Any, ids: Any, following: Any, buckets: Any, factors: Any) -> Any:
    """The row of the stream whose id begins at given[at]; -1 if that owner has none of that id."""
    row = buckets[_bucket(owner, given, at, factors, buckets)]
    while row >= 0:
        if owners[row] == owner:
            k = 0
            while k < 16 and ids[16 * row + k] == given[at + k]:
                k += 1
            if k == 16:
                return row
        row = following[row]
    return -1


@kernel("void(int64, int64, int64[::1], uint8[::1], int64[::1], int64[::1], int64[::1])")
def enter(row: Any, owner: Any, owners: Any, ids: Any, following: Any, buckets: Any, factors: Any) -> None:
    """Let a row, which is free and whose id is in ``ids``, be found as that owner's."""
    bucket = _bucket(owner, ids, 16 * row, factors, buckets)
    owners[row] = owner
    following[row] = buckets[bucket]
    buckets[bucket] = row


@kernel("void(int64, int64[::1], uint8[::1], int64[::1], int64[::1], int64[::1])")
def leave(row: Any, owners: Any, ids: Any, following: Any, buckets: Any, factors: Any) -> None:
    """Let a row that was entered be free."""
    bucket = _bucket(owners[row], ids, 16 * row, factors, buckets)
    if buckets[bucket] == row:
        buckets[bucket] = following[row]
    else:
        before = buckets[bucket]
        while following[before] != row:
            before = following[before]
        following[before] = following[row]
    owners[row] = NOBODY
