"""The data of many streams, one stream after the other: how it is joined and taken apart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]
D = TypeVar("D", bound=Any)


def joined(frames: Sequence[F32], size: int) -> F32:
    """The frames of all streams, float32 [n, size] each, as one array; of a single stream without a copy."""
    if len(frames) == 1:
        return frames[0]
    return np.concatenate(frames) if frames else np.empty((0, size), np.float32)


def split(rows: F32, counts: Iterable[int]) -> list[F32]:
    """The first so many of ``rows`` [n, any], the next so many, …: views."""
    parts, end = [], 0
    for count in counts:
        start, end = end, end + count
        parts.append(rows[start:end])
    return parts


def each_part(data: Sequence[D], lengths: Sequence[int] | None) -> Sequence[D]:
    """The data of each stream: arrays or texts, views where they are arrays.

    ``data`` has one piece per stream (so it must without ``lengths``), or longer ones of several streams: stream i
    has the next lengths[i] units, all of the same piece.
    """
    if lengths is None or len(lengths) == len(data):
        return data
    parts: list[D] = []
    pieces = iter(data)
    piece, at = next(pieces), 0
    for length in lengths:
        while at + length > len(piece):
            piece, at = next(pieces), 0
        parts.append(piece[at : at + length])
        at += length
    return parts
