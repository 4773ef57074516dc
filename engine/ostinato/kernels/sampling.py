"""Drawing tokens: what softmax makes of outputs at a temperature, and a random number that depends on a seed and a
step alone. Only what IEEE 754 defines to the bit is used, in a fixed order, so every machine draws the same."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba.np.numpy_support import carray

from ostinato.kernels.compiler import kernel, part, routine
from ostinato.kernels.likeliest import DIGITS, FIRST, choose, likeliest, sort_likeliest
from ostinato.kernels.simd import address, bits_of, doubles_at, floats_at, from_bits, ints_at

LOG2_E = 1.4426950408889634
LN2_HIGH = 0.693147180369123816490  # its last 21 bits are 0, so that a whole number times it is exact
LN2_LOW = 1.90821492927058770002e-10
LEAST = -700.0
"""e to less than this counts as 0."""
SERIES = tuple(1.0 / math.factorial(k) for k in range(14, -1, -1))
"""Of e^r, the last term first."""

ABREAST = 4
"""Rows whose sums are added side by side, so that no addition waits for another."""
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
    sum_ = SERIES[0]
    for term in SERIES[1:]:
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
def weight(output: Any, highest: Any, probabilities: bool, temperature: Any) -> Any:
    """An output's chance at the temperature, relative to the highest one."""
    value = np.float64(output)  # Numba's float(x) stays float32
    if not probabilities:
        return exp((value - highest) / temperature)
    if not highest > 0.0:
        return 1.0  # all are 0: equally likely
    if temperature == 1.0 or not value > 0.0:
        return value / highest
    return exp((log(value) - log(highest)) / temperature)


@part
def weigh_all(outputs: Any, best: int, probabilities: bool, temperature: float, weights: Any) -> None:
    """``weights`` become the outputs' chances at the temperature, relative to the best one."""
    _weigh(address(outputs), outputs.shape[0], best, int(probabilities), temperature, address(weights))


@routine("void(int64, int64, int64, int64, float64, int64)")
def _weigh(table: int, size: int, best: int, probabilities: int, temperature: float, places: int) -> None:
    """`weigh_all`, by addresses."""
    outputs, weights = carray(floats_at(table), (size,)), carray(doubles_at(places), (size,))
    highest = np.float64(outputs[best])
    if not probabilities and temperature == 1.0:
        for i in range(outputs.shape[0]):
            weights[i] = exp(np.float64(outputs[i]) - highest)
    elif not probabilities:
        for i in range(outputs.shape[0]):
            weights[i] = exp((np.float64(outputs[i]) - highest) / temperature)
    else:
        for i in range(outputs.shape[0]):
            weights[i] = weight(outputs[i], highest, True, temperature)


@part
def weigh(outputs: Any, best: int, probabilities: bool, temperature: float, weights: Any) -> float:
    """`weigh_all`; returns their sum."""
    weigh_all(outputs, best, probabilities, temperature, weights)
    total = 0.0
    for i in range(outputs.shape[0]):
        total += weights[i]
    return total


@part
def sums_abreast(weights: Any, rows: int, totals: Any) -> None:
    """``totals`` [rows] become the sums of the first rows of ``weights`` [ABREAST, V]."""
    if rows == ABREAST:
        first = second = third = fourth = 0.0
        for i in range(weights.shape[1]):
            first += weights[0, i]
            second += weights[1, i]
            third += weights[2, i]
            fourth += weights[3, i]
        totals[0], totals[1], totals[2], totals[3] = first, second, third, fourth
        return
    for r in range(rows):
        total = 0.0
        for i in range(weights.shape[1]):
            total += weights[r, i]
        totals[r] = total


@part
def _left(weights: Any, chosen: Any, count: int) -> float:
    """What the first ``count`` of the ``chosen`` tokens weigh together."""
    left = 0.0
    for j in range(count):
        left += weights[chosen[j]]
    return left


@part
def _enough(outputs: Any, best: int, most: int, wanted: float, order: Any, weights: Any) -> int:
    """How many of the ``most`` likeliest tokens weigh ``wanted`` together; ``order`` is room."""
    count = min(most, FIRST)
    while True:
        sort_likeliest(outputs, best, count, order)
        so_far = 0.0
        for j in range(count):
            so_far += weights[order[j]]
            if so_far >= wanted:
                return j + 1
        if count == most:
            return most
        count = most


TEMPERATURE, TOP_P, TOP_K, SEED, STEP = range(5)
"""Columns of ``hows``."""


