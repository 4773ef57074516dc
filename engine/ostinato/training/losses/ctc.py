"""Connectionist temporal classification: the loss of an unsegmented label sequence, and its gradient.

Graves, Fernández, Gomez and Schmidhuber (2006), Connectionist Temporal Classification, sections 3 and 4, in log space
and float64.
"""
# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from numba import njit

from ostinato.errors import ShapeError, TrainingError
from ostinato.training.activations import kept
from ostinato.training.losses.loss import Judgement, Link, Loss, within
from ostinato.training.packing import Array


@kept
@njit(nogil=True)
def _log_add(a: float, b: float) -> float:
    """log(exp(a) + exp(b))."""
    if a < b:
        a, b = b, a
    return a if b == -np.inf else a + math.log1p(math.exp(b - a))


@kept
@njit(nogil=True)
def _log_add3(a: float, b: float, c: float) -> float:
    """log(exp(a) + exp(b) + exp(c))."""
    if c == -np.inf:
        return float(_log_add(a, b))
    high, low = (a, b) if a >= b else (b, a)
    if c > high:
        high, c = c, high
    return high + math.log1p(math.exp(low - high) + math.exp(c - high))


@kept
@njit(nogil=True)
def _one(logits: Array, labels: Array, blank: int, gradient: Array) -> float:
    """-log p(labels | logits [T, K]), its gradient into ``gradient`` [T, K] (zero if the labels cannot be emitted).

    With l' the labels with blanks around each, S = 2 L + 1 long (equations 6 to 16):

        alpha_t(s) = y_t(l'_s) (alpha_{t-1}(s) + alpha_{t-1}(s-1) + [l'_s not blank, not l'_{s-2}] alpha_{t-1}(s-2))
        d(-log p) / d logit_t(k) = y_t(k) - sum over s with l'_s = k of alpha_t(s) beta_t(s) / p

    beta_t(s) is alpha's like from the end, but without y_t(l'_s): alpha_t(s) beta_t(s) / p is then the probability of
    passing s at t.
    """
    T, K = logits.shape
    S = 2 * labels.shape[0] + 1
    gradient[:] = 0
    if T == 0:
        return 0.0 if S == 1 else np.inf
    symbols = np.full(S, blank)
    symbols[1::2] = labels
    log_y, y = np.empty((T, K)), np.empty((T, K))
    for t in range(T):
        high = -np.inf
        for k in range(K):
            log_y[t, k] = logits[t, k]
            high = max(high, log_y[t, k])
        total = 0.0
        for k in range(K):
            y[t, k] = math.exp(log_y[t, k] - high)
            total += y[t, k]
        shift = high + math.log(total)
        for k in range(K):
            y[t, k] /= total
            log_y[t, k] -= shift

    alpha = np.full((T, S), -np.inf)
    alpha[0, 0] = log_y[0, blank]
    if S > 1:
        alpha[0, 1] = log_y[0, symbols[1]]
    for t in range(1, T):
        # Beyond these bounds no path reaches s from the start, or the end from s, in time.
        for s in range(max(0, S - 2 * (T - t)), min(S, 2 * t + 2)):
            one = alpha[t - 1, s - 1] if s > 0 else -np.inf
            two = alpha[t - 1, s - 2] if s > 1 and symbols[s] != blank and symbols[s] != symbols[s - 2] else -np.inf
            alpha[t, s] = _log_add3(alpha[t - 1, s], one, two) + log_y[t, symbols[s]]
    log_p = alpha[T - 1, S - 1]
    if S > 1:
        log_p = _log_add(log_p, alpha[T - 1, S - 2])
    if log_p == -np.inf:
        return np.inf

    passed = np.empty(K)
    beta, after = np.full(S, -np.inf), np.full(S, -np.inf)
    for t in range(T - 1, -1, -1):
        passed[:] = 0
        for s in range(S):
            if t == T - 1:
                beta[s] = 0.0 if s >= S - 2 else -np.inf
            else:
                one = after[s + 1] if s + 1 < S else -np.inf
                two = -np.inf
                if s + 2 < S and symbols[s + 2] != blank and symbols[s + 2] != symbols[s]:
                    two = after[s + 2]
                beta[s] = _log_add3(after[s], one, two)
            if alpha[t, s] > -np.inf and beta[s] > -np.inf:
                passed[symbols[s]] += math.exp(alpha[t, s] + beta[s] - log_p)
        for s in range(S):
            after[s] = beta[s] + log_y[t, symbols[s]]
        for k in range(K):
            gradient[t, k] = y[t, k] - passed[k]
    return float(-log_p)


@kept
@njit(nogil=True)
def _batch(
    logits: Array, lengths: Array, labels: Array, starts: Array, blank: int, losses: Array, gradient: Array
) -> None:
    """`_one` for each sequence b of logits [B, T, K]: ``lengths[b]`` frames, labels[starts[b] : starts[b + 1]]."""
    for b in range(logits.shape[0]):
        T = lengths[b]
        losses[b] = _one(logits[b, :T], labels[starts[b] : starts[b + 1]], blank, gradient[b, :T])


@dataclass(frozen=True)
class CtcLoss(Loss):
    """L = -log p(labels | outputs), the sum over all alignments; a sequence counts once.

    Targets: for each sequence its label indices, none of them ``blank``; may be empty. A sequence too short for its
    labels (one frame per label, and one blank between equal neighbours) has loss infinity, gradient 0, and does not
    count.
    """

    blank: int = 0

    kind: ClassVar[str] = "ctc"
    link: ClassVar[Link] = "softmax"
    framewise: ClassVar[bool] = False

    def __call__(self, outputs: Array, lengths: npt.ArrayLike, targets: Sequence[npt.ArrayLike]) -> Judgement:
        """As `Loss`. Raises TrainingError for labels that are blank or no output, ShapeError for too many or few."""
        B, _, K = outputs.shape
        if len(targets) != B:
            raise ShapeError(f"{len(targets)} label sequences for {B} sequences of outputs")
        within(outputs, lengths)
        rows = [np.asarray(row, np.int64).reshape(-1) for row in targets]
        labels = np.concatenate([np.zeros(0, np.int64), *rows])
        starts = np.cumsum([0, *map(len, rows)])
        if (wrong := np.flatnonzero((labels < 0) | (labels >= K) | (labels == self.blank))).size:
            b = int(np.searchsorted(starts, wrong[0], "right")) - 1
            raise TrainingError(
                f"label {labels[wrong[0]]} of sequence {b}: those of CTC are from 0 to {K - 1} and not the blank, "
                f"{self.blank}"
            )
        losses, gradient = np.empty(B), np.zeros(outputs.shape, outputs.dtype)
        outputs = np.ascontiguousarray(outputs)
        _batch(outputs, np.asarray(lengths, np.int64), labels, starts, self.blank, losses, gradient)
        return Judgement(losses, np.where(np.isposinf(losses), 0.0, 1.0), gradient)
