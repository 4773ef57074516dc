"""By how much spectra have risen since some frames before."""

from __future__ import annotations

from typing import Any

from ostinato.kernels.compiler import kernel
from ostinato.kernels.simd import load_float, store_float


@kernel("void(float32[:, ::1], int64[::1], int64[::1], int64, int64[:, ::1], float32[:, ::1])")
def rises(spectra: Any, counts: Any, histories: Any, depth: int, groups: Any, out: Any) -> None:
    """Each row of ``spectra`` [n, columns], group by group of columns, and behind each group its rise.

    Stream i has the next counts[i] rows. At the address histories[i] it keeps the ``depth`` rows before them, float32
    [depth, columns]; they move on. Group g is ``groups[g, 1]`` columns from groups[g, 0] on; row t rises by max(0,
    spectra[t] - spectra[t - groups[g, 2]]), at most ``depth`` rows before. ``out`` [n, 2 * columns].
    """
    columns = spectra.shape[1]
    first = 0
    for i in range(counts.shape[0]):
        history, count = histories[i], counts[i]
        for t in range(count):
            now = spectra[first + t]
            for g in range(groups.shape[0]):
                begin, size, lag = groups[g, 0], groups[g, 1], groups[g, 2]
                made = out[first + t, 2 * begin : 2 * (begin + size)]
                for m in range(size):
                    value = now[begin + m]
                    if t >= lag:
                        rise = value - spectra[first + t - lag, begin + m]
                    else:
                        rise = value - load_float(history + 4 * ((depth - lag + t) * columns + begin + m))
                    made[m] = value
                    made[size + m] = rise if rise > 0 else 0.0
        for d in range(depth):
            came = count - depth + d
            for m in range(columns):
                if came >= 0:
                    store_float(history + 4 * (d * columns + m), spectra[first + came, m])
                else:
                    moved = load_float(history + 4 * ((d + count) * columns + m))
                    store_float(history + 4 * (d * columns + m), moved)
        first += count
