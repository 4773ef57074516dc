"""In which order a program's operations run, and which of them together."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ostinato.kernels.operations import KINDS
from ostinato.kernels.operations import record as i
from ostinato.kernels.operations.kind import Reach
from ostinato.kernels.regions import overlap
from ostinato.lanes import LANES

Ints = npt.NDArray[np.int64]
Operations = Ints | Sequence[Sequence[int]]

NEAR = 1 << 13
"""Values of matrices R, 32 KB, that stay in the first-level cache while their operations take turns."""
_KINDS = tuple(KINDS.values())


class Pass(NamedTuple):
    """Operations ``first`` … ``last`` - 1, which run together: ``backward`` from the last frame to the first, or
    forward. ``context``: whether frames that are only looked ahead at need them too, because a backward operation
    reads what they give."""

    first: int
    last: int
    backward: bool
    context: bool


def when(operations: Operations, row_size: int) -> list[tuple[int, int]]:
    """When each operation can run: its rank and its phase, in whose order it best does.

    The rank is how often the direction of time has changed: 0 for early operations, which run forward and need no
    later frame; even for those that run forward, odd for those that run backward. So there are as few passes as can
    be. Within a rank phases alternate, odd ones being those of recurrent operations, which so come side by side where
    none needs another's outputs.
    """
    later = 2 * len(operations) + 2  # more than there are phases
    written, touched = np.zeros(row_size, np.int64), np.zeros(row_size, np.int64)
    found = []
    for op in operations:
        kind = _KINDS[op[i.KIND]]
        reach, recurrent = kind.reach(op), kind.cell is not None
        before = [written[region.slice] for region in reach.reads] + [
            touched[region.slice] for region in reach.writes
        ]
        rank, phase = divmod(max((int(keys.max(initial=0)) for keys in before), default=0), later)
        if rank % 2 != op[i.BACKWARD]:
            rank, phase = rank + 1, 0
        found.append((rank, phase + recurrent))
        key = rank * later + phase + 2 * recurrent
        for regions, keys in ((reach.writes, written), (reach.reads + reach.writes, touched)):
            for region in regions:
                keys[region.slice] = np.maximum(keys[region.slice], key)
    return found


def passes(operations: Ints, early: int, row_size: int) -> tuple[Pass, ...]:
    """All operations, in order, in as few passes as can be; the first ``early`` are by themselves."""
    read = np.zeros(row_size, bool)  # values that backward operations further on read, at however many removes
    context = []
    for op in operations[::-1]:
        target = slice(op[i.OUTPUT], op[i.OUTPUT] + op[i.OUTPUT_SIZE])
        flag = bool(op[i.BACKWARD] or read[target].any())
        read[target] = False
        for region in _reach(op).reads if flag else ():
            read[region.slice] = True
        context.append(flag)
    kinds = zip(
        (n < early for n in range(len(operations))), map(bool, operations[:, i.BACKWARD]), context[::-1], strict=True
    )
    found, first = [], 0
    for (_, backward, needed), group in groupby(kinds):
        last = first + len(list(group))
        found.append(Pass(first, last, backward, needed))
        first = last
    return tuple(found)


def together(operations: Ints, passes: Sequence[Pass]) -> list[int]:
    """How many operations, from each on, recur together: those of a pass and a kind with as many gate sums, of which
    none touches what another writes, as long as their matrices R stay near."""
    counts = [1] * len(operations)
    for each in passes:
        for first in range(each.first, each.last):
            op, members = operations[first], list[Reach]()
            for other in operations[first : each.last] if _KINDS[op[i.KIND]].cell else ():
                values = (len(members) + 1) * int(op[i.OUTPUT_SIZE] * op[i.VECTORS]) * LANES
                alike = all(op[place] == other[place] for place in (i.KIND, i.VECTORS, i.OUTPUT_SIZE))
                reach = _reach(other)
                if not alike or values > NEAR or any(_collide(reach, member) for member in members):
                    break
                members.append(reach)
            counts[first] = max(1, len(members))
    return counts


def _collide(one: Reach, other: Reach) -> bool:
    """Whether one writes where the other reads or writes."""
    pairs = [(a, b) for a in one.writes for b in other.reads + other.writes]
    pairs += [(a, b) for a in other.writes for b in one.reads]
    return any(overlap(a, b) for a, b in pairs)


def _reach(op: Any) -> Reach:
    reach: Reach = _KINDS[op[i.KIND]].reach(op)
    return reach
