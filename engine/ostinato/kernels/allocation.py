"""Where a row has each value: a place is used again once no later operation reads what is there.

This is register allocation by liveness, with places of any size for registers. Each value has first a *room* of its
own, one behind the other; rooms that are never in use at the same moment then share places.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.kernels.operations import KINDS, Region
from ostinato.kernels.operations import record as i
from ostinato.lanes import LANES, padded

Ints = npt.NDArray[np.int64]

_KINDS = tuple(KINDS.values())
_ROW_FIELDS = (i.INPUT, i.OUTPUT, i.SECOND)
"""The fields of an operation that are places in a row."""


@dataclass(frozen=True)
class Allocation:
    """``rooms``, one behind the other, and the ``places`` where they begin in a row of ``row_size`` values."""

    rooms: Sequence[Region]
    places: Sequence[int]
    row_size: int

    def operation(self, op: Sequence[int]) -> list[int]:
        """The record of an operation on rooms as one on places."""
        return [self._place(value) if n in _ROW_FIELDS and value >= 0 else value for n, value in enumerate(op)]

    def region(self, region: Region) -> Region:
        """The same for a region."""
        return Region(self._place(region.offset), region.size)

    def _place(self, offset: int) -> int:
        number = room_of(self.rooms, offset)
        return self.places[number] + offset - self.rooms[number].offset


def room_of(rooms: Sequence[Region], offset: int) -> int:
    """The number of the room in which a value lies."""
    return bisect_right(rooms, offset, key=lambda room: room.offset) - 1


def apart(rooms: Sequence[Region]) -> Allocation:
    """Each room is a place of its own: whatever was written is there until the end."""
    return Allocation(rooms, [room.offset for room in rooms], sum(room.size for room in rooms))


def shared(
    operations: Sequence[Sequence[int]],
    times: Sequence[tuple[int, int]],
    rooms: Sequence[Region],
    given: Region,
    outputs: Sequence[Region],
) -> Allocation:
    """Rooms share places. ``operations`` in the order in which they run over each frame, with the ``times`` that
    `schedule.when` gives; what is ``given``, which is in the first room and stays where it is, and the ``outputs``
    have places that are nobody else's, from before the first to behind the last.

    The largest are placed first, each as far to the front as those let it that are in use while it is (greedy by
    size: Pisarchyk and Lee, Efficient Memory Management for Deep Neural Net Inference, 2020).
    """
    first, last, sizes = _uses(operations, _moments(operations, times), rooms, [given, *outputs])
    places, done = np.zeros(len(rooms), np.int64), np.zeros(len(rooms), bool)
    for room in sorted(range(len(rooms)), key=lambda room: (room > 0, last[room] < len(operations), -sizes[room])):
        others = np.flatnonzero(done & (first <= last[room]) & (first[room] <= last))
        others = others[np.argsort(places[others])]
        ends = np.maximum.accumulate(np.concatenate([[0], places[others] + sizes[others]]))
        fits = np.append(places[others] - ends[:-1] >= sizes[room], True)
        places[room], done[room] = ends[fits.argmax()], True
    return Allocation(rooms, places.tolist(), int((places + sizes).max(initial=0)))


def _moments(operations: Sequence[Sequence[int]], times: Sequence[tuple[int, int]]) -> list[int]:
    """When each operation runs, counted from 0: recurrent ones of the same time may take turns, step by step, and so
    run at the same moment (`schedule.together`)."""
    moments = [0][: len(operations)]
    for (one, op), (before, now) in zip(pairwise(operations), pairwise(times), strict=True):
        at_once = before == now and all(_KINDS[each[i.KIND]].cell for each in (one, op))
        moments.append(moments[-1] + (not at_once))
    return moments


def _uses(operations: Sequence[Any], moments: Sequence[int], rooms: Sequence[Region], kept: Sequence[Region]) -> Any:
    """Of each room: the first and the last moment at which an operation touches it, and how many values of it are
    touched, in whole vectors."""
    first, last = np.full(len(rooms), len(operations)), np.full(len(rooms), -1)
    sizes = np.zeros(len(rooms), np.int64)

    def touch(region: Region, start: int, end: int) -> None:
        room = room_of(rooms, region.offset)
        first[room], last[room] = min(first[room], start), max(last[room], end)
        sizes[room] = max(sizes[room], padded(region.offset + region.size - rooms[room].offset))

    for op, moment in zip(operations, moments, strict=True):
        reach = _KINDS[op[i.KIND]].reach(op)
        for region in reach.reads:
            touch(Region(region.offset, padded(region.size)), moment, moment)
        for region in (*reach.loads, *reach.writes):
            touch(region, moment, moment)
    for region in kept:  # which whoever brings and takes it may do by whole vectors, from any value on
        touch(Region(region.offset, region.size + LANES - 1), -1, len(operations))
    return first, last, sizes
