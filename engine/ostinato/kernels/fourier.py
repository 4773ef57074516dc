"""The discrete Fourier transform of sixteen windows at a time, a window in each lane: no sum crosses lanes, so a
window has the same bits alone as among others, and on every host.

A column is 16 values, one of each window; complex numbers are a column of real and one of imaginary parts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.kernels.compiler import part, routine
from ostinato.kernels.simd import BYTES, fma, load, load_float, load_int, splat, store, transpose
from ostinato.lanes import LANES

PAIR = 2 * BYTES
"""Bytes of a complex column."""


def work_size(window: int, fft_size: int, columns: int) -> int:
    """How many float32 a kernel needs for its work: addresses of 16 rows, and two buffers of columns."""
    most = max(fft_size if fft_size % 2 == 0 else 2 * fft_size, window, columns, 1) + LANES
    return 2 * LANES + 2 * LANES * most


def radices(points: int) -> list[int]:
    """The passes of a transform of so many points: primes, the largest first, then fours."""
    found, radix = [], 4
    while points > 1:
        while points % radix == 0:
            found.append(radix)
            points //= radix
        radix = 2 if radix == 4 else 3 if radix == 2 else radix + 2
    return found[::-1]


def order(points: int) -> list[int]:
    """Where the transform expects each of its inputs: their numbers' digits, in the passes' radices, reversed."""
    permutation = [0]
    for radix in radices(points):
        permutation = [i * len(permutation) + place for place in permutation for i in range(radix)]
    return permutation


@routine("void(int64, int64, int64)")
def gather(windows: int, count: int, out: int) -> None:
    """``count`` columns of samples, rounded up to whole vectors; ``windows``: where the windows' addresses are."""
    for n in range(0, count, LANES):
        transpose(windows, 4 * n, out + n * BYTES)


@routine("void(int64, int64, float32, int64, float32, int64, int64, int64, int64)")
def shape(
    x: int,
    width: int,
    gain: float,
    remove_mean: int,
    damping: float,
    weights: int,
    size: int,
    permutation: int,
    z: int,
) -> None:
    """Columns times ``gain``, less their mean, pre-emphasised, windowed: ``width`` of them, zeros to ``size``.

    Column n becomes number ``permutation[n]`` of z.
    """
    level = splat(gain)
    offset = splat(0.0)
    if remove_mean:
        a = b = c = d = splat(0.0)  # four sums, so that additions need not wait for each other
        n = 0
        while n + 4 <= width:
            at = x + n * BYTES
            a = a + load(at)
            b = b + load(at + BYTES)
            c = c + load(at + 2 * BYTES)
            d = d + load(at + 3 * BYTES)
            n += 4
        while n < width:
            a = a + load(x + n * BYTES)
            n += 1
        offset = ((a + b) + (c + d)) / splat(width) * level
    share = splat(-damping)
    before = load(x) * level - offset  # the first sample has none before it
    for n in range(width):
        here = load(x + n * BYTES) * level - offset
        value = fma(share, before, here) * splat(load_float(weights + 4 * n))
        store(z + load_int(permutation + 8 * n) * BYTES, value)
        before = here
    for n in range(width, size):
        store(z + load_int(permutation + 8 * n) * BYTES, splat(0.0))


@part
def times(roots: int, k: int, re: Any, im: Any) -> Any:
    """A complex column times root number k."""
    c = splat(load_float(roots + 8 * k))
    s = load_float(roots + 8 * k + 4)
    return fma(c, re, splat(-s) * im), fma(c, im, splat(s) * re)


@routine("void(int64, int64, int64, int64, int64)")
def _fours(z: int, count: int, span: int, roots: int, turn: int) -> None:
    """A radix-4 pass in place over ``count`` points: four transforms of ``span`` points become one, again and again.

    Root number ``turn`` is exp(-2 pi i / (4 span)).
    """
    far = span * PAIR
    for k in range(span):
        for base in range(k, count, 4 * span):
            at = z + base * PAIR
            ar, ai = load(at), load(at + BYTES)
            br, bi = load(at + far), load(at + far + BYTES)
            cr, ci = load(at + 2 * far), load(at + 2 * far + BYTES)
            dr, di = load(at + 3 * far), load(at + 3 * far + BYTES)
            if k > 0:
                br, bi = times(roots, k * turn, br, bi)
                cr, ci = times(roots, 2 * k * turn, cr, ci)
                dr, di = times(roots, 3 * k * turn, dr, di)
            sr, si, tr, ti = ar + cr, ai + ci, ar - cr, ai - ci
            ur, ui, vr, vi = br + dr, bi + di, br - dr, bi - di
            store(at, sr + ur)
            store(at + BYTES, si + ui)
            store(at + far, tr + vi)
            store(at + far + BYTES, ti - vr)
            store(at + 2 * far, sr - ur)
            store(at + 2 * far + BYTES, si - ui)
            store(at + 3 * far, tr - vi)
            store(at + 3 * far + BYTES, ti + vr)


