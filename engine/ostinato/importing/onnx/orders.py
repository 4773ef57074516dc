"""Orders in which values of a frame are read: runs that follow each other, matrices that are turned, some channels of
each position, and windows over positions."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ostinato.importing.onnx.elements import ZERO, Ids, index_of, term_of
from ostinato.model.framing import Framing

_MOST_PIECES = 4


def runs(ids: Ids) -> list[tuple[int, int]]:
    """From where to where elements follow each other, one value after another."""
    starts = np.flatnonzero(np.append(True, np.diff(ids) != 1)).tolist()
    return list(zip(starts, [*starts[1:], len(ids)], strict=True))


def turned(ids: Ids) -> tuple[int, Ids] | None:
    """Rows, and elements [rows, columns] that are ``ids`` [columns, rows] turned, in which values follow each
    other; None if the second value follows the first nowhere, or not so."""
    (at,) = np.nonzero(ids == ids[0] + 1)
    if not len(at) or len(ids) % (rows := int(at[0])) or rows < 2:
        return None
    return rows, ids.reshape(-1, rows).T.reshape(-1)


class Channels(NamedTuple):
    """Of each position of a term's frame, which has ``channels``: the ``size`` from number ``first`` on."""

    term: int
    channels: int
    first: int
    size: int


def at_positions(ids: Ids) -> tuple[int, list[Channels]] | None:
    """How many positions, and some channels of each, side by side; None if these elements are not so."""
    for size in (each for each in range(1, len(ids) // 2 + 1) if len(ids) % each == 0):
        rows = ids.reshape(-1, size)
        steps = np.diff(rows, axis=0)
        if (steps != steps[0]).any() or (steps[0] < 1).any():
            continue
        first, step = rows[0], steps[0]
        starts = np.flatnonzero(np.append(True, (np.diff(first) != 1) | (np.diff(step) != 0)))
        if len(starts) > _MOST_PIECES:
            return None
        pieces = []
        for start, end in zip(starts.tolist(), [*starts[1:].tolist(), size], strict=True):
            at = int(index_of(first[start : start + 1])[0])
            if at + end - start > step[start]:
                return None
            pieces.append(Channels(int(term_of(first[start : start + 1])[0]), int(step[start]), at, end - start))
        return len(rows), pieces
    return None


class Unfolded(NamedTuple):
    """Windows over ``positions`` [positions, channels]; ``columns`` [taps, channels]: where each value of a window
    stood."""

    positions: Ids
    columns: Ids
    framing: Framing


def unfolded(windows: Ids) -> Unfolded | None:
    """Of the vectors [count, values] at neighbouring positions, what they are windows of; None if of nothing."""
    count, size = windows.shape
    if count < 3:
        return None
    here = {windows[:-1, k].tobytes(): k for k in range(size)}
    following = {k: here[key] for k in range(size) if (key := windows[1:, k].tobytes()) in here}
    heads = sorted(set(range(size)) - set(following.values()))
    chains = []
    for k in heads:
        chain = [k]
        while chain[-1] in following and len(chain) <= size:
            chain.append(following[chain[-1]])
        chains.append(chain)
    taps = len(chains[0]) if chains else 0
    if taps < 2 or any(len(chain) != taps for chain in chains) or taps * len(chains) != size:
        return None
    columns = np.array(chains).T
    parts = windows[:, columns]  # [count, taps, channels]
    left = int((parts[:, 0] != ZERO).any(axis=1).argmax())
    right = int((parts[::-1, -1] != ZERO).any(axis=1).argmax())
    at = np.arange(count)[:, None] + np.arange(taps)
    whole = np.full((count + taps - 1, len(chains)), ZERO)
    whole[at] = parts
    if (whole[at] != parts).any() or (whole[:left] != ZERO).any() or (whole[len(whole) - right :] != ZERO).any():
        return None
    return Unfolded(whole[left : len(whole) - right], columns, Framing(taps, 1, 1, left, right))
