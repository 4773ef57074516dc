"""Logarithms of the power in bands of sixteen windows at a time, a window in each lane: no sum crosses lanes, so a
window has the same bits alone as among others, and on every host.
"""

from __future__ import annotations

from typing import Any

from ostinato.kernels.activations import log
from ostinato.kernels.compiler import kernel, part, routine
from ostinato.kernels.fourier import PAIR, bin_of, gather, shape, transform
from ostinato.kernels.simd import (
    BYTES,
    address,
    fma,
    load,
    load_float,
    load_int,
    splat,
    sqrt,
    store,
    store_int,
    transpose,
    where_less,
)
from ostinato.lanes import LANES


@part
def _energy(x: int, width: int, gain: float, remove_mean: int) -> Any:
    """The sum of the squares of ``width`` columns times ``gain``, less their mean."""
    level = splat(gain)
    offset = splat(0.0)
    if remove_mean:
        for n in range(width):
            offset = offset + load(x + n * BYTES)
        offset = offset / splat(width) * level
    sums = splat(0.0)
    for n in range(width):
        value = load(x + n * BYTES) * level - offset
        sums = fma(value, value, sums)
    return sums


@routine("void(int64, int64)")
def _magnitude(power: int, count: int) -> None:
    """The square roots of ``count`` columns, in place."""
    for k in range(count):
        store(power + k * BYTES, sqrt(load(power + k * BYTES)))


@routine("void(int64, int64, int64, int64)")
def _power(z: int, size: int, roots: int, out: int) -> None:
    """|X[k]|^2 for k = 0 … size // 2: see `bin_of`."""
    for k in range(size // 2 + 1):
        re, im = bin_of(z, size, roots, k)
        store(out + k * BYTES, fma(re, re, im * im))


@part
def _logarithm(value: Any, floor: float, mean: int, scale: int, m: int) -> Any:
    """(ln max(floor, value) - mean[m]) * scale[m]."""
    least = splat(floor)
    value = log(where_less(value, least, least, value)) - splat(load_float(mean + 4 * m))
    return value * splat(load_float(scale + 4 * m))


@routine("void(int64, int64, int64, int64, int64, float32, float32, float32, int64, int64, int64)")
def _bands(
    spectrum: int,
    bands: int,
    first: int,
    offset: int,
    weights: int,
    factor: float,
    addend: float,
    floor: float,
    mean: int,
    scale: int,
    out: int,
) -> None:
    """(ln max(floor, factor * band m + addend) - mean[m]) * scale[m], a column a band."""
    for m in range(bands):
        w = weights + 4 * load_int(offset + 8 * m)
        count = load_int(offset + 8 * m + 8) - load_int(offset + 8 * m)
        at = spectrum + load_int(first + 8 * m) * BYTES
        sums = splat(0.0)
        for k in range(count):
            sums = fma(splat(load_float(w + 4 * k)), load(at + k * BYTES), sums)
        sums = fma(splat(factor), sums, splat(addend))
        store(out + m * BYTES, _logarithm(sums, floor, mean, scale, m))


@kernel(
    "void(float32[::1], int64[::1], float32, boolean, float32, float32[::1], int64[::1], int64[::1], float32[::1], "
    "boolean, int64[::1], int64[::1], float32[::1], float32, float32, float32, boolean, float32[::1], float32[::1], "
    "float32[::1], float32[:, ::1])"
)
def log_bands(
    samples: Any, starts: Any, gain: float, remove_mean: bool, preemphasis: float, window: Any, permutation: Any,
    passes: Any, roots: Any, magnitude: bool, first: Any, offset: Any, weights: Any, factor: float, addend: float,
    floor: float, energy: bool, mean: Any, scale: Any, work: Any, out: Any,
) -> None:  # fmt: skip
    """Logarithms of bands of windows of samples:

        out[r, m] = (ln max(floor, factor * band m + addend) - mean[m]) * scale[m]

    The window r is ``samples`` from ``starts[r]`` on, W = len(window) of them, times ``gain``, less their mean if
    ``remove_mean``, then x[n] - preemphasis * x[max(n - 1, 0)], times ``window``, then zeros to
    len(permutation); 16 samples must follow the last window. ``permutation``, ``passes`` and ``roots`` are of the
    transform, a `Plan`. Band m weighs the bins from ``first[m]`` on by ``weights[offset[m] : offset[m + 1]]``: their
    power, or their ``magnitude``. If ``energy``, there is one column more than bands: that of the sum of the squares
    of the window's samples, times ``gain``, less their mean. ``mean``, ``scale`` and the rows of ``out`` have the
    columns, padded to a multiple of 16. ``work``: `work_size` float32.
    """
    count = starts.shape[0]
    size = permutation.shape[0]
    odd = size % 2
    points = size if odd else size // 2
    bands = first.shape[0]
    padded = out.shape[1]
    windows = address(work)
    z = windows + 2 * BYTES
    other = z + (work.shape[0] // (2 * LANES) - 1) * BYTES
    for r in range(0, count, LANES):
        for lane in range(LANES):  # lanes that are left over repeat the last window
            store_int(windows + 8 * lane, address(samples) + 4 * starts[min(r + lane, count - 1)])
        gather(windows, window.shape[0], other)
        level = splat(0.0)
        if energy:
            level = _energy(other, window.shape[0], gain, remove_mean)
        if odd:
            for n in range(size):
                store(z + n * PAIR + BYTES, splat(0.0))
        shape(other, window.shape[0], gain, remove_mean, preemphasis, address(window), size, address(permutation), z)
        transform(z, points, address(passes), passes.shape[0], address(roots), other)
        _power(z, size, address(roots) + 8 * points, other)
        if magnitude:
            _magnitude(other, size // 2 + 1)
        _bands(
            other, bands, address(first), address(offset), address(weights), factor, addend, floor, address(mean),
            address(scale), z,
        )  # fmt: skip
        if energy:
            store(z + bands * BYTES, _logarithm(level, floor, address(mean), address(scale), bands))
        for m in range(0, padded, LANES):
            for lane in range(LANES):
                store_int(windows + 8 * lane, z + (m + lane) * BYTES)
            transpose(windows, 0, other)
            for lane in range(min(LANES, count - r)):
                store(address(out) + 4 * ((r + lane) * padded + m), load(other + lane * BYTES))
