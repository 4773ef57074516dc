"""What one core of this processor can do at most: multiply-adds in registers, and reading from each cache.

Clocks change from second to second, so a share of the limit is only exact against a limit measured in between; the
probes are therefore timed in turns with what they are the limit of.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import llvmlite.binding
import numba

from ostinato.kernels import warm_up
from ostinato.kernels.aligned import zeros
from ostinato.kernels.product import WIDE
from ostinato.kernels.simd import BYTES, address, fma, load, splat, store
from ostinato.lanes import LANES
from ostinato_bench import limit_int8
from ostinato_bench.cells import GATES, Cell, Precision
from ostinato_bench.probe import Probe
from ostinato_bench.timing import Timed, alternate

_CHAINS = 12 if WIDE else 5
"""Sums at once. Two multiply-adds a cycle that take four or five cycles want eight to ten registers of sums: without
AVX-512, five vectors are ten of the sixteen; with it, twelve are twelve of 32."""
_ROUNDS = 5000
_READ_ONCE = 256 << 10  # bytes that a probe reads at least
_FEATURES = llvmlite.binding.get_host_cpu_features()
_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")


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
    """Read ``data`` (a multiple of eight vectors) ``times`` times, in two halves at once, which the processor
    fetches ahead better than one."""
    a = b = c = d = e = f = g = h = splat(0.0)
    count = data.size // (8 * LANES)
    for _ in range(times):
        at = address(data)
        half = at + count * 4 * BYTES
        for _ in range(count):
            a, b, c, d = a + load(at), b + load(at + BYTES), c + load(at + 2 * BYTES), d + load(at + 3 * BYTES)
            e, f, g, h = (
                e + load(half),
                f + load(half + BYTES),
                g + load(half + 2 * BYTES),
                h + load(half + 3 * BYTES),
            )
            at += 4 * BYTES
            half += 4 * BYTES
    store(address(out), ((a + b) + (c + d)) + ((e + f) + (g + h)))


def arithmetic(precision: Precision) -> Probe:
    """Multiply-accumulates in registers."""
    return _float32() if precision == "float32" else limit_int8.arithmetic()


@cache
def _float32() -> Probe:
    warm_up()
    out = zeros(LANES)
    run = _multiply_add_wide if WIDE else _multiply_add_narrow
    return Probe(lambda: run(_ROUNDS, out), _CHAINS * LANES * _ROUNDS / 1e3)


def reading(size: int) -> Probe:
    """Reading about ``size`` bytes over and over, from whichever cache they fit in."""
    data, out = zeros(max(size // (8 * BYTES), 1) * 8 * LANES), zeros(LANES)
    data[:] = 1.0  # memory that was never written is one page of zeros, which any cache holds
    times = max(1, -(-_READ_ONCE // data.nbytes))
    return Probe(lambda: _read(data, times, out), data.nbytes * times / 1e3)


def levels() -> dict[str, int]:
    """Bytes of this core's data caches, {"l1": …, "l2": …, "l3": …}, as the system says, or as is common."""
    found = {"l1": 32 << 10, "l2": 1 << 20, "l3": 16 << 20}
    for folder in sorted(_CACHES.glob("index*")):
        try:
            level, kind, size = ((folder / name).read_text().strip() for name in ("level", "type", "size"))
            if kind != "Instruction" and f"l{level}" in found:
                found[f"l{level}"] = int(size.removesuffix("K")) << 10
        except (OSError, ValueError):
            continue
    return found


def instructions() -> list[str]:
    """Which of the vector instructions that matter this processor has."""
    return [name for name in ("neon", "avx2", "fma", "avx512f", "avxvnni", "avx512vnni") if _FEATURES.get(name)]


def measure(seconds: float = 1.0) -> dict[str, float]:
    """{"fma_gmacs", "int8_gmacs", "l1_gbs", "l2_gbs", "l3_gbs"} of one core: upper quartiles over some rounds."""
    size = levels()
    probes = {
        "fma_gmacs": arithmetic("float32"),
        "int8_gmacs": arithmetic("int8"),
        "l1_gbs": reading(size["l1"] // 2),
        "l2_gbs": reading(size["l2"] // 2),
        "l3_gbs": reading(min(8 * size["l2"], size["l3"] // 4)),
    }
    spent = alternate({name: Timed(probe.call) for name, probe in probes.items()}, seconds, rounds=20)
    return {name: round(probe.rate(spent[name].low), 1) for name, probe in probes.items()}


def read_again(cell: Cell) -> int:
    """Bytes of weights that are read over and over: a step's are all of them; in an utterance those of W are used
    for many frames at once, and one matrix R after another is read for each frame."""
    if cell.frames == 1:
        return cell.weights * cell.bytes_per_weight
    return GATES[cell.cell] * cell.hidden**2 * cell.bytes_per_weight


def level_of(size: int) -> str:
    """The cache that holds so many bytes: "l1", "l2", "l3" or "memory"."""
    return next((level for level, room in levels().items() if size <= room), "memory")


def shortest_us(cell: Cell, gmacs: float, gbs: float) -> float:
    """The least time a call can take: what has to be computed at ``gmacs`` (10^9 multiply-accumulates a second), or
    the weights at ``gbs`` (10^9 bytes a second), whichever takes longer."""
    computing = cell.batch * cell.frames / gmacs / 1e3
    reading_ = cell.frames * cell.bytes_per_weight / gbs / 1e3
    if cell.frames == 1:
        return cell.weights * max(computing, reading_)
    return cell.projection_weights * computing + cell.recurrent_weights * max(computing, reading_)
