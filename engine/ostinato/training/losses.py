"""Losses: how far a network's outputs are from what they should be, and which way is better.

Each takes outputs [B, T, O], lengths [B] in frames, and targets, and gives (losses [B], float64: one per sequence,
the sum over its frames; gradients of them w.r.t. the outputs [B, T, O], 0 beyond the lengths). ``left_to_loss`` names
the activation that the loss includes: the network's outputs are logits then (`TrainableNetwork.left_to_loss`). y
stands for the target, p or v for the prediction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ostinato.errors import ShapeError, TrainingError
from ostinato.training.ctc import ctc_batch
from ostinato.training.network import LeftToLoss
from ostinato.training.packing import Array


class Loss(Protocol):
    """What `fit` makes small."""

    @property
    def left_to_loss(self) -> LeftToLoss:
        """The activation that this loss computes itself."""

    def __call__(self, outputs: Array, lengths: npt.ArrayLike, targets: Any) -> tuple[Array, Array]:
        """(losses [B], gradients [B, T, O])."""


@dataclass(frozen=True)
class CrossEntropy:
    """L<t> = -log p<t>(y<t>), p = softmax(logits); the gradient is p - one-hot(y).

    Targets: class indices [B, T]; frames with a negative one do not count (so a class of the whole sequence is a
    target at its last frame only).
    """

    left_to_loss: LeftToLoss = "softmax"

    def __call__(self, outputs: Array, lengths: npt.ArrayLike, targets: Any) -> tuple[Array, Array]:
        """As `Loss`. Raises TrainingError for a target that is no class, ShapeError for targets not [B, T]."""
        y = np.asarray(targets)
        if y.shape != outputs.shape[:2]:
            raise ShapeError(
                f"targets are {y.shape}, the outputs {outputs.shape}: cross-entropy takes one class per frame"
            )
        counts = _mask(outputs, lengths) & (y >= 0)
        if y.max(initial=0, where=counts) >= outputs.shape[2]:
            raise TrainingError(
                f"target class {y.max(where=counts, initial=0)} of {outputs.shape[2]} classes (0-based)"
            )
        shifted = outputs - outputs.max(axis=2, keepdims=True)
        log_p = shifted - np.log(np.exp(shifted).sum(axis=2, keepdims=True))
        y = np.where(counts, y, 0)[..., None]
        losses = -np.where(counts, np.take_along_axis(log_p, y, 2)[..., 0], 0)
        gradient = np.exp(log_p)
        np.put_along_axis(gradient, y, np.take_along_axis(gradient, y, 2) - 1, 2)
        return losses.sum(axis=1, dtype=np.float64), gradient * counts[..., None]


@dataclass(frozen=True)
class BinaryCrossEntropy:
    """L<t> = -y log p - (1 - y) log(1 - p), p = sigmoid(logit), summed over the outputs; the gradient is p - y.

    Computed as max(x, 0) - x y + log(1 + exp(-|x|)) of the logit x. Targets: [B, T, O] in [0, 1]; NaN does not count.
    """

    left_to_loss: LeftToLoss = "sigmoid"

    def __call__(self, outputs: Array, lengths: npt.ArrayLike, targets: Any) -> tuple[Array, Array]:
        """As `Loss`. Raises ShapeError for targets not shaped as the outputs."""
        y, counts = _regression_targets(outputs, lengths, targets)
        losses = np.maximum(outputs, 0) - outputs * y + np.log1p(np.exp(-np.abs(outputs)))
        gradient = 0.5 * np.tanh(0.5 * outputs) + 0.5 - y
        return _sum(losses * counts), gradient * counts


@dataclass(frozen=True)
class MeanSquaredError:
    """L<t> = mean over the outputs of (v - y)^2. Targets: [B, T, O]; NaN does not count."""

    left_to_loss: LeftToLoss = None

    def __call__(self, outputs: Array, lengths: npt.ArrayLike, targets: Any) -> tuple[Array, Array]:
        """As `Loss`. Raises ShapeError for targets not shaped as the outputs."""
        y, counts = _regression_targets(outputs, lengths, targets)
        error = (outputs - y) * counts
        return _sum(error**2) / outputs.shape[2], error * (2 / outputs.shape[2])


@dataclass(frozen=True)
class MeanAbsoluteError:
    """L<t> = mean over the outputs of |v - y|. Targets: [B, T, O]; NaN does not count."""

    left_to_loss: LeftToLoss = None

    def __call__(self, outputs: Array, lengths: npt.ArrayLike, targets: Any) -> tuple[Array, Array]:
        """As `Loss`. Raises ShapeError for targets not shaped as the outputs."""
        y, counts = _regression_targets(outputs, lengths, targets)
        error = (outputs - y) * counts
        return _sum(np.abs(error)) / outputs.shape[2], np.sign(error) / outputs.shape[2]


@dataclass(frozen=True)
class Huber:
    """With e = v - y: e^2 / 2 where |e| <= delta, else delta (|e| - delta / 2) (Huber 1964); mean over the outputs.

    Targets: [B, T, O]; NaN does not count.
    """

    delta: float = 1.0
    left_to_loss: LeftToLoss = None

    def __call__(self, outputs: Array, lengths: npt.ArrayLike, targets: Any) -> tuple[Array, Array]:
        """As `Loss`. Raises ShapeError for targets not shaped as the outputs."""
        y, counts = _regression_targets(outputs, lengths, targets)
        error = (outputs - y) * counts
        clipped = np.clip(error, -self.delta, self.delta)
        # c (e - c / 2) is both branches at once: e^2 / 2 where c = e, delta (|e| - delta / 2) where c = +-delta.
        return _sum(clipped * (error - clipped / 2)) / outputs.shape[2], clipped / outputs.shape[2]


@dataclass(frozen=True)
class CtcLoss:
    """L = -log p(labels | outputs), the sum over all alignments (`ostinato.training.ctc`; Graves et al. 2006).

    Targets: for each sequence its label indices, none of them ``blank``; may be empty. A sequence too short for its
    labels (one frame per label, and one blank between equal neighbours) has loss infinity and gradient 0.
    """

    blank: int = 0
    left_to_loss: LeftToLoss = "softmax"

    def __call__(
        self, outputs: Array, lengths: npt.ArrayLike, targets: Sequence[npt.ArrayLike]
    ) -> tuple[Array, Array]:
        """As `Loss`. Raises TrainingError for labels that are blank or no output, ShapeError for too many or few."""
        B, _, K = outputs.shape
        if len(targets) != B:
            raise ShapeError(f"{len(targets)} label sequences for {B} sequences of outputs")
        _mask(outputs, lengths)
        rows = [np.asarray(row, np.int64).reshape(-1) for row in targets]
        labels = np.concatenate([np.zeros(0, np.int64), *rows])
        starts = np.cumsum([0, *map(len, rows)])
        if np.any((labels < 0) | (labels >= K) | (labels == self.blank)):
            raise TrainingError(f"CTC labels must be from 0 to {K - 1} and not the blank, {self.blank}")
        losses, gradient = np.empty(B), np.zeros(outputs.shape, outputs.dtype)
        ctc_batch(
            np.ascontiguousarray(outputs), np.asarray(lengths, np.int64), labels, starts, self.blank, losses, gradient
        )
        return losses, gradient


def _mask(outputs: Array, lengths: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """[B, T]: which frames are within the lengths."""
    lengths = np.asarray(lengths)
    if lengths.shape != outputs.shape[:1] or np.any((lengths < 0) | (lengths > outputs.shape[1])):
        raise ShapeError(f"lengths {lengths} do not fit outputs of shape {outputs.shape}")
    mask: npt.NDArray[np.bool_] = np.arange(outputs.shape[1]) < lengths[:, None]
    return mask


def _regression_targets(outputs: Array, lengths: npt.ArrayLike, targets: Any) -> tuple[Array, npt.NDArray[np.bool_]]:
    """(targets with 0 where they do not count, whether they count), both [B, T, O]."""
    y = np.asarray(targets, outputs.dtype)
    if y.shape != outputs.shape:
        raise ShapeError(f"targets are {y.shape}, the outputs {outputs.shape}: they must be alike")
    counts = _mask(outputs, lengths)[..., None] & ~np.isnan(y)
    return np.where(counts, y, 0), counts


def _sum(values: Array) -> Array:
    total: Array = values.sum(axis=(1, 2), dtype=np.float64)
    return total
