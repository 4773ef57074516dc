"""Peaks of activations as they come."""

from __future__ import annotations

from typing import Any

from ostinato.kernels.compiler import kernel


@kernel(
    "int64(float32[:, ::1], int64, int64, float64[::1], int64, int64, float64, float32[:, ::1], float64[:, ::1], "
    "float64[:, ::1], int64[:, ::1], float64[::1])"
)
def peaks(
    values: Any, first: int, end: int, smoothing: Any, post_avg: int, post_max: int, threshold: float, recent: Any,
    smoothed: Any, candidates: Any, places: Any, heights: Any,
) -> int:  # fmt: skip
    """The peaks that the rows of ``values`` [n, columns], frames ``first``, first + 1, …, make known: how many, their
    (frame, column) in ``places`` and their height in ``heights``, of which there must be room for n * columns.

    A frame's value is smoothed by the weights ``smoothing``, whose middle is its own. It is a candidate if it is at
    least ``threshold`` above the mean of the len(smoothed) values up to ``post_avg`` frames later (above 0 if that is
    one alone), and a peak if no candidate of the len(candidates) up to ``post_max`` frames later is higher. Values of
    frames before 0 and from ``end`` on count as 0.

    ``recent`` [len(smoothing), columns], ``smoothed`` and ``candidates`` keep what comes before, frame t in row t
    modulo their length; zeros at first.
    """
    taps, averaged, compared = smoothing.shape[0], smoothed.shape[0], candidates.shape[0]
    later = (taps - 1) // 2
    found = 0
    for r in range(values.shape[0]):
        newest = first + r
        at = newest - later
        middle = at - post_avg
        decided = middle - post_max
        for c in range(values.shape[1]):
            recent[newest % taps, c] = values[r, c]
            if at < 0:
                continue
            value = 0.0
            if at < end:
                for k in range(taps):
                    value += smoothing[k] * recent[(newest - k) % taps, c]
            smoothed[at % averaged, c] = value
            if middle < 0:
                continue
            level = 0.0
            if averaged > 1:
                for i in range(averaged):
                    level += smoothed[(at - i) % averaged, c]
                level /= averaged
            value = smoothed[middle % averaged, c]
            reached = middle < end and value > 0.0 and value >= level + threshold
            candidates[middle % compared, c] = value if reached else 0.0
            if decided < 0 or decided >= end:
                continue
            height = candidates[decided % compared, c]
            highest = height > 0.0
            for i in range(compared):
                if candidates[i, c] > height:
                    highest = False
            if highest:
                places[found, 0], places[found, 1] = decided, c
                heights[found] = height
                found += 1
    return found
