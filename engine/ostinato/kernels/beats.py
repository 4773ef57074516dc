"""The bar pointer model: a hidden Markov model of tempo and place within the beat, as its observations come.

Interval g has the states from ``firsts[g]`` on, one for each frame of it; the first ``heard[g]`` of them are where a
beat is heard. ``changes`` [from, to] are probabilities of intervals after each other.
"""

from __future__ import annotations

from typing import Any

from ostinato.kernels.compiler import kernel, part

LEAST = 1e-9
"""No observation is less likely than this: an output that is 0 or 1 rules nothing out."""


@part
def _likelihoods(activation: float, observation_lambda: float) -> Any:
    """Of a frame with this output where beats are heard, and elsewhere."""
    heard = min(max(activation, LEAST), 1.0 - LEAST)
    return heard, (1.0 - heard) / (observation_lambda - 1.0)


@kernel(
    "void(float32[::1], int64[::1], int64[::1], int64[::1], float64[:, ::1], float64, float64[::1], float64[:, ::1], "
    "int64[::1])"
)
def forward(
    activations: Any, firsts: Any, intervals: Any, heard: Any, changes: Any, observation_lambda: float, chances: Any,
    work: Any, out: Any,
) -> None:  # fmt: skip
    """The forward algorithm (Rabiner 1989): ``chances`` [states], the probability of each state given all frames so
    far, goes on by ``activations`` [n]; ``out`` [n] becomes the likeliest state of each frame, the lowest of equals.
    ``work`` [2, intervals]."""
    groups = firsts.shape[0]
    ends, begins = work[0], work[1]
    for r in range(activations.shape[0]):
        for g in range(groups):
            ends[g] = chances[firsts[g] + intervals[g] - 1]
            begins[g] = 0.0
        for i in range(groups):  # so that sums of many intervals are made at a time, each in the order of i
            for g in range(groups):
                begins[g] += ends[i] * changes[i, g]
        beat, other = _likelihoods(activations[r], observation_lambda)
        total, highest, likeliest = 0.0, -1.0, 0
        for g in range(groups):
            first = firsts[g]
            for s in range(first + intervals[g] - 1, first, -1):
                chances[s] = chances[s - 1]
            chances[first] = begins[g]
            for s in range(first, first + intervals[g]):
                chance = chances[s] * (beat if s < first + heard[g] else other)
                chances[s] = chance
                total += chance
                if chance > highest:
                    highest, likeliest = chance, s
        for s in range(chances.shape[0]):
            chances[s] /= total
        out[r] = likeliest


@kernel(
    "int64(int64, int64[::1], int64[::1], int64[::1], float64[:, ::1], float64[:, ::1], float64[::1], float64[::1], "
    "uint16[:, ::1], int64)"
)
def best_paths(
    first_frame: int, firsts: Any, intervals: Any, heard: Any, changes: Any, observed: Any,
    best: Any, ends: Any, back: Any, kept: int,
) -> int:  # fmt: skip
    """Viterbi's algorithm: ``best`` [states], the logarithm of the probability of the best path to each state, less
    the largest, goes on by frames ``first_frame``, …. ``observed`` [n, 2]: the logarithms of how likely each of them
    is where beats are heard, and elsewhere; ``changes`` are logarithms too. From which interval a beat of interval g
    that begins with frame t came is in row t modulo ``kept`` of ``back`` [rows, intervals]; the lowest wins ties.
    Returns the best path's last state."""
    groups = firsts.shape[0]
    likeliest = 0
    for r in range(observed.shape[0]):
        row = (first_frame + r) % kept
        for g in range(groups):
            ends[g] = best[firsts[g] + intervals[g] - 1]
        highest = -1e300
        for g in range(groups):
            first = firsts[g]
            for s in range(first + intervals[g] - 1, first, -1):
                best[s] = best[s - 1]
            came, began = 0, ends[0] + changes[0, g]
            for i in range(1, groups):
                score = ends[i] + changes[i, g]
                if score > began:
                    came, began = i, score
            best[first] = began
            back[row, g] = came
            for s in range(first, first + intervals[g]):
                best[s] += observed[r, 0] if s < first + heard[g] else observed[r, 1]
                if best[s] > highest:
                    highest, likeliest = best[s], s
        for s in range(best.shape[0]):
            best[s] -= highest
    return likeliest
