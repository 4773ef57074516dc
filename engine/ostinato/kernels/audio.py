"""Audio kernels: resampling, windows of samples, mel bands. Every sum has a fixed order, so the bits depend
neither on how audio is cut nor on what else is in the batch, nor on the width of the host's vectors.
"""

from __future__ import annotations

import numpy as np

from ostinato.kernels._jit import kernel, part
from ostinato.kernels.activations import log
from ostinato.kernels.simd import BYTES, LANES, address, fma, load, splat, store, total, where_less


@part
def _dot(x, y, count):  # type: ignore[no-untyped-def]
    """The inner product of ``count`` vectors at two addresses."""
    sums = splat(0.0)
    for i in range(count):
        sums = fma(load(x + i * BYTES), load(y + i * BYTES), sums)
    return total(sums)


@part
def _mean(x):  # type: ignore[no-untyped-def]
    """The mean of an array."""
    count = x.shape[0] // LANES
    at = address(x)
    sums = splat(0.0)
    for i in range(count):
        sums = sums + load(at + i * BYTES)
    whole = total(sums)
    for i in range(count * LANES, x.shape[0]):
        whole += x[i]
    return whole / np.float32(x.shape[0])


@kernel("void(float32[::1], float32[:, ::1], int64, int64, int64, float32[::1])")
def resample(samples, table, up, down, position, out):  # type: ignore[no-untyped-def]
    """Band-limited interpolation: out[n] is ``samples`` at position / up + n * down / up + delay.

    ``table`` [phases + 1, taps] is a filter: row p weighs the ``taps`` samples from i on for an output whose window
    begins p / phases after sample i, and delay is what the filter has. Between two rows the weights are interpolated
    linearly. ``taps`` is a multiple of LANES. ``samples`` must hold the last output's window.
    """
    phases, count = table.shape[0] - 1, table.shape[1] // LANES
    x, weights = address(samples), address(table)
    for n in range(out.shape[0]):
        first, rest = divmod(position + n * down, up)
        row, between = divmod(rest * phases, up)
        at, low = x + 4 * first, weights + row * count * BYTES
        if between == 0:
            out[n] = _dot(at, low, count)
            continue
        high, share = low + count * BYTES, splat(between / up)
        sums = splat(0.0)
        for i in range(0, count * BYTES, BYTES):
            weight = load(low + i)
            weight = fma(share, load(high + i) - weight, weight)
            sums = fma(weight, load(at + i), sums)
        out[n] = total(sums)


@kernel("void(float32[::1], int64[::1], float32, boolean, float32, float32[::1], float32[:, ::1])")
def windows(samples, starts, gain, remove_mean, preemphasis, window, out):  # type: ignore[no-untyped-def]
    """Windows of samples, ready for the Fourier transform.

    Row r of ``out`` [n, >= W] is the W samples from ``starts[r]`` on times ``gain``, less their mean if
    ``remove_mean``, then x[i] - preemphasis * x[max(i - 1, 0)], times ``window`` [W]; zeros to the end.
    """
    width = window.shape[0]
    scale, damping, weights = splat(gain), splat(preemphasis), address(window)
    for row in range(starts.shape[0]):
        x, y = samples[starts[row] : starts[row] + width], out[row]
        mean = _mean(x) * gain if remove_mean else np.float32(0)
        offset = splat(mean)
        source, target = address(x), address(y)
        i = 1  # the first sample has none before it
        while i + LANES <= width:
            before = load(source + 4 * i - 4) * scale - offset
            here = load(source + 4 * i) * scale - offset
            store(target + 4 * i, (here - damping * before) * load(weights + 4 * i))
            i += LANES
        for j in range(i, width):
            y[j] = ((x[j] * gain - mean) - preemphasis * (x[j - 1] * gain - mean)) * window[j]
        y[0] = (x[0] * gain - mean) * (np.float32(1) - preemphasis) * window[0]
        y[width:] = 0


@kernel(
    "void(complex64[:, ::1], int64[::1], int64[::1], float32[::1], float32, float32[::1], float32[::1], "
    "float32[:, ::1])"
)
def mel_bands(spectra, first, offset, weights, floor, mean, scale, out):  # type: ignore[no-untyped-def]
    """(ln max(floor, power in band m) - mean[m]) * scale[m] for each row of ``spectra`` [n, bins] and each band.

    Band m weighs the bins from ``first[m]`` on by ``weights[offset[m] : offset[m + 1]]``, a multiple of LANES of
    them, zeros at its end. ``mean`` and ``scale`` [size], ``out`` [n, size]: the bands, padded to a multiple of
    LANES.
    """
    bins, bands = spectra.shape[1], first.shape[0]
    power = np.zeros(bins + LANES, np.float32)  # a band's padding may reach beyond the last bin
    powers, least = address(power), splat(floor)
    for t in range(spectra.shape[0]):
        for k in range(bins):
            z = spectra[t, k]
            power[k] = z.real * z.real + z.imag * z.imag
        out[t, bands:] = 0
        for m in range(bands):
            at = address(weights) + 4 * offset[m]
            out[t, m] = _dot(powers + 4 * first[m], at, (offset[m + 1] - offset[m]) // LANES)
        row = address(out) + t * 4 * out.shape[1]
        for i in range(0, 4 * out.shape[1], BYTES):
            value = load(row + i)
            value = log(where_less(value, least, least, value)) - load(address(mean) + i)
            store(row + i, value * load(address(scale) + i))
