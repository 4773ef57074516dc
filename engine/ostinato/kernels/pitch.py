"""The pitch of speech as RNNoise and CELT find it: the high-pass filter before it, a search in decimated, whitened
samples, and the removal of doublings. All sums have a fixed order, and none depends on what else is computed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ostinato.kernels.compiler import kernel, part, routine
from ostinato.kernels.simd import (
    BYTES,
    address,
    first_lanes,
    fma,
    load,
    load_float,
    splat,
    store,
    store_float,
    total,
)
from ostinato.lanes import LANES, padded

FULL_SCALE = 32768.0
"""Of what a sample of 1 is here."""
_FED_BACK = float(np.float32(-1.99599)), float(np.float32(0.996))
_FED_FORWARD = -2.0, 1.0
_AT_ONCE = 5 * LANES
_ORDER = 4


def kept_size(hop: int, longest: int) -> int:
    """How many float32 a stream keeps: the samples before its next frame, filtered; two values of the filter; the
    last period, and how strong it was."""
    return padded(longest + hop + 4)


def work_size(hop: int, longest: int) -> int:
    """How many float32 `pitches` needs for its work."""
    half = longest // 2 + hop
    return 6 * padded(half + 2 * LANES) + 2 * _AT_ONCE


@part
def _room(size: int) -> int:
    """`lanes.padded`, for kernels."""
    return (size + LANES - 1) // LANES * LANES


@part
def _dot(x: int, y: int, count: int) -> Any:
    """The inner product of ``count`` values at two addresses."""
    a = splat(0.0)
    b = splat(0.0)
    n = 0
    while n + 2 * LANES <= count:
        a = fma(load(x + 4 * n), load(y + 4 * n), a)
        b = fma(load(x + 4 * n + BYTES), load(y + 4 * n + BYTES), b)
        n += 2 * LANES
    while n < count:
        a = a + first_lanes(count - n, load(x + 4 * n) * load(y + 4 * n), splat(0.0))
        n += LANES
    return total(a + b)


@part
def _high_pass(samples: int, count: int, memory: int, out: int) -> None:
    """``count`` samples, in full scale, without what is below some 60 Hz. The filter's two values, at the address
    ``memory``, move on. Products are in float64, as in RNNoise: the poles are close to 1."""
    a0, a1 = _FED_BACK
    b0, b1 = _FED_FORWARD
    m0 = load_float(memory)
    m1 = load_float(memory + 4)
    for n in range(count):
        x = load_float(samples + 4 * n) * np.float32(FULL_SCALE)
        y = x + m0
        m0 = np.float32(m1 + (b0 * x - a0 * y))
        m1 = np.float32(b1 * x - a1 * y)
        store_float(out + 4 * n, y)
    store_float(memory, m0)
    store_float(memory + 4, m1)


@part
def _predictor(correlations: int, out: int) -> None:
    """Linear prediction from autocorrelations (Levinson and Durbin), until 30 dB are explained. Both are
    addresses."""
    for i in range(_ORDER):
        store_float(out + 4 * i, np.float32(0))
    power = load_float(correlations)
    error = power
    if error == 0:
        return
    for i in range(_ORDER):
        rest = load_float(correlations + 4 * (i + 1))
        for j in range(i):
            rest += load_float(out + 4 * j) * load_float(correlations + 4 * (i - j))
        reflection = -rest / error
        store_float(out + 4 * i, reflection)
        for j in range((i + 1) // 2):
            low, high = load_float(out + 4 * j), load_float(out + 4 * (i - 1 - j))
            store_float(out + 4 * j, low + reflection * high)
            store_float(out + 4 * (i - 1 - j), high + reflection * low)
        error -= reflection * reflection * error
        if error < np.float32(0.001) * power:
            return


@routine("void(int64, int64, int64, int64)")
def _whitened(samples: int, half: int, raw: int, out: int) -> None:
    """2 * ``half`` samples at half their rate, spectrally flattened. ``raw``: memory for ``half`` values and a vector
    more at either end; out[half] and what follows in its vector is not set."""
    store(raw, splat(0.0))
    raw += BYTES
    quarter, middle = np.float32(0.25), np.float32(0.5)
    store_float(raw, quarter * load_float(samples + 4) + middle * load_float(samples))
    for n in range(1, half):
        at = samples + 8 * n
        around = load_float(at - 4) + load_float(at + 4)
        store_float(raw + 4 * n, middle * (middle * around + load_float(at)))
    correlations, predictor = out, out + 4 * LANES  # what is there later is not yet
    for lag in range(_ORDER + 1):
        share = np.float32(0.008) * np.float32(lag)
        value = _dot(raw, raw + 4 * lag, half - lag)
        store_float(correlations + 4 * lag, value - value * share * share)
    store_float(correlations, load_float(correlations) * np.float32(1.0001))  # a noise floor at -40 dB
    _predictor(correlations, predictor)
    first = np.float32(0.9) * load_float(predictor)
    second = np.float32(0.9**2) * load_float(predictor + 4)
    third = np.float32(0.9**3) * load_float(predictor + 8)
    fourth = np.float32(0.9**4) * load_float(predictor + 12)
    zero = np.float32(0.8)
    fifth = zero * fourth
    fourth += zero * third
    third += zero * second
    second += zero * first
    first += zero
    for n in range(0, half, LANES):
        at = raw + 4 * n
        value = fma(splat(first), load(at - 4), load(at))
        value = fma(splat(second), load(at - 8), value)
        value = fma(splat(third), load(at - 12), value)
        value = fma(splat(fourth), load(at - 16), value)
        store(out + 4 * n, fma(splat(fifth), load(at - 20), value))


@part
def _best(correlations: int, y: int, count: int, lags: int) -> Any:
    """The two lags with the highest normalised correlation, of windows of ``count`` values of y."""
    energy = np.float32(1)
    for n in range(count):
        value = load_float(y + 4 * n)
        energy += value * value
    first, second = 0, 1
    first_num = second_num = np.float32(-1)
    first_den = second_den = np.float32(0)
    for lag in range(lags):
        found = load_float(correlations + 4 * lag)
        if found > 0:
            scaled = found * np.float32(1e-12)  # whose square is neither too small nor too large
            num = scaled * scaled
            if num * second_den > second_num * energy:
                if num * first_den > first_num * energy:
                    second, second_num, second_den = first, first_num, first_den
                    first, first_num, first_den = lag, num, energy
                else:
                    second, second_num, second_den = lag, num, energy
        comes, goes = load_float(y + 4 * (lag + count)), load_float(y + 4 * lag)
        energy += comes * comes - goes * goes
        energy = max(np.float32(1), energy)
    return first, second


@part
def _offset(before: float, here: float, after: float) -> int:
    """Where between three values, half a sample apart, the highest is."""
    share = np.float32(0.7)
    if after - before > share * (here - before):
        return 1
    if before - after > share * (here - after):
        return -1
    return 0


@routine("int64(int64, int64, int64, int64, int64)")
def _search(whitened: int, hop: int, shortest: int, longest: int, work: int) -> int:
    """The period of the last 2 * ``hop`` samples, which are ``hop`` values of ``whitened``: coarsely in every second
    of these, then around the two best. ``work``: what `work_size` counts, but for its first two parts."""
    x, most = whitened + 2 * longest, longest - 3 * shortest
    coarse, lags = hop // 2, most // 4
    here = work
    there = here + 4 * _room(coarse)
    room = (lags + _AT_ONCE - 1) // _AT_ONCE * _AT_ONCE + _room(coarse)
    found = there + 4 * room
    for n in range(coarse):
        store_float(here + 4 * n, load_float(x + 8 * n))
    for n in range(room):
        value = np.float32(0)
        if n < coarse + lags:
            value = load_float(whitened + 8 * n)
        store_float(there + 4 * n, value)
    for lag in range(0, lags, _AT_ONCE):
        a = b = c = d = e = splat(0.0)
        for n in range(coarse):
            value = splat(load_float(here + 4 * n))
            at = there + 4 * (lag + n)
            a = fma(value, load(at), a)
            b = fma(value, load(at + BYTES), b)
            c = fma(value, load(at + 2 * BYTES), c)
            d = fma(value, load(at + 3 * BYTES), d)
            e = fma(value, load(at + 4 * BYTES), e)
        at = found + 4 * lag
        store(at, a)
        store(at + BYTES, b)
        store(at + 2 * BYTES, c)
        store(at + 3 * BYTES, d)
        store(at + 4 * BYTES, e)
    first, second = _best(found, there, coarse, lags)
    lags = most // 2
    for lag in range(lags):
        value = np.float32(0)
        if abs(lag - 2 * first) <= 2 or abs(lag - 2 * second) <= 2:
            value = max(np.float32(-1), _dot(x, whitened + 4 * lag, hop))
        store_float(found + 4 * lag, value)
    best, second = _best(found, whitened, hop, lags)
    offset = 0
    if 0 < best < lags - 1:
        at = found + 4 * best
        offset = _offset(load_float(at - 4), load_float(at), load_float(at + 4))
    period: int = longest - (2 * best - offset)
    return period


@part
def _strength(xy: float, xx: float, yy: float) -> Any:
    """A normalised correlation."""
    return np.float32(xy / math.sqrt(1 + xx * yy))


@part
def _other(k: int) -> int:
    """By which multiple of a k-th of a period such a one is confirmed."""
    if k % 2:
        return 2
    return 5 if k % 6 == 0 else 3


@routine("void(int64, int64, int64, int64, int64, int64, int64)")
def _undoubled(x: int, period: int, hop: int, shortest: int, longest: int, last: int, energies: int) -> None:
    """The period, or a fraction of it that is as good. ``x``: `_whitened`; ``last``: the last period and how strong
    it was, which move on. ``energies``: memory for longest / 2 + 1 values."""
    x += 2 * longest
    most, least = longest // 2, shortest // 2
    before, strength_before = np.int64(load_float(last)) // 2, load_float(last + 4)
    whole = min(period // 2, most - 1)
    xx, xy = _dot(x, x, hop), _dot(x, x - 4 * whole, hop)
    store_float(energies, xx)
    yy = xx
    for lag in range(1, most + 1):
        comes, goes = load_float(x - 4 * lag), load_float(x + 4 * (hop - lag))
        yy = yy + comes * comes - goes * goes
        store_float(energies + 4 * lag, max(np.float32(0), yy))
    found, best_xy, best_yy = whole, xy, load_float(energies + 4 * whole)
    strongest = strength = _strength(xy, xx, best_yy)
    half = np.float32(0.5)
    for k in range(2, 16):
        part_of = (2 * whole + k) // (2 * k)
        if part_of < least:
            break
        if k == 2:
            other = whole if part_of + whole > most else whole + part_of
        else:
            other = (2 * _other(k) * whole + k) // (2 * k)
        xy = half * (_dot(x, x - 4 * part_of, hop) + _dot(x, x - 4 * other, hop))
        yy = half * (load_float(energies + 4 * part_of) + load_float(energies + 4 * other))
        now = _strength(xy, xx, yy)
        away = abs(part_of - before)
        bonus = 0.0
        if away <= 1:
            bonus = strength_before
        elif away <= 2 and 5 * k * k < whole:
            bonus = 0.5 * strength_before
        least_strength, share = 0.3, 0.7
        if part_of < 3 * least:  # short periods correlate anyway
            least_strength, share = 0.4, 0.85
        threshold = max(least_strength, share * strongest - bonus)
        if now > threshold:
            best_xy, best_yy, found, strength = xy, yy, part_of, now
    best_xy = max(np.float32(0), best_xy)
    predicted = np.float32(1)
    if best_yy > best_xy:
        predicted = best_xy / (best_yy + np.float32(1))
    at = x - 4 * found
    offset = _offset(_dot(x, at + 4, hop), _dot(x, at, hop), _dot(x, at - 4, hop))
    store_float(last, np.float32(max(2 * found + offset, shortest)))
    store_float(last + 4, min(predicted, strength))


@kernel("void(float32[::1], int64[::1], int64[:, ::1], int64, int64, int64, float32[::1], float32[::1], int64[::1])")
def pitches(
    samples: Any, starts: Any, streams: Any, hop: int, shortest: int, longest: int, work: Any, out: Any, found: Any
) -> None:  # fmt: skip
    """The period of pitch of each frame of ``hop`` samples, from ``shortest`` to ``longest``, in ``found``.

    Stream i has the next streams[1, i] of the frames that begin at ``starts`` in ``samples``, and keeps at the
    address streams[0, i] what `kept_size` counts. ``out`` gets the samples of each stream in full scale through the
    high-pass filter, longest + hop that were before its frames and then those of the frames: so frame j of a stream
    and the longest + hop samples before it are there from j * hop on. ``out`` needs LANES more values. ``work``:
    `work_size` float32.
    """
    before = longest + hop
    half = longest // 2 + hop
    raw = address(work)
    whitened = raw + 4 * _room(half + 2 * LANES)
    rest = whitened + 4 * _room(half + 2 * LANES)
    target, r = address(out), 0
    for i in range(streams.shape[1]):
        kept, count = streams[0, i], streams[1, i]
        memory = kept + 4 * before
        for n in range(before):
            store_float(target + 4 * n, load_float(kept + 4 * n))
        for j in range(count):
            at = target + 4 * j * hop
            _high_pass(address(samples) + 4 * starts[r], hop, memory, at + 4 * before)
            _whitened(at, half, raw, whitened)
            period = _search(whitened, hop, shortest, longest, rest)
            _undoubled(whitened, period, hop, shortest, longest, memory + 8, rest)
            found[r] = np.int64(load_float(memory + 8))
            r += 1
        target += 4 * count * hop
        for n in range(before):
            store_float(kept + 4 * n, load_float(target + 4 * n))
        target += 4 * before
