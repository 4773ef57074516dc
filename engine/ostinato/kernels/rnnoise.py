"""RNNoise's features of a frame, and what its gains do to a spectrum: a frame is computed by itself, with what its
stream keeps, in an order that is always the same."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ostinato.kernels.activations import log
from ostinato.kernels.compiler import kernel, part
from ostinato.kernels.simd import address, fma, load, load_float, splat, store, store_float
from ostinato.lanes import LANES

LOG10_E = 0.4342944819032518
QUIETEST = 0.04
"""Energy of a frame below which it is digital silence."""
LARGEST = 1e9
"""Of what is analysed, either way: samples that a front end lets through stay far below. Energies are up to its
square."""
_FAR = np.float32(1e15)
_SLOWEST = np.float32(0.6)
"""What is left of a gain, at least, a frame later."""


@part
def _parts(analysis: Any, bins: int, heard: int, bands: int) -> Any:
    """Of an analysis: the spectrum, that of a period before, the energies of both in bands, their correlations."""
    p = 2 * bins
    own = p + 2 * heard
    others, both = own + bands, own + 2 * bands
    return analysis[:p], analysis[p:own], analysis[own:others], analysis[others:both], analysis[both:]


@part
def _bands(x: Any, y: Any, bins: int, heard: int, edges: Any, shares: Any, sums: Any, out: Any) -> None:
    """The real parts of x conj(y), added up in triangular bands. ``x`` and ``y`` hold ``bins`` and ``heard`` values
    of the real parts, then of the imaginary ones."""
    bands = edges.shape[0] - 2
    for b in range(bands + 2):
        sums[b] = 0
    for b in range(bands + 1):
        for k in range(edges[b], edges[b + 1]):
            value = x[k] * y[k] + x[bins + k] * y[heard + k]
            rising = shares[k] * value
            sums[b] += value - rising
            sums[b + 1] += rising
    third = np.float32(2 / 3)  # the outermost bands have a half more
    sums[1] = (sums[0] + sums[1]) * third
    sums[bands] = (sums[bands] + sums[bands + 1]) * third
    for b in range(bands):
        out[b] = sums[b + 1]


@part
def _between(values: Any, edges: Any, shares: Any, out: Any) -> None:
    """Values of bands, interpolated for the bins that they cover."""
    bands = edges.shape[0] - 2
    for b in range(bands + 1):
        low, high = values[max(b - 1, 0)], values[min(b, bands - 1)]
        for k in range(edges[b], edges[b + 1]):
            out[k] = low + shares[k] * (high - low)


@part
def _transformed(values: Any, matrix: Any, out: int) -> None:
    """The row ``values`` times ``matrix``, whole vectors, to the address ``out``."""
    for i in range(0, matrix.shape[1], LANES):
        sums = splat(0.0)
        for j in range(matrix.shape[0]):
            sums = fma(splat(values[j]), load(address(matrix) + 4 * (j * matrix.shape[1] + i)), sums)
        store(out + 4 * i, sums)


@kernel("void(float32[:, ::1], int64[::1], int64[::1], float32[::1], float32[:, ::1], float32[::1], float32[:, ::1])")
def features(spectra: Any, periods: Any, edges: Any, shares: Any, cosines: Any, work: Any, out: Any) -> None:
    """RNNoise's features, whether there is silence, and its analysis (`model.rnnoise`), a row of ``out`` a frame.

    ``spectra`` [2 n, …]: those of the frames, then those of a period before; each the real, then the imaginary parts.
    ``edges`` [bands + 2]: bins where bands lie; ``shares`` [edges[-1]]: how much of each bin belongs to the higher
    band. ``cosines`` [bands, bands]: of the transform. ``bands`` is a multiple of LANES. ``work``: bands + 2 values.
    """
    count, bands, heard = out.shape[0], edges.shape[0] - 2, edges[-1]
    values = 2 * bands + 1
    bins = (out.shape[1] - values - 1 - 2 * heard - 3 * bands) // 2
    for r in range(count):
        row, x, p = out[r], spectra[r], spectra[count + r]
        spectrum, earlier, own, others, both = _parts(row[values + 1 :], bins, heard, bands)
        for k in range(2 * bins):
            spectrum[k] = x[k]
        for k in range(heard):
            earlier[k] = p[k]
            earlier[heard + k] = p[bins + k]
        _bands(spectrum, spectrum, bins, bins, edges, shares, work, own)
        _bands(earlier, earlier, heard, heard, edges, shares, work, others)
        _bands(spectrum, earlier, bins, heard, edges, shares, work, both)
        energy = np.float32(0)
        for b in range(bands):
            both[b] = both[b] / math.sqrt(0.001 + own[b] * others[b])
            energy += own[b]
        if energy < QUIETEST:
            for m in range(values):
                row[m] = 0
            row[values] = 1
            continue
        for b in range(0, bands, LANES):
            level = log(load(address(own) + 4 * b) + splat(0.01)) * splat(LOG10_E)
            store(address(work) + 4 * b, level)
        highest = follow = np.float32(-2)
        for b in range(bands):
            level = max(work[b], max(highest - np.float32(7), follow - np.float32(1.5)))
            highest, follow = max(highest, level), max(follow - np.float32(1.5), level)
            work[b] = level
        _transformed(work, cosines, address(row))
        row[0] -= np.float32(12)
        row[1] -= np.float32(4)
        _transformed(both, cosines, address(row) + 4 * bands)
        row[values - 1] = np.float32(0.01) * np.float32(periods[r] - 300)
        row[values] = 0


@part
def _kept(x: float, least: float, most: float) -> Any:
    """The value x from ``least`` to ``most``."""
    return np.float32(min(max(x, least), most))


@kernel("void(float32[:, ::1], int64[:, ::1], int64[::1], float32[::1], float32, float32[::1], float32[:, ::1])")
def suppress(outputs: Any, streams: Any, edges: Any, shares: Any, scale: float, work: Any, out: Any) -> None:
    """Spectra of frames, each with the gains of the next row, times ``scale``: see `decoders.RnnoiseSynthesis`.

    A row of ``outputs``: gains, whether there is silence, and a frame's analysis. Stream i has the next streams[1, i]
    rows, and keeps at the address streams[0, i] the analysis before them and the last gains. ``edges`` and ``shares``
    as of `features`. ``work``: one analysis, and 3 * bands + 2 + edges[-1] values. ``out`` [n, 2 * bins].
    """
    bands, heard, bins = edges.shape[0] - 2, edges[-1], out.shape[1] // 2
    size = 2 * bins + 2 * heard + 3 * bands
    before = work[:size]
    x, p, own, others, both = _parts(before, bins, heard, bands)
    first = size - 3 * bands  # of the energies
    gains, ratios = work[size : size + bands], work[size + bands : size + 2 * bands]
    sums, curve = work[size + 2 * bands : size + 3 * bands + 2], work[size + 3 * bands + 2 :]
    r = 0
    for i in range(streams.shape[1]):
        kept = streams[0, i]
        last = kept + 4 * size
        for n in range(size):
            before[n] = load_float(kept + 4 * n)
        for _ in range(streams[1, i]):
            row = outputs[r]
            if row[bands] < 0.5:
                for b in range(bands):
                    gains[b] = _kept(row[b], 0.0, 1.0)
                _comb(x, p, bins, heard, own, others, both, gains, edges, shares, sums, ratios, curve)
                for b in range(bands):
                    gain = max(gains[b], _SLOWEST * load_float(last + 4 * b))
                    now = _kept(row[bands + 1 + first + b], 0.0, LARGEST * LARGEST)
                    store_float(last + 4 * b, _kept(gain * (own[b] + 1e-3) / (now + 1e-3), 0.0, 1.0))
                    gains[b] = gain
                _between(gains, edges, shares, curve)
                _times(x, bins, heard, curve)
            for k in range(2 * bins):
                out[r, k] = x[k] * np.float32(scale)
            for n in range(size):
                before[n] = _kept(row[bands + 1 + n], -LARGEST, LARGEST)
            for n in range(first, first + 2 * bands):
                before[n] = _kept(row[bands + 1 + n], 0.0, LARGEST * LARGEST)
            r += 1
        for n in range(size):
            store_float(kept + 4 * n, before[n])


@part
def _times(x: Any, bins: int, heard: int, curve: Any) -> None:
    """A spectrum times real values, which are 0 above the bands."""
    for k in range(heard):
        x[k] *= curve[k]
        x[bins + k] *= curve[k]
    for k in range(heard, bins):
        x[k] = 0
        x[bins + k] = 0


@part
def _comb(
    x: Any, p: Any, bins: int, heard: int, own: Any, others: Any, both: Any, gains: Any, edges: Any, shares: Any,
    sums: Any, ratios: Any, curve: Any,
) -> None:  # fmt: skip
    """The pitch filter: to the spectrum x is added so much of p, a period before, that each band is as periodic as
    speech of its gain would be; its energy stays."""
    bands = gains.shape[0]
    for b in range(bands):
        square, gain = both[b] * both[b], gains[b] * gains[b]
        share = 1.0
        if both[b] <= gains[b]:
            share = square * (1 - gain) / (0.001 + gain * (1 - square))
            share = math.sqrt(min(share, 1.0)) if share > 0 else 0.0
        ratios[b] = share * math.sqrt(own[b] / (1e-8 + others[b]))
    _between(ratios, edges, shares, curve)
    for k in range(heard):
        x[k] = _kept(x[k] + curve[k] * p[k], -_FAR, _FAR)
        x[bins + k] = _kept(x[bins + k] + curve[k] * p[heard + k], -_FAR, _FAR)
    _bands(x, x, bins, bins, edges, shares, sums, ratios)
    for b in range(bands):
        ratios[b] = math.sqrt(own[b] / (1e-8 + ratios[b]))
    _between(ratios, edges, shares, curve)
    _times(x, bins, heard, curve)
