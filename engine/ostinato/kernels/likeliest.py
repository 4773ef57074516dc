"""The likeliest tokens of a row of outputs: the best, the set of the best ``count``, these in their order. Of equals
the lowest comes first; outputs are no NaN."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.np.numpy_support import carray

from ostinato.kernels.compiler import part, routine
from ostinato.kernels.simd import (
    BYTES,
    address,
    bits_of,
    floats_at,
    ints_at,
    largest,
    load,
    splat,
    total,
    where_less,
)
from ostinato.lanes import LANES

FIRST = 64
"""Tokens up to which a heap sorts."""
DIGITS = 512


@part
def likeliest(outputs: Any) -> int:
    """The index of the highest."""
    size = outputs.shape[0]
    blocks = size // LANES
    best, highest = 0, outputs[0]
    if blocks > 0:  # by lane the highest, and the first block that has it
        start = address(outputs)
        top, place = load(start), splat(0.0)
        for block in range(1, blocks):
            values = load(start + block * BYTES)
            place = where_less(top, values, splat(float(block)), place)
            top = where_less(top, values, values, top)
        highest = largest(top)
        last = splat(-float(blocks))
        best = LANES * int(-largest(where_less(top, splat(highest), last, splat(0.0) - place)))
        while outputs[best] != highest:
            best += 1
    for i in range(blocks * LANES, size):
        if outputs[i] > highest:
            best, highest = i, outputs[i]
    return best


@part
def at_least(outputs: Any, threshold: float) -> Any:
    """How many outputs are no less than that."""
    size = outputs.shape[0]
    blocks = size // LANES
    start, limit, one, none = address(outputs), splat(threshold), splat(1.0), splat(0.0)
    even = odd = none
    for block in range(0, blocks - 1, 2):  # two sums, for neither to wait for the other
        even = even + where_less(load(start + block * BYTES), limit, one, none)
        odd = odd + where_less(load(start + block * BYTES + BYTES), limit, one, none)
    if blocks % 2:
        even = even + where_less(load(start + (blocks - 1) * BYTES), limit, one, none)
    count = size - int(total(even + odd))
    for i in range(blocks * LANES, size):
        if outputs[i] < threshold:
            count -= 1
    return count


@part
def _lowest(outputs: Any) -> Any:
    """The lowest that is finite, if one is."""
    size = outputs.shape[0]
    blocks = size // LANES
    start, infinite, lowest = address(outputs), splat(-np.inf), splat(np.inf)
    for block in range(blocks):
        values = load(start + block * BYTES)
        values = where_less(infinite, values, values, lowest)
        lowest = where_less(values, lowest, values, lowest)
    found = -largest(splat(0.0) - lowest)
    for i in range(blocks * LANES, size):
        if -np.inf < outputs[i] < found:
            found = outputs[i]
    return found


@part
def choose(outputs: Any, best: int, count: int, chosen: Any) -> None:
    """``chosen`` begins with the ``count`` likeliest tokens then, in ascending order; ``best`` is the likeliest."""
    _choose(address(outputs), outputs.shape[0], best, count, address(chosen))


@routine("void(int64, int64, int64, int64, int64)")
def _choose(table: int, size: int, best: int, count: int, places: int) -> None:
    """`choose`, by addresses. What the tokens are no less than is searched for by halves: between an output that
    fewer are no less than, and one that at least so many are."""
    outputs, chosen = carray(floats_at(table), (size,)), carray(ints_at(places), (count,))
    if count >= size:
        for i in range(size):
            chosen[i] = i
        return
    high = outputs[best]
    low, above = high, 0  # the tokens that are no less than high are so many
    first = at_least(outputs, high)
    if first < count:
        low, above = _lowest(outputs), first
        there = at_least(outputs, low)
        if there < count:  # some are -inf
            low, high, above = np.float32(-np.inf), low, there
        while True:
            middle = np.float32((np.float64(low) + np.float64(high)) * 0.5)
            if not (low < middle and middle < high):
                break
            there = at_least(outputs, middle)
            if there < count:
                high, above = middle, there
            elif there > count:
                low = middle
            else:
                low = high = middle
                above = count
                break
    found, equal = 0, count - above  # of those that are less than high no other is between it and low
    for i in range(size):
        value = outputs[i]
        if above > 0 and value >= high:
            chosen[found] = i
            found += 1
        elif equal > 0 and value >= low:
            chosen[found] = i
            found += 1
            equal -= 1
        if found == count:
            break


@part
def _behind(outputs: Any, one: int, other: int) -> bool:
    """Whether a token comes behind another: it is less likely, of equals the higher one."""
    behind: bool = outputs[one] < outputs[other] or (outputs[one] == outputs[other] and one > other)
    return behind


@part
def _sink(outputs: Any, order: Any, at: int, count: int) -> None:
    """Restore a heap of tokens, the hindmost first, of which the one at ``at`` may be before its children."""
    token = order[at]
    while 2 * at + 1 < count:
        child = 2 * at + 1
        if child + 1 < count and _behind(outputs, order[child + 1], order[child]):
            child += 1
        if not _behind(outputs, order[child], token):
            break
        order[at] = order[child]
        at = child
    order[at] = token


@part
def _sort_few(outputs: Any, best: int, count: int, order: Any) -> None:
    """`sort_likeliest` by a heap."""
    choose(outputs, best, count, order)
    for i in range(count // 2 - 1, -1, -1):
        _sink(outputs, order, i, count)
    for i in range(count - 1, 0, -1):
        order[0], order[i] = order[i], order[0]
        _sink(outputs, order, 0, i)


@part
def _digit(output: Any, at: int) -> int:
    """Nine bits, from bit ``at`` on, of 36 that are the lower the higher an output is."""
    bits = bits_of(np.float64(output) + 0.0) >> np.int64(29)  # all of a float32 that is no denormal; -0 is 0
    rising = bits ^ np.int64((1 << 34) - 1) if bits < 0 else bits
    digit: int = ((np.int64((1 << 34) - 1) - rising) >> np.int64(at)) & np.int64(DIGITS - 1)
    return digit


@part
def _sort_all(outputs: Any, order: Any, room: Any) -> None:
    """`sort_likeliest` of all tokens, digit by digit; ``room`` [V + DIGITS]."""
    size = outputs.shape[0]
    firsts, source, target = room[size:], room[:size], order
    for i in range(size):
        source[i] = i
    for at in range(0, 36, 9):
        firsts[:] = 0
        for i in range(size):
            firsts[_digit(outputs[i], at)] += 1
        first = 0
        for digit in range(DIGITS):
            count = firsts[digit]
            firsts[digit] = first
            first += count
        for i in range(size):
            token = source[i]
            digit = _digit(outputs[token], at)
            target[firsts[digit]] = token
            firsts[digit] += 1
        source, target = target, source
    for i in range(size):  # four times there and back
        order[i] = source[i]


@part
def sort_likeliest(outputs: Any, best: int, count: int, order: Any) -> None:
    """``order`` [2 V + DIGITS] begins with the ``count`` likeliest tokens then, the likeliest first, which is
    ``best``; the rest is room."""
    size = outputs.shape[0]
    if count <= FIRST:
        _sort_few(outputs, best, count, order)
    else:
        _sort_all(outputs, order[:size], order[size:])
