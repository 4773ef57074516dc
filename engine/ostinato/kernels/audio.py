"""Resampling, cutting into windows, and adding windows up. Every sum has a fixed order, so the bits depend neither on
how audio is cut nor on the width of the host's vectors."""

from __future__ import annotations

from ostinato.kernels.compiler import kernel, part
from ostinato.kernels.simd import BYTES, address, first_lanes, fma, load, splat, store, total
from ostinato.lanes import LANES


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


@part
def _copy(source, target, count, unit):  # type: ignore[no-untyped-def]
    """``count`` float32 times ``unit``, then zeros to the end of the vector."""
    for i in range(0, count, LANES):
        store(target + 4 * i, first_lanes(count - i, load(source + 4 * i) * splat(unit), splat(0.0)))


@kernel("int64(float32[::1], float32, int64[:, ::1], int64, int64, float32[::1], int64[::1])")
def cut(samples, unit, streams, window, hop, out, starts):  # type: ignore[no-untyped-def]
    """The windows that ``samples``, times ``unit``, complete, stream after stream: in ``out``, from ``starts`` on;
    returns how many. Each stream keeps what its next window needs.

    Stream i has the next streams[3, i] samples, of which the first streams[2, i] are skipped; before them comes its
    tail, streams[1, i] float32 at the address streams[0, i]. All move on: the tail to where the next window begins,
    the rest of its ``window`` values zero, or, if a hop leads beyond it, what is to be skipped. streams[3, i] becomes
    the number of windows. Whole vectors are read and written: ``samples`` and ``out`` need LANES more values,
    and tails are whole vectors.
    """
    source, target, total = address(samples), address(out), 0
    for i in range(streams.shape[1]):
        tail, kept, given = streams[0, i], streams[1, i], streams[3, i]
        skipped = min(streams[2, i], given)
        fresh = given - skipped
        length = kept + fresh
        _copy(tail, target, kept, 1.0)
        _copy(source + 4 * skipped, target + 4 * kept, fresh, unit)
        count = (length - window) // hop + 1 if length >= window else 0
        for j in range(count):
            starts[total + j] = (target - address(out)) // 4 + j * hop
        drop = min(count * hop, length)
        streams[1, i] = length - drop
        streams[2, i] += count * hop - drop - skipped
        streams[3, i] = count
        for j in range((window + LANES - 1) // LANES):
            store(tail + j * BYTES, splat(0.0))
        _copy(target + 4 * drop, tail, length - drop, 1.0)
        total += count
        source += 4 * given
        target += 4 * length
    return total


@kernel("void(float32[:, ::1], int64[:, ::1], int64, int64, float32[:, ::1], float32[::1])")
def overlap_add(frames, streams, size, hop, weights, out):  # type: ignore[no-untyped-def]
    """The sums of frames of ``size`` values, each ``hop`` after the one before: as much as is complete, ``hop``
    values of ``out`` for each frame, stream after stream.

    Stream i has the next streams[1, i] rows of ``frames``, of which the first is its frame number streams[2, i]; its
    tail, at the address streams[0, i], holds the sums that later frames go on with, zeros behind them, ``size`` and
    ``hop`` values each rounded up to whole vectors. What frame n completes is multiplied by row min(n, last) of
    ``weights``. Frames and weights are whole vectors; ``out`` needs LANES more values.
    """
    target, source, row = address(out), address(frames), 4 * frames.shape[1]
    pitch, last = 4 * weights.shape[1], weights.shape[0] - 1
    for i in range(streams.shape[1]):
        tail, first = streams[0, i], streams[2, i]
        for j in range(streams[1, i]):
            for k in range(0, size, LANES):
                more = first_lanes(size - k, load(source + 4 * k), splat(0.0))
                store(tail + 4 * k, load(tail + 4 * k) + more)
            scale = address(weights) + pitch * min(first + j, last)
            for k in range(0, hop, LANES):
                store(target + 4 * k, load(tail + 4 * k) * load(scale + 4 * k))
            for k in range(0, size, LANES):
                store(tail + 4 * k, load(tail + 4 * (hop + k)))
            target += 4 * hop
            source += row
