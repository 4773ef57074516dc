"""Resampling. Every sum has a fixed order, so the bits depend neither on how audio is cut nor on the width of the
host's vectors."""

from __future__ import annotations

from ostinato.kernels._jit import kernel, part
from ostinato.kernels.simd import BYTES, LANES, address, fma, load, splat, total


@part
def _dot(x, y, count):  # type: ignore[no-untyped-def]
    """The inner product of ``count`` vectors at two addresses."""
    sums = splat(0.0)
    for i in range(count):
        sums = fma(load(x + i * BYTES), load(y + i * BYTES), sums)
    return total(sums)


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
