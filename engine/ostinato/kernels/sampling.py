"""Drawing tokens: what softmax makes of outputs at a temperature, and a random number that depends on a seed and a
step alone. Only what IEEE 754 defines to the bit is used, in a fixed order, so every machine draws the same."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ostinato.kernels.compiler import kernel, part
from ostinato.kernels.simd import bits_of, from_bits

LOG2_E = 1.4426950408889634
LN2_HIGH = 0.693147180369123816490  # its last 21 bits are 0, so that a whole number times it is exact
LN2_LOW = 1.90821492927058770002e-10
LEAST = -700.0
"""e to less than this counts as 0."""
SERIES = tuple(1.0 / math.factorial(k) for k in range(14, -1, -1))
"""Of e^r, the last term first."""

FIRST = 64
"""Tokens up to which a heap sorts, and that are sorted at first where a share of the probability is wanted."""
DIGITS = 512
SHIFTER = 6755399441055744.0
"""1.5 * 2^52."""
BIAS = np.int64(1023)
MANTISSA_BITS = np.int64(52)
EXPONENT = np.int64(0x7FF0000000000000)

LOW = np.uint64(0xFFFFFFFF)
WORD = np.uint64(32)
M0, M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
W0, W1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
ROUNDS = 10


@part
def exp(x: float) -> float:
    """e^x of x <= 0, to 2 units in the last place: x = n ln 2 + r, |r| <= ln 2 / 2, and Taylor's series of e^r.
    Without branches, so loops of it become vector code."""
    y = x if x > LEAST else LEAST
    n = np.floor(y * LOG2_E + 0.5)
    r = (y - n * LN2_HIGH) - n * LN2_LOW
    sum_ = 0.0
    for term in SERIES:
        sum_ = sum_ * r + term
    # As n + 1.5 * 2^52 ends with the bits of n, these are the bits of 2^n; 2^n times the sum is exact.
    power = from_bits(((bits_of(n + SHIFTER) + BIAS) << MANTISSA_BITS) & EXPONENT)
    return sum_ * power if x > LEAST else 0.0


@part
def log(x: float) -> float:
    """The logarithm of x, from 2^-149 up: x = m 2^n with m within sqrt(2) of 1, and the series of artanh((m - 1) / (m
    + 1))."""
    m, n = x, 0.0
    while m < 0.0000152587890625:
        m *= 65536.0
        n -= 16.0
    while m < 0.7071067811865476:
        m *= 2.0
        n -= 1.0
    while m > 1.4142135623730951:
        m *= 0.5
        n += 1.0
    s = (m - 1.0) / (m + 1.0)
    square, sum_ = s * s, 0.0
    for k in range(23, 0, -2):
        sum_ = sum_ * square + 1.0 / k
    return n * LN2_HIGH + (n * LN2_LOW + 2.0 * s * sum_)


@part
def uniform(seed: Any, step: Any) -> float:
    """A number in [0, 1) of 53 random bits: the first two words of Philox4x32-10 (Salmon et al. 2011, "Parallel
    random numbers: as easy as 1, 2, 3"), whose key is the seed and whose counter is the step."""
    a, b, c, d = step & LOW, step >> WORD, np.uint64(0), np.uint64(0)
    k, l = seed & LOW, seed >> WORD  # noqa: E741  as the paper has it
    for _ in range(ROUNDS):
        p, q = M0 * a, M1 * c
        a, b, c, d = (q >> WORD) ^ b ^ k, q & LOW, (p >> WORD) ^ d ^ l, p & LOW
        k, l = (k + W0) & LOW, (l + W1) & LOW  # noqa: E741
    return float(((a << WORD) | b) >> np.uint64(11)) * 1.1102230246251565e-16


@part
def weigh(outputs: Any, best: int, probabilities: bool, temperature: float, weights: Any) -> float:
    """``weights`` become the outputs' chances at the temperature, relative to the best one; returns their sum."""
    highest = np.float64(outputs[best])  # Numba's float(x) stays float32
    size = outputs.shape[0]
    if not probabilities:
        for i in range(size):
            weights[i] = exp((np.float64(outputs[i]) - highest) / temperature)
    elif not highest > 0.0:
        for i in range(size):
            weights[i] = 1.0  # all are 0: equally likely
    else:
        for i in range(size):
            value = np.float64(outputs[i])
            if temperature == 1.0 or not value > 0.0:
                weights[i] = value / highest
            else:
                weights[i] = exp((log(value) - log(highest)) / temperature)
    total = 0.0
    for i in range(size):
        total += weights[i]
    return total


@part
def likeliest(outputs: Any) -> int:
    """The index of the highest, the lowest of equals."""
    best, highest = 0, outputs[0]
    for i in range(1, outputs.shape[0]):
        if outputs[i] > highest:
            best, highest = i, outputs[i]
    return best


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
def _sort_few(outputs: Any, count: int, order: Any) -> None:
    """`sort_likeliest` by a heap of those that were the likeliest so far."""
    for i in range(count):
        order[i] = i
    for i in range(count // 2 - 1, -1, -1):
        _sink(outputs, order, i, count)
    least = outputs[order[0]]
    for i in range(count, outputs.shape[0]):
        if outputs[i] > least:
            order[0] = i
            _sink(outputs, order, 0, count)
            least = outputs[order[0]]
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
def sort_likeliest(outputs: Any, count: int, order: Any) -> None:
    """``order`` [2 V + DIGITS] begins with the ``count`` likeliest tokens then, the likeliest first, the lowest of
    equals; the rest is room."""
    size = outputs.shape[0]
    if count <= FIRST:
        _sort_few(outputs, count, order)
    else:
        _sort_all(outputs, order[:size], order[size:])


@part
def _keep(most: int, order: Any, weights: Any) -> float:
    """Only the ``most`` first tokens of ``order`` keep their ``weights``, all others have 0; returns their sum."""
    for j in range(most):  # what is kept has its sign turned, then all else is 0
        weights[order[j]] = -weights[order[j]]
    kept = 0.0
    for i in range(weights.shape[0]):
        weights[i] = max(-weights[i], 0.0)
        kept += weights[i]
    return kept


@part
def _enough(outputs: Any, most: int, wanted: float, order: Any, weights: Any) -> int:
    """How many of the ``most`` likeliest tokens have ``wanted`` together; ``order`` begins with these."""
    count = min(most, FIRST)
    while True:
        sort_likeliest(outputs, count, order)
        so_far = 0.0
        for j in range(count):
            so_far += weights[order[j]]
            if so_far >= wanted:
                return j + 1
        if count == most:
            return most
        count = most


@part
def restrict(outputs: Any, top_k: int, top_p: float, order: Any, weights: Any, total: float) -> float:
    """Only the ``top_k`` likeliest tokens (0: all), and of these the fewest of the first that have ``top_p`` of their
    weight together, keep their ``weights``, which come to ``total``; returns what is left of that. ``order`` is room,
    as of `sort_likeliest`."""
    most = top_k if top_k > 0 else outputs.shape[0]
    if top_k > 0:
        sort_likeliest(outputs, most, order)
        total = _keep(most, order, weights)
    if top_p < 1.0:
        total = _keep(_enough(outputs, most, top_p * total, order, weights), order, weights)
    return total


TEMPERATURE, TOP_P, TOP_K, SEED, STEP = range(5)
"""Columns of ``hows``."""


@kernel("void(float32[:, ::1], boolean, float64[:, ::1], float64[::1], int64[::1], int64[::1], float64[::1])")
def draw(outputs: Any, probabilities: bool, hows: Any, weights: Any, order: Any, tokens: Any, chances: Any) -> None:
    """A token for each row of ``outputs`` [n, V], which are logits or ``probabilities``; all others are by row.

    A row of ``hows`` [n, 5] says: with which temperature; of how much probability the fewest tokens are kept that are
    the likeliest together, of so many of the likeliest (0: of all); the seed, and the step. Then the lowest token is
    taken up to which they have more than uniform(seed, step) of what is left. ``chances`` becomes its probability at
    temperature 1 among all tokens: what the model thinks of it. Sums go over tokens in ascending order, top-p's from
    the likeliest on. ``weights`` [V] and ``order`` [2 V + DIGITS] are room.
    """
    size = outputs.shape[1]
    for r in range(outputs.shape[0]):
        row, how = outputs[r], hows[r]
        best = likeliest(row)
        token, temperature = best, how[TEMPERATURE]
        total = weigh(row, best, probabilities, temperature if temperature > 0.0 else 1.0, weights)
        if temperature > 0.0:
            restricted = how[TOP_K] > 0.0 or how[TOP_P] < 1.0
            left = total
            if restricted:
                left = restrict(row, int(how[TOP_K]), how[TOP_P], order, weights, total)
            least, so_far = uniform(np.uint64(how[SEED]), np.uint64(how[STEP])) * left, 0.0
            for i in range(size):
                so_far += weights[i]
                if weights[i] > 0.0:
                    token = i
                if so_far > least:
                    break
            if temperature != 1.0 or restricted:  # else the weights are these
                total = weigh(row, best, probabilities, 1.0, weights)
        tokens[r] = token
        chances[r] = weights[token] / total
