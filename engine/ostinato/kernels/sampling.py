"""Drawing tokens: what softmax makes of outputs at a temperature, and a random number that depends on a seed and a
step alone. Only what IEEE 754 defines to the bit is used, in a fixed order, so every machine draws the same."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ostinato.kernels.compiler import kernel, part

LOG2_E = 1.4426950408889634
LN2_HIGH = 0.693147180369123816490  # its last 21 bits are 0, so that a whole number times it is exact
LN2_LOW = 1.90821492927058770002e-10
LEAST = -700.0
"""e to less than this counts as 0."""
SERIES = tuple(1.0 / math.factorial(k) for k in range(14, -1, -1))
"""Of e^r, the last term first."""

LOW = np.uint64(0xFFFFFFFF)
WORD = np.uint64(32)
M0, M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
W0, W1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
ROUNDS = 10


@part
def exp(x: float) -> float:
    """e^x of x <= 0, to 2 units in the last place: x = n ln 2 + r, |r| <= ln 2 / 2, and Taylor's series of e^r."""
    if not x > LEAST:
        return 0.0
    n = np.floor(x * LOG2_E + 0.5)
    r = (x - n * LN2_HIGH) - n * LN2_LOW
    sum_ = 0.0
    for term in SERIES:
        sum_ = sum_ * r + term
    half, left = 0.5, int(-n)
    while left > 0:
        if left & 1:
            sum_ *= half
        half *= half
        left >>= 1
    return sum_


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
    total, highest = 0.0, np.float64(outputs[best])  # Numba's float(x) stays float32
    for i in range(outputs.shape[0]):
        value = np.float64(outputs[i])
        if not probabilities:
            weights[i] = exp((value - highest) / temperature)
        elif not highest > 0.0:
            weights[i] = 1.0  # all are 0: equally likely
        elif temperature == 1.0 or not value > 0.0:
            weights[i] = value / highest
        else:
            weights[i] = exp((log(value) - log(highest)) / temperature)
        total += weights[i]
    return total


@kernel(
    "void(float32[:, ::1], boolean, float64[::1], float64[::1], uint64[::1], uint64[::1], int64[::1], int64[::1], "
    "float64[::1], int64[::1], float64[::1])"
)
def draw(
    outputs: Any, probabilities: bool, temperatures: Any, top_ps: Any, seeds: Any, steps: Any, orders: Any, ends: Any,
    weights: Any, tokens: Any, chances: Any,
) -> None:  # fmt: skip
    """A token for each row of ``outputs`` [n, V], which are logits or ``probabilities``; all others are by row.

    Row r draws among the tokens orders[ends[r - 1]:ends[r]], the likeliest first; among all, if there are none. Of
    these the fewest first that have ``top_ps[r]`` of their probability are kept. Then the lowest token is taken up to
    which they have more than uniform(seed, step) of what is left. ``chances`` becomes its probability at temperature
    1 among all tokens: what the model thinks of it. Sums go over tokens in ascending order, ``top_ps``' in that of
    ``orders``. ``weights`` [V] is room.
    """
    size, first = outputs.shape[1], 0
    for r in range(outputs.shape[0]):
        row, last = outputs[r], ends[r]
        best = 0
        for i in range(1, size):
            if row[i] > row[best]:
                best = i
        token, total, temperature = best, 0.0, temperatures[r]
        if temperature > 0.0:
            total = weigh(row, best, probabilities, temperature, weights)
            if last > first:
                for j in range(first, last):  # what is kept has its sign turned, then all else is 0
                    weights[orders[j]] = -weights[orders[j]]
                total = 0.0
                for i in range(size):
                    weights[i] = max(-weights[i], 0.0)
                    total += weights[i]
                if top_ps[r] < 1.0:
                    enough, so_far = top_ps[r] * total, 0.0
                    for j in range(first, last):
                        so_far += weights[orders[j]]
                        if so_far >= enough:
                            for k in range(j + 1, last):
                                weights[orders[k]] = 0.0
                            break
                    total = 0.0
                    for i in range(size):
                        total += weights[i]
            wanted, so_far = uniform(seeds[r], steps[r]) * total, 0.0
            for i in range(size):
                so_far += weights[i]
                if weights[i] > 0.0:
                    token = i
                if so_far > wanted:
                    break
        tokens[r] = token
        if temperature != 1.0 or last > first:  # else the weights are these
            total = weigh(row, best, probabilities, 1.0, weights)
        chances[r] = weights[token] / total
        first = last