@routine("void(int64, int64, int64, int64, int64, int64, int64, int64)")
def _primes(z: int, count: int, radix: int, span: int, roots: int, points: int, turn: int, scratch: int) -> None:
    """`_fours` for any radix, from the definition; ``scratch``: memory for ``radix`` complex columns."""
    for k in range(span):
        for base in range(k, count, radix * span):
            for i in range(radix):
                at = z + (base + i * span) * PAIR
                re, im = times(roots, i * k * turn, load(at), load(at + BYTES))
                store(scratch + i * PAIR, re)
                store(scratch + i * PAIR + BYTES, im)
            for j in range(radix):
                sr = splat(0.0)
                si = splat(0.0)
                for i in range(radix):
                    at = scratch + i * PAIR
                    re, im = times(roots, i * j % radix * (points // radix), load(at), load(at + BYTES))
                    sr = sr + re
                    si = si + im
                at = z + (base + j * span) * PAIR
                store(at, sr)
                store(at + BYTES, si)


@part
def _pass(z: int, count: int, radix: int, span: int, roots: int, points: int, scratch: int) -> None:
    turn = points // (radix * span)
    if radix == 4:
        _fours(z, count, span, roots, turn)
    else:
        _primes(z, count, radix, span, roots, points, turn, scratch)


@routine("void(int64, int64, int64, int64, int64, int64)")
def transform(z: int, points: int, radices: int, passes: int, roots: int, scratch: int) -> None:
    """The discrete Fourier transform sum_n x[n] exp(-2 pi i k n / points) of complex columns, in place.

    Decimation in time (Cooley and Tukey 1965): x[n] must be where `order` has it. All passes but the last stay within
    a part of the columns, and finish it before the next one: it is in the first-level cache.
    """
    if passes == 0:
        return
    last = load_int(radices + 8 * (passes - 1))
    count = points // last
    for first in range(0, points, count):
        span = 1
        for i in range(passes - 1):
            radix = load_int(radices + 8 * i)
            _pass(z + first * PAIR, count, radix, span, roots, points, scratch)
            span *= radix
    _pass(z, points, last, count, roots, points, scratch)


@part
def bin_of(z: int, size: int, roots: int, k: int) -> Any:
    """X[k] of ``size`` real values, k <= size // 2, as real and imaginary columns.

    Of an odd number of values ``z`` is the transform. Of an even number it is that of half as many complex values,
    x[2n] + i x[2n + 1]: then X[k] = E[k] + exp(-2 pi i k / size) O[k], E and O the transforms of the even and the
    odd values.
    """
    if size % 2:
        return load(z + k * PAIR), load(z + k * PAIR + BYTES)
    half = size // 2
    low = z + k % half * PAIR
    high = z + (half - k) % half * PAIR
    a, b, c, d = load(low), load(low + BYTES), load(high), load(high + BYTES)
    # 2 E = z[k] + conj z[half - k], 2 i O = z[k] - conj z[half - k]
    re, im = times(roots, k, b + d, c - a)
    return ((a + c) + re) * splat(0.5), ((b - d) + im) * splat(0.5)


@dataclass(frozen=True, eq=False)
class Plan:
    """How a kernel transforms ``size`` real values: as half as many complex ones if ``size`` is even, else as they
    are, with imaginary parts of zero.

    ``permutation`` int64 [size]: where each value goes; ``passes``: the radices; ``roots`` float32: cosine and minus
    sine of 2 pi k / points, k < points, and if ``size`` is even of 2 pi k / size, k <= size / 2.
    """

    size: int
    permutation: npt.NDArray[np.int64] = field(init=False)
    passes: npt.NDArray[np.int64] = field(init=False)
    roots: npt.NDArray[np.float32] = field(init=False)

    def __post_init__(self) -> None:
        odd = self.size % 2
        points = self.size if odd else self.size // 2
        permutation = 2 * np.array(order(points), np.int64)
        turns = np.arange(points) / points
        if not odd:
            permutation = np.stack([permutation, permutation + 1], 1).ravel()
            turns = np.concatenate([turns, np.arange(points + 1) / self.size])
        roots = np.stack([np.cos(2 * np.pi * turns), -np.sin(2 * np.pi * turns)], 1)
        object.__setattr__(self, "permutation", permutation)
        object.__setattr__(self, "passes", np.array(radices(points), np.int64))
        object.__setattr__(self, "roots", roots.astype(np.float32).ravel())
