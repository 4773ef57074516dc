"""What one core of this processor can do at most: multiply-adds in registers, and reading from each cache."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numba

from ostinato.kernels import warm_up
from ostinato.kernels.product import WIDE
from ostinato.kernels.program import zeros
from ostinato.kernels.simd import BYTES, LANES, address, fma, load, splat, store

_L1 = 24 << 10
_SIZES = {"l1_gbs": 16 << 10, "l2_gbs": 384 << 10, "l3_gbs": 6 << 20}  # bytes that are read over and over
_CHAINS = 12 if WIDE else 5  # sums at once, as registers allow


@numba.njit(nogil=True)
def _multiply_add_wide(times: int, out: Any) -> None:
    """``times`` rounds of twelve independent multiply-adds."""
    x = splat(out[0])
    y = splat(out[1])
    a = b = c = d = e = f = g = h = i = j = k = m = splat(0.0)
    for _ in range(times):
        a, b, c, d = fma(x, y, a), fma(x, y, b), fma(x, y, c), fma(x, y, d)
        e, f, g, h = fma(x, y, e), fma(x, y, f), fma(x, y, g), fma(x, y, h)
        i, j, k, m = fma(x, y, i), fma(x, y, j), fma(x, y, k), fma(x, y, m)
        x = y - x  # not constant, and off the sums' way
    store(address(out), (((a + b) + (c + d)) + ((e + f) + (g + h))) + ((i + j) + (k + m)))


@numba.njit(nogil=True)
def _multiply_add_narrow(times: int, out: Any) -> None:
    """``times`` rounds of five independent multiply-adds."""
    x = splat(out[0])
    y = splat(out[1])
    a = b = c = d = e = splat(0.0)
    for _ in range(times):
        a, b, c, d, e = fma(x, y, a), fma(x, y, b), fma(x, y, c), fma(x, y, d), fma(x, y, e)
    store(address(out), ((a + b) + (c + d)) + e)


@numba.njit(nogil=True)
def _read(data: Any, times: int, out: Any) -> None:
    """Read ``data`` (a multiple of eight vectors) ``times`` times."""
    a = b = c = d = e = f = g = h = splat(0.0)
    for _ in range(times):
        at = address(data)
        for _ in range(data.size // (8 * LANES)):
            a, b, c, d = a + load(at), b + load(at + BYTES), c + load(at + 2 * BYTES), d + load(at + 3 * BYTES)
            e, f, g, h = (
                e + load(at + 4 * BYTES),
                f + load(at + 5 * BYTES),
                g + load(at + 6 * BYTES),
                h + load(at + 7 * BYTES),
            )
            at += 8 * BYTES
    store(address(out), ((a + b) + (c + d)) + ((e + f) + (g + h)))


def measure(repeats: int = 7) -> dict[str, float]:
    """The best of some tries each: {"fma_gmacs", "l1_gbs", "l2_gbs", "l3_gbs"}, for one core."""
    warm_up()
    out = zeros(LANES)
    arithmetic = _multiply_add_wide if WIDE else _multiply_add_narrow
    rounds = 200_000
    found = {"fma_gmacs": _CHAINS * LANES * rounds / _best_ns(lambda: arithmetic(rounds, out), repeats)}
    for name, size in _SIZES.items():
        data = zeros(size // 4)
        times = max(1, (32 << 20) // size)
        found[name] = size * times / _best_ns(lambda data=data, times=times: _read(data, times, out), repeats)
    return {name: round(value, 1) for name, value in found.items()}


def of(found: dict[str, float], weights: int, batch: int, frames: int) -> float:
    """The most multiply-accumulates (10^9 a second) that a network of so many float32 weights can reach.

    Each weight is read, from the smallest cache that holds all, once for ``batch`` streams; in an utterance those of
    the projections, about half, once for many frames.
    """
    size = 4 * weights
    level = "l1_gbs" if size <= _L1 else "l2_gbs" if size <= _l2_bytes() else "l3_gbs"
    uses = batch if frames == 1 else 2 * batch
    return min(found["fma_gmacs"], uses * found[level] / 4)


def _l2_bytes() -> int:
    try:
        text = Path("/sys/devices/system/cpu/cpu0/cache/index2/size").read_text().strip()
        return int(text.removesuffix("K")) << 10
    except (OSError, ValueError):
        return 1 << 20


def _best_ns(call: Any, repeats: int) -> int:
    call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter_ns()
        call()
        times.append(time.perf_counter_ns() - start)
    return min(times)
