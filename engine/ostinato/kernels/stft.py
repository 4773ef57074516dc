"""Short-time Fourier transforms of sixteen windows at a time, there and back (see `fourier`)."""

from __future__ import annotations

from typing import Any

from ostinato.kernels.activations import log
from ostinato.kernels.compiler import kernel, part, routine
from ostinato.kernels.fourier import PAIR, bin_of, gather, shape, times, transform
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

REAL, IMAGINARY, MAGNITUDE, POWER, LOG_POWER = range(5)
"""What `analyse` can give of each bin."""
LOG10_E = 0.4342944819032518


@routine("void(int64, int64, int64, int64)")
def _bins(z: int, size: int, roots: int, out: int) -> None:
    """X[k] for k = 0 … size // 2, complex columns."""
    for k in range(size // 2 + 1):
        re, im = bin_of(z, size, roots, k)
        store(out + k * PAIR, re)
        store(out + k * PAIR + BYTES, im)


@routine("void(int64, int64, int64, float32, float32, int64)")
def _part(bins: int, count: int, what: int, epsilon: float, floor: float, out: int) -> None:
    """Of ``count`` complex columns what is asked for, a column of each."""
    if what <= IMAGINARY:
        for k in range(count):
            store(out + k * BYTES, load(bins + k * PAIR + what * BYTES))
        return
    least = splat(floor)
    for k in range(count):
        re, im = load(bins + k * PAIR), load(bins + k * PAIR + BYTES)
        value = fma(re, re, im * im) + splat(epsilon)
        if what == MAGNITUDE:
            value = sqrt(value)
        elif what == LOG_POWER:
            value = log(where_less(value, least, least, value)) * splat(LOG10_E)
        store(out + k * BYTES, value)


@part
def _store_rows(columns: int, count: int, table: int, block: int, used: int, out: int, pitch: int) -> None:
    """``count`` columns, rounded up to whole vectors, as the first ``used`` of 16 rows, ``pitch`` bytes apart.
    ``table`` and ``block`` are memory for 16 addresses and 16 vectors."""
    for m in range(0, count, LANES):
        for lane in range(LANES):
            store_int(table + 8 * lane, columns + (m + lane) * BYTES)
        transpose(table, 0, block)
        for lane in range(used):
            store(out + lane * pitch + 4 * m, load(block + lane * BYTES))


@kernel(
    "void(float32[::1], int64[::1], float32[::1], int64[::1], int64[::1], float32[::1], int64[::1], float32, "
    "float32, float32[::1], float32[:, ::1])"
)
def analyse(
    samples: Any, starts: Any, window: Any, permutation: Any, passes: Any, roots: Any, parts: Any, epsilon: float,
    floor: float, work: Any, out: Any,
) -> None:  # fmt: skip
    """Spectra of windows of samples: out[r] has, one after the other, each of ``parts`` of the bins X[0 … N / 2].

    The window r is ``samples`` from ``starts[r]`` on, len(window) of them, times ``window``, then zeros to N =
    len(permutation); 16 samples must follow the last window. ``permutation``, ``passes`` and ``roots`` are of the
    transform, a `Plan`. Power is |X|^2 + ``epsilon``, magnitude its square root, log-power the decimal logarithm of
    what of it is at least ``floor``. The rows of ``out`` have room for 16 values more. ``work``: `work_size` float32.
    """
    count, size, pitch = starts.shape[0], permutation.shape[0], 4 * out.shape[1]
    points = size if size % 2 else size // 2
    bins = size // 2 + 1
    table = address(work)
    z = table + 2 * BYTES
    other = z + (work.shape[0] // (2 * LANES) - 1) * BYTES
    for r in range(0, count, LANES):
        for lane in range(LANES):  # lanes that are left over repeat the last window
            store_int(table + 8 * lane, address(samples) + 4 * starts[min(r + lane, count - 1)])
        gather(table, window.shape[0], other)
        if size % 2:
            for n in range(size):
                store(z + n * PAIR + BYTES, splat(0.0))
        shape(other, window.shape[0], 1.0, 0, 0.0, address(window), size, address(permutation), z)
        transform(z, points, address(passes), passes.shape[0], address(roots), other)
        _bins(z, size, address(roots) + 8 * points, other)
        columns = (bins + LANES - 1) // LANES * LANES
        for i in range(parts.shape[0]):
            _part(other, bins, parts[i], epsilon, floor, z)
            row = address(out) + r * pitch + 4 * i * bins
            _store_rows(z, bins, table, z + columns * BYTES, min(LANES, count - r), row, pitch)


@routine("void(int64, int64, int64, int64, int64)")
def _halves(x: int, size: int, permutation: int, roots: int, z: int) -> None:
    """What is transformed for an inverse of an even ``size``: columns of conj(E[k] + i O[k]), k < size / 2, where
    E[k] = X[k] + conj X[size / 2 - k] and O[k] = (X[k] - conj X[size / 2 - k]) exp(2 pi i k / size).

    ``x``: columns of the real, then of the imaginary parts of X. Those of X[0] and X[size / 2] have none.
    """
    half = size // 2
    imaginary = x + (half + 1) * BYTES
    store(imaginary, splat(0.0))
    store(imaginary + half * BYTES, splat(0.0))
    for k in range(half):
        ar, ai = load(x + k * BYTES), load(imaginary + k * BYTES)
        br, bi = load(x + (half - k) * BYTES), load(imaginary + (half - k) * BYTES)
        re, im = times(roots, k, ar - br, splat(0.0) - ai - bi)  # conj O
        at = z + load_int(permutation + 16 * k) * BYTES
        store(at, ar + br + im)
        store(at + BYTES, bi - ai - re)


@routine("void(int64, int64, int64, int64)")
def _whole(x: int, size: int, permutation: int, z: int) -> None:
    """What is transformed for an inverse of an odd ``size``: columns of conj X[k], k < size."""
    imaginary = x + (size // 2 + 1) * BYTES
    store(imaginary, splat(0.0))
    for k in range(size // 2 + 1):
        re, im = load(x + k * BYTES), load(imaginary + k * BYTES)
        at = z + load_int(permutation + 8 * k) * BYTES
        store(at, re)
        store(at + BYTES, splat(0.0) - im)
        if k > 0:
            at = z + load_int(permutation + 8 * (size - k)) * BYTES
            store(at, re)
            store(at + BYTES, im)


@kernel("void(float32[::1], float32[::1], int64[::1], int64[::1], float32[::1], float32[::1], float32[:, ::1])")
def synthesise(spectra: Any, window: Any, permutation: Any, passes: Any, roots: Any, work: Any, out: Any) -> None:
    """Inverse transforms, windowed: out[r] has the first len(window) of the N values whose transform is spectrum r.

    Spectrum r is the real parts, then the imaginary parts of X[0 … N / 2], 2 (N // 2 + 1) values of ``spectra`` from
    where r - 1 ends; 16 values must follow the last. ``permutation``, ``passes`` and ``roots`` are of the transform,
    a `Plan` of N. ``window`` has the factor 1 / N, and, if N is even, the sign of each second value changed. The rows
    of ``out`` are rounded up to whole vectors. ``work``: `work_size` float32.
    """
    count, size, pitch = out.shape[0], permutation.shape[0], 4 * out.shape[1]
    points = size if size % 2 else size // 2
    values = 2 * (size // 2 + 1)
    step = 2 if size % 2 else 1  # of an odd number of values the imaginary parts are zero
    table = address(work)
    z = table + 2 * BYTES
    other = z + (work.shape[0] // (2 * LANES) - 1) * BYTES
    for r in range(0, count, LANES):
        for lane in range(LANES):
            store_int(table + 8 * lane, address(spectra) + 4 * values * min(r + lane, count - 1))
        gather(table, values, other)
        if size % 2:
            _whole(other, size, address(permutation), z)
        else:
            _halves(other, size, address(permutation), address(roots) + 8 * points, z)
        transform(z, points, address(passes), passes.shape[0], address(roots), other)
        for n in range(window.shape[0]):
            store(other + n * BYTES, load(z + step * n * BYTES) * splat(load_float(address(window) + 4 * n)))
        row = address(out) + r * pitch
        _store_rows(other, window.shape[0], table, z, min(LANES, count - r), row, pitch)
