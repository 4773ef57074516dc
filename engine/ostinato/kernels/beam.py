"""Beam search: the best tokens to go on with, of what a language model gives for the hypotheses of beams. As
`sampling` is, of what IEEE 754 defines to the bit alone, in a fixed order."""

from __future__ import annotations

from typing import Any

import numpy as np

from ostinato.kernels.compiler import kernel, part
from ostinato.kernels.copying import copy
from ostinato.kernels.likeliest import at_least, likeliest
from ostinato.kernels.sampling import ABREAST, exp, log, sums_abreast, weigh_all
from ostinato.kernels.simd import address
from ostinato.lanes import LANES

RUN = 128
"""Tokens that are passed over at once, where none of them can make a better hypothesis."""


@kernel("float64(float64, float64)")
def length_weight(penalty: float, length: float) -> float:
    """1 / lp(length): a hypothesis of so many tokens has this much of its logarithmic probability as its score. lp(n)
    = ((5 + n) / 6) ^ penalty (Wu et al. 2016, "Google's neural machine translation system", equation 14)."""
    weight: float = exp(-penalty * log((5.0 + length) / 6.0))
    return weight


@part
def _weigh(outputs: Any, probabilities: bool, weights: Any, totals: Any) -> None:
    """The weights of at most ABREAST rows of outputs, and in ``totals`` their sums, then which output is the best."""
    rows = outputs.shape[0]
    for r in range(rows):
        best = likeliest(outputs[r])
        weigh_all(outputs[r], best, probabilities, 1.0, weights[r])
        totals[ABREAST + r] = best
    sums_abreast(weights, rows, totals)


@part
def _less(least: float, score: float, below: float, highest: float) -> float:
    """What no logit is less than that might make a hypothesis better. ``least`` would make it equal but for rounding:
    of the sums, in float64, and of this, in float32."""
    rounding = 1e-12 * (abs(least) + abs(score) + abs(below) + abs(highest))
    return least - rounding - 1e-6 * abs(least) - 1e-30


@part
def _extend(
    outputs: Any, probabilities: bool, lasts: Any, widths: Any, end: int, scores: Any, weights: Any, totals: Any,
    parents: Any, tokens: Any, sums: Any, chances: Any, counts: Any, ended: Any, end_sums: Any, end_chances: Any,
) -> None:  # fmt: skip
    """`extend`."""
    size, first = outputs.shape[1], 0
    for b in range(lasts.shape[0]):
        width, found = widths[b], 0
        ended[b] = -1
        for r in range(first, lasts[b]):
            place, row = (r - first) % ABREAST, outputs[r]
            if place == 0:
                _weigh(outputs[r : min(r + ABREAST, lasts[b])], probabilities, weights, totals)
            total, highest = totals[place], np.float64(row[int(totals[ABREAST + place])])
            below, relative, i = log(total), probabilities and highest > 0.0, -1
            while i < size - 1:
                i += 1
                if i % RUN == 0 and found == width and not probabilities and not i <= end < i + RUN:
                    least = (sums[b, found - 1] - scores[r]) + below + highest
                    if i + RUN <= size and at_least(row[i : i + RUN], _less(least, scores[r], below, highest)) == 0:
                        i += RUN - 1
                        continue
                if relative:
                    if not row[i] > 0.0:
                        continue
                    value = scores[r] + ((log(np.float64(row[i])) - log(highest)) - below)
                elif probabilities:
                    value = scores[r] - below
                else:
                    value = scores[r] + ((np.float64(row[i]) - highest) - below)
                if i == end:
                    if ended[b] < 0 or value > end_sums[b]:
                        ended[b], end_sums[b], end_chances[b] = r - first, value, weights[place, i] / total
                    continue
                if found == width and not value > sums[b, found - 1]:
                    continue
                at = found if found < width else width - 1
                while at > 0 and value > sums[b, at - 1]:
                    parents[b, at], tokens[b, at] = parents[b, at - 1], tokens[b, at - 1]
                    sums[b, at], chances[b, at] = sums[b, at - 1], chances[b, at - 1]
                    at -= 1
                parents[b, at], tokens[b, at] = r - first, i
                sums[b, at], chances[b, at] = value, weights[place, i] / total
                found = min(found + 1, width)
        counts[b] = found
        if ended[b] >= 0 and found == width:  # the last of these is the least of those that may beat it
            last, value = width - 1, end_sums[b]
            before = parents[b, last] < ended[b] or (parents[b, last] == ended[b] and tokens[b, last] < end)
            if sums[b, last] > value or (sums[b, last] == value and before):
                ended[b] = -1
        first = lasts[b]


