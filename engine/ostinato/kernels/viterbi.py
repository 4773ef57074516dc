"""The best path through a chain, as its scores come."""

from __future__ import annotations

from typing import Any

from ostinato.kernels.compiler import kernel


@kernel(
    "int64(float32[:, ::1], int64, float32[:, ::1], float32[::1], float64[::1], float64[::1], uint16[:, ::1], int64, "
    "int64, int64[::1])"
)
def viterbi(
    scores: Any, first: int, transitions: Any, start: Any, best: Any, work: Any, back: Any, lag: int, batch: int,
    out: Any,
) -> int:  # fmt: skip
    """Goes on with paths by the rows of ``scores`` [n, labels], frames ``first``, first + 1, …; returns of how many
    frames the label is in ``out``: whenever lag + batch frames are undecided, the first ``batch`` of them are
    decided, by the best path so far. So there is room for ``n + batch`` in ``out``, and of t frames batch *
    max(0, (t - lag) // batch) are decided.

    ``best`` [labels] holds the score of the best path to each label, less the best of them all; ``back`` [rows,
    labels] from which label that to a label of frame t came, in row t modulo lag + batch. The lowest label wins ties.
    """
    labels = scores.shape[1]
    kept = lag + batch
    found = 0
    for r in range(scores.shape[0]):
        t = first + r
        row = t % kept
        for j in range(labels):
            if t == 0:
                work[j] = start[j] + scores[r, j]
                back[row, j] = 0
                continue
            chosen, highest = 0, best[0] + transitions[0, j]
            for i in range(1, labels):
                score = best[i] + transitions[i, j]
                if score > highest:
                    chosen, highest = i, score
            work[j] = highest + scores[r, j]
            back[row, j] = chosen
        label = 0
        for j in range(1, labels):
            if work[j] > work[label]:
                label = j
        for j in range(labels):
            best[j] = work[j] - work[label]
        if t + 1 >= kept and (t + 1 - kept) % batch == 0:
            for k in range(kept):
                if k >= lag:
                    out[found + batch - 1 - (k - lag)] = label
                label = back[(t - k) % kept, label]
            found += batch
    return found