@part
def _restricted(outputs: Any, best: int, probabilities: bool, how: Any, weights: Any, order: Any, chosen: Any) -> Any:
    """How many tokens may be drawn, which ``chosen`` begins with then, in ascending order, and what they weigh
    together; ``weights`` [V] of these are there then."""
    temperature, most = how[TEMPERATURE], outputs.shape[0]
    if how[TOP_K] > 0.0:
        most = int(how[TOP_K])
        choose(outputs, best, most, chosen)
        highest = np.float64(outputs[best])
        for j in range(most):
            weights[chosen[j]] = weight(outputs[chosen[j]], highest, probabilities, temperature)
        left = _left(weights, chosen, most)
    else:
        left = weigh(outputs, best, probabilities, temperature, weights)
    if how[TOP_P] < 1.0:
        most = _enough(outputs, best, most, how[TOP_P] * left, order, weights)
        choose(outputs, best, most, chosen)
        left = _left(weights, chosen, most)
    return most, left


@part
def _drawn(
    outputs: Any, best: int, probabilities: bool, how: Any, weights: Any, total: float, again: Any, order: Any
) -> int:
    """The token that is drawn as ``how`` says. ``weights`` [V] are those at temperature 1, and come to ``total``;
    ``again`` [V] and ``order`` are room."""
    size, temperature, token, so_far = outputs.shape[0], how[TEMPERATURE], best, 0.0
    if not temperature > 0.0:
        return best
    number = uniform(np.uint64(how[SEED]), np.uint64(how[STEP]))
    if how[TOP_K] > 0.0 or how[TOP_P] < 1.0:
        chosen = order[2 * size + DIGITS :]
        count, left = _restricted(outputs, best, probabilities, how, again, order, chosen)
        for j in range(count):
            so_far += again[chosen[j]]
            if again[chosen[j]] > 0.0:
                token = chosen[j]
            if so_far > number * left:
                break
        return token
    left = total
    if temperature != 1.0:
        left = weigh(outputs, best, probabilities, temperature, again)
    else:
        again = weights
    for i in range(size):
        so_far += again[i]
        if again[i] > 0.0:
            token = i
        if so_far > number * left:
            break
    return token


@routine("void(int64, int64, int64, int64, int64, int64, int64, int64, int64)")
def draw_rows(
    addresses: int, count: int, size: int, probabilities: int, hows_: int, room: int, room_order: int,
    tokens_: int, chances_: int,
) -> None:  # fmt: skip
    """`draw` of ``count`` rows [size], by addresses: first of a table of the rows'."""
    table, hows = carray(ints_at(addresses), (count,)), carray(doubles_at(hows_), (count, STEP + 1))
    weights = carray(doubles_at(room), (ABREAST + 1, size))
    order = carray(ints_at(room_order), (3 * size + DIGITS,))
    tokens, chances = carray(ints_at(tokens_), (count,)), carray(doubles_at(chances_), (count,))
    again, bests = weights[ABREAST], tokens
    for first in range(0, tokens.shape[0], ABREAST):
        rows = min(ABREAST, tokens.shape[0] - first)
        for r in range(rows):
            row = carray(floats_at(table[first + r]), (size,))
            bests[first + r] = likeliest(row)
            weigh_all(row, bests[first + r], probabilities > 0, 1.0, weights[r])
        sums_abreast(weights, rows, chances[first:])
        for r in range(rows):
            row, best, total = (
                carray(floats_at(table[first + r]), (size,)),
                bests[first + r],
                chances[first + r],
            )
            token = _drawn(row, best, probabilities > 0, hows[first + r], weights[r], total, again, order)
            tokens[first + r] = token
            chances[first + r] = weights[r, token] / total


@kernel(
    "void(float32[:, ::1], boolean, float64[:, ::1], float64[:, ::1], int64[::1], int64[::1], int64[::1], "
    "float64[::1])"
)
def draw(
    outputs: Any, probabilities: bool, hows: Any, weights: Any, order: Any, table: Any, tokens: Any, chances: Any
) -> None:
    """A token for each row of ``outputs`` [n, V], which are logits or ``probabilities``; all others are by row.

    A row of ``hows`` [n, 5] says: with which temperature; of how much probability the fewest tokens are kept that are
    the likeliest together, of so many of the likeliest (0: of all); the seed, and the step. Then the lowest token is
    taken up to which they have more than uniform(seed, step) of what is left. ``chances`` becomes its probability at
    temperature 1 among all tokens: what the model thinks of it. Sums go over tokens in ascending order, top-p's from
    the likeliest on. ``weights`` [ABREAST + 1, V], ``order`` [3 V + DIGITS] and ``table`` [n] are room.
    """
    for r in range(outputs.shape[0]):
        table[r] = address(outputs) + 4 * r * outputs.shape[1]
    draw_rows(
        address(table), outputs.shape[0], outputs.shape[1], int(probabilities), address(hows), address(weights),
        address(order), address(tokens), address(chances),
    )  # fmt: skip
