"""What every loss does, and what they share. A loss is one file here, and one line in `ostinato.training.losses`.

A loss is a sum over all that has a target: frames, values or sequences. Learning makes its mean small: the sum over
the batch divided by how much was counted there (`Judgement`), the same for all losses, so that neither the batch's
size nor the sequences' lengths change what a learning rate means.

y stands for the target, p or v for the prediction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from ostinato.errors import ShapeError, TrainingError
from ostinato.training.packing import Array

Link = Literal["softmax", "sigmoid", None]
"""An activation that a loss computes itself, for the precision: it takes logits then."""


Shape = tuple[int, int, int]
"""Of outputs [B, T, O]."""


class Judgement(NamedTuple):
    """``sums`` [B] float64: a sequence's loss, the sum over what counts of it, infinite if it cannot be; ``counts``
    [B] float64: how much counts, of such a one nothing; ``gradient`` [B, T, O] of the total by the outputs, 0 beyond
    the lengths."""

    sums: npt.NDArray[np.float64]
    counts: npt.NDArray[np.float64]
    gradient: Array


@dataclass(frozen=True)
class Loss:
    """What `fit` makes small."""

    kind: ClassVar[str]
    link: ClassVar[Link] = None
    framewise: ClassVar[bool] = True
    """Whether frames are judged one by one, not a whole sequence."""

    def __call__(self, outputs: Array, lengths: npt.ArrayLike, targets: Any) -> Judgement:
        """Of outputs [B, T, O], logits if there is a ``link``, and ``lengths`` [B] in frames. Raises ShapeError or
        TrainingError for targets that do not fit."""
        raise NotImplementedError

    def by_frame(self, shape: Shape, lengths: npt.ArrayLike, targets: Any) -> Array:
        """The targets of a framewise loss for outputs of that shape: one for each frame, [B, T] or [B, T, O]."""
        raise NotImplementedError


def within(outputs: Array, lengths: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """[B, T]: which frames are within the lengths."""
    lengths = np.asarray(lengths)
    if lengths.shape != outputs.shape[:1] or np.any((lengths < 0) | (lengths > outputs.shape[1])):
        raise ShapeError(f"lengths {lengths} do not fit outputs of shape {outputs.shape}")
    mask: npt.NDArray[np.bool_] = np.arange(outputs.shape[1]) < lengths[:, None]
    return mask


def at_last_frame(target: Array, shape: Shape, lengths: npt.ArrayLike, none: float) -> Array:
    """One target of each sequence [B, ...] as that of its last frame [B, T, ...]; the other frames have ``none``."""
    lengths = np.asarray(lengths)
    frames = np.full((*shape[:2], *target.shape[1:]), none, target.dtype)
    (some,) = np.nonzero(lengths)
    frames[some, lengths[some] - 1] = target[some]
    return frames


@dataclass(frozen=True)
class ElementwiseLoss(Loss):
    """A loss of each value by itself. Targets: numbers like the outputs [B, T, O], or [B, O] for the last frame of
    each sequence; NaN does not count."""

    def __call__(self, outputs: Array, lengths: npt.ArrayLike, targets: Any) -> Judgement:
        """As `Loss`. Raises ShapeError for targets not shaped as the outputs."""
        y = self.by_frame(outputs.shape, lengths, targets).astype(outputs.dtype, copy=False)
        counts = within(outputs, lengths)[..., None] & ~np.isnan(y)
        losses, slopes = self.of(outputs, np.where(counts, y, 0))
        sums = np.where(counts, losses, 0).sum(axis=(1, 2), dtype=np.float64)
        return Judgement(sums, counts.sum(axis=(1, 2), dtype=np.float64), np.where(counts, slopes, 0))

    def by_frame(self, shape: Shape, lengths: npt.ArrayLike, targets: Any) -> Array:
        """As `Loss`: [B, T, O]."""
        y = np.asarray(targets)
        if y.dtype.kind not in "fiub":
            raise TrainingError(f"targets are {y.dtype}: {self.kind} takes numbers")
        if y.ndim == 2 and y.shape == shape[::2]:
            y = at_last_frame(y.astype(np.float64), shape, lengths, np.nan)
        if y.shape != shape:
            raise ShapeError(f"targets are {y.shape}, the outputs {shape}: they must be alike")
        return y

    def of(self, v: Array, y: Array) -> tuple[Array, Array]:
        """The loss of each value, and its slope by ``v``."""
        raise NotImplementedError
