"""From what a network gives to what a loss takes: logits or values, with the way back for gradients."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from ostinato.errors import TrainingError
from ostinato.training.layers.softmax import softmax
from ostinato.training.losses import Link
from ostinato.training.losses.loss import within
from ostinato.training.packing import Array

LEAST = 1e-7
"""Probabilities are taken to be this far from 0, and from 1 where there is an opposite: logarithms stay finite."""
TOLERANCE = 1e-3
"""By which probabilities may miss their sum, or exceed 1."""

Back = Callable[[Array], Array]


def apply(link: Link, x: Array) -> Array:
    """Values of logits."""
    if link == "softmax":
        return softmax(x)
    if link == "sigmoid":
        return np.asarray(0.5 * np.tanh(0.5 * x) + 0.5)
    return x


def taken(outputs: Array, lengths: npt.ArrayLike, left: Link, wanted: Link) -> tuple[Array, Back]:
    """``outputs`` [B, T, O], to which ``left`` is still to be applied, as a loss takes them that computes ``wanted``
    itself; and how gradients by that become gradients by the outputs.

    Raises TrainingError if that needs probabilities, and they are none.
    """
    if left == wanted:
        return outputs, lambda d: d
    values = apply(left, outputs)

    def back(d: Array) -> Array:
        if left == "softmax":
            return np.asarray(values * (d - (d * values).sum(axis=2, keepdims=True)))
        return np.asarray(d * values * (1 - values)) if left == "sigmoid" else d

    if wanted is None:
        return values, back
    _check(values[within(outputs, lengths)], wanted)
    # A softmax of log p is p again, as a sigmoid of log (p / (1 - p)) is.
    if wanted == "softmax":
        p = np.maximum(values, LEAST)
        return np.log(p), lambda d: back(d / p)
    p = np.clip(values, LEAST, 1 - LEAST)
    return np.log(p) - np.log1p(-p), lambda d: back(d / (p * (1 - p)))


def _check(p: Array, wanted: Link) -> None:
    if not np.isfinite(p).all():
        return  # it has diverged, and the loss will say so
    if p.size and not -TOLERANCE <= p.min() <= p.max() <= 1 + TOLERANCE:
        raise TrainingError(
            f"outputs are from {p.min():.3g} to {p.max():.3g}, and the loss takes probabilities: let the head's node "
            f"end in {wanted}"
        )
    sums = p.sum(axis=1)
    if wanted == "softmax" and np.any(np.abs(sums - 1) > TOLERANCE):
        worst = sums[np.abs(sums - 1).argmax()]
        raise TrainingError(f"outputs of a frame sum to {worst:.3g}, not 1: let the head's node end in softmax")
