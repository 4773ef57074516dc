"""Categorical cross-entropy."""
# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ostinato.errors import ShapeError, TrainingError
from ostinato.training.activations import compiled
from ostinato.training.losses.loss import Judgement, Link, Loss, Shape, at_last_frame, within
from ostinato.training.packing import Array
from ostinato.training.vectors import added, highest, powers, whole


@dataclass(frozen=True)
class CrossEntropy(Loss):
    """L<t> = -sum_k q_k log p_k, p = softmax(logits); the gradient is p - q.

    q = (1 - smoothing) one-hot(y) + smoothing / K of K classes (Szegedy et al. 2016, Rethinking the Inception
    architecture, section 7). A frame of class y counts ``class_weights[y]`` times, if there are such.

    Targets: class indices [B, T], a negative one does not count; or [B], the class of each sequence, which its last
    frame shall say.
    """

    smoothing: float = 0.0
    class_weights: tuple[float, ...] | None = None

    kind: ClassVar[str] = "cross-entropy"
    link: ClassVar[Link] = "softmax"

    def __post_init__(self) -> None:
        if not 0 <= self.smoothing < 1:
            raise TrainingError(f"smoothing = {self.smoothing} is not from 0 up to, but without, 1")
        if self.class_weights is not None and not all(0 <= w < np.inf for w in self.class_weights):
            raise TrainingError(f"class_weights = {self.class_weights} are not all finite and at least 0")

    def __call__(self, outputs: Array, lengths: npt.ArrayLike, targets: Any) -> Judgement:
        """As `Loss`. Raises TrainingError for a target that is no class, ShapeError for targets of another shape."""
        y, classes = self.by_frame(outputs.shape, lengths, targets), outputs.shape[2]
        counts = within(outputs, lengths) & (y >= 0)
        if y.max(initial=0, where=counts) >= classes:
            raise TrainingError(f"target class {y.max(where=counts, initial=0)} of {classes} classes (0-based)")
        y = np.where(counts, y, 0)
        shares = counts.astype(outputs.dtype)
        if self.class_weights is not None:
            if len(self.class_weights) != classes:
                raise TrainingError(f"{len(self.class_weights)} class_weights for {classes} classes: one for each")
            shares *= np.asarray(self.class_weights, outputs.dtype)[y]
        losses, gradient = np.zeros(shares.shape, shares.dtype), np.zeros(outputs.shape, outputs.dtype)
        smoothing = shares.dtype.type(self.smoothing)
        rows = np.ascontiguousarray(outputs).reshape(-1, classes), y.ravel(), counts.ravel(), shares.ravel()
        _judge(*rows, smoothing, losses.ravel(), gradient.reshape(-1, classes))
        return Judgement(losses.sum(axis=1, dtype=np.float64), shares.sum(axis=1, dtype=np.float64), gradient)

    def by_frame(self, shape: Shape, lengths: npt.ArrayLike, targets: Any) -> Array:
        """As `Loss`: [B, T]."""
        y = np.asarray(targets)
        if y.dtype.kind not in "iu":
            raise TrainingError(f"targets are {y.dtype}: cross-entropy takes class indices, integers")
        if y.shape == shape[:1]:
            y = at_last_frame(y.astype(np.int64), shape, lengths, -1)
        if y.shape != shape[:2]:
            raise ShapeError(
                f"targets are {y.shape}, the outputs {shape}: cross-entropy takes one class per frame, or "
                "one per sequence"
            )
        return y


@compiled
def _judge(
    logits: Array, y: Array, counts: Array, shares: Array, smoothing: Any, losses: Array, gradient: Array
) -> None:
    """Loss and gradient of each row [N, K] that counts, times its share; others may be anything, infinite even."""
    rows, classes = logits.shape
    kept, each = shares.dtype.type(1) - smoothing, shares.dtype.type(smoothing / classes)
    vectors = whole(logits)
    for row in range(rows):
        if not counts[row]:
            continue
        x, g, k, share = logits[row], gradient[row], y[row], shares[row]
        high = highest(logits, row, vectors) if vectors else x[0]
        for j in range(vectors, classes):
            high = max(high, x[j])
        for j in range(classes):
            g[j] = x[j] - high
        right = g[k]
        rest = added(gradient, row, vectors) if vectors else high - high
        for j in range(vectors, classes):
            rest += g[j]
        total = powers(gradient, row, vectors) if vectors else high - high
        for j in range(vectors, classes):
            g[j] = np.exp(g[j])
            total += g[j]
        losses[row] = share * (np.log(total) - kept * right - each * rest)
        for j in range(classes):
            g[j] = share * (g[j] / total - each)
        g[k] -= share * kept