@kernel(
    "void(float32[:, ::1], boolean, int64[::1], int64[::1], int64, float64[::1], float64[:, ::1], float64[::1], "
    "int64[:, ::1], int64[:, ::1], float64[:, ::1], float64[:, ::1], int64[::1], int64[::1], float64[::1], "
    "float64[::1])"
)
def extend(
    outputs: Any, probabilities: bool, lasts: Any, widths: Any, end: int, scores: Any, weights: Any, totals: Any,
    parents: Any, tokens: Any, sums: Any, chances: Any, counts: Any, ended: Any, end_sums: Any, end_chances: Any,
) -> None:  # fmt: skip
    """For each beam b the widths[b] best hypotheses that are one token longer than its own, which are the rows
    lasts[b - 1]:lasts[b] of ``outputs`` [n, V], logits or ``probabilities``, and of ``scores`` [n], their logarithmic
    probabilities so far.

    Row b of ``parents``, ``tokens``, ``sums`` and ``chances`` [beams, widest] becomes these, counts[b] of them, the
    best first, of equals the one of the lower hypothesis, then of the lower token: which of its hypotheses is gone on
    with, by which token, its new score, and the token's probability. Tokens whose probability is 0 are none. ``end``
    (-1: none) is not among them: ended[b] becomes the hypothesis that it ends best, if that is among the widths[b]
    best of all, else -1, with its score and the token's probability. ``weights`` [ABREAST, V] and ``totals`` [2
    ABREAST] are room.
    """
    _extend(
        outputs, probabilities, lasts, widths, end, scores, weights, totals, parents, tokens, sums, chances, counts,
        ended, end_sums, end_chances,
    )  # fmt: skip


@part
def _follow(parents: Any, count: int, slots: Any, room: Any, states: Any) -> None:
    """``slots`` [width] become those of ``count`` hypotheses behind their ``parents``, whose states theirs are: the
    first of each parent takes its slot over, its siblings get copies in slots that are free; then the others."""
    width, vectors, step, start = slots.shape[0], states.shape[1] // LANES, 4 * states.shape[1], address(states)
    for j in range(width):
        room[j] = slots[j]
    free = 0  # from which on slots are looked for
    for i in range(count):
        parent, first = parents[i], True
        for j in range(i):
            first = first and parents[j] != parent
        slots[i] = room[parent]
        if not first:
            free = _next_free(parents, count, free)
            slots[i] = room[free]
            copy(start + room[parent] * step, start + slots[i] * step, vectors)
            free += 1
    for i in range(count, width):
        free = _next_free(parents, count, free)
        slots[i] = room[free]
        free += 1


@part
def _next_free(parents: Any, count: int, slot: int) -> int:
    """The first slot from there on that is no parent's."""
    while True:
        taken = False
        for j in range(count):
            taken = taken or parents[j] == slot
        if not taken:
            return slot
        slot += 1


@part
def _common(tokens: Any, count: int, length: int) -> int:
    """With how many tokens all of ``count`` hypotheses of that length begin."""
    for at in range(length):
        for i in range(1, count):
            if tokens[i, at] != tokens[0, at]:
                return at
    return length


@kernel(
    "int64(float32[:, ::1], boolean, int64[::1], int64[::1], int64, float64[::1], float64[:, ::1], float64[::1], "
    "int64[:, ::1], int64[:, ::1], float64[:, ::1], float64[:, ::1], int64[::1], int64[::1], float64[::1], "
    "float64[::1], int32[:, :, ::1], float64[:, :, ::1], int64, int64, int64, int32[::1], int64[::1], int64[::1], "
    "float32[:, ::1])"
)
def grow(
    outputs: Any, probabilities: bool, lasts: Any, widths: Any, end: int, scores: Any, weights: Any, totals: Any,
    parents: Any, tokens: Any, sums: Any, chances: Any, counts: Any, ended: Any, end_sums: Any, end_chances: Any,
    texts: Any, text_chances: Any, now: int, start: int, length: int, last: Any, slots: Any, room: Any, states: Any,
) -> Any:  # fmt: skip
    """`extend` for one beam, whose hypotheses become what is found, unless one is ended or none is left: then
    nothing more is done, and -1 returned. Otherwise, how many tokens all of them begin with.

    The hypotheses' tokens are ``texts`` [2, width, most] and ``text_chances``: those of before at ``now``, ``length``
    from ``start`` on, the longer ones then at 1 - now, from 0 on. ``scores``, ``last`` [width] become theirs, and
    ``slots`` [width] those of their states, rows of ``states``. ``room``: as many numbers."""
    _extend(
        outputs, probabilities, lasts, widths, end, scores, weights, totals, parents, tokens, sums, chances, counts,
        ended, end_sums, end_chances,
    )  # fmt: skip
    count = counts[0]
    if ended[0] >= 0 or count == 0:
        return -1
    for i in range(count):
        parent = parents[0, i]
        for at in range(length):
            texts[1 - now, i, at] = texts[now, parent, start + at]
            text_chances[1 - now, i, at] = text_chances[now, parent, start + at]
        texts[1 - now, i, length], text_chances[1 - now, i, length] = tokens[0, i], chances[0, i]
        scores[i], last[i] = sums[0, i], tokens[0, i]
    _follow(parents[0], count, slots, room, states)
    return _common(texts[1 - now], count, length + 1)
