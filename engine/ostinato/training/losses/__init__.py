"""Losses, a file each, and the table of them all."""

from collections.abc import Mapping

from ostinato.training.losses.binary_cross_entropy import BinaryCrossEntropy
from ostinato.training.losses.cross_entropy import CrossEntropy
from ostinato.training.losses.ctc import CtcLoss
from ostinato.training.losses.huber import Huber
from ostinato.training.losses.loss import Judgement, Link, Loss
from ostinato.training.losses.mean_absolute_error import MeanAbsoluteError
from ostinato.training.losses.mean_squared_error import MeanSquaredError

LOSSES: Mapping[str, type[Loss]] = {
    each.kind: each
    for each in (CrossEntropy, BinaryCrossEntropy, MeanSquaredError, MeanAbsoluteError, Huber, CtcLoss)
}
"""By the kind's name in configurations."""

__all__ = [
    "LOSSES",
    "BinaryCrossEntropy",
    "CrossEntropy",
    "CtcLoss",
    "Huber",
    "Judgement",
    "Link",
    "Loss",
    "MeanAbsoluteError",
    "MeanSquaredError",
]
