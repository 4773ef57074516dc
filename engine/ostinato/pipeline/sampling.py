"""Tokens drawn from what a language model gives for many streams at once."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.kernels import prepare, sampling
from ostinato.sampling import Sampling

F32 = npt.NDArray[np.float32]
Int64 = npt.NDArray[np.int64]


def draw(
    outputs: F32, probabilities: bool, samplings: Sequence[Sampling], steps: Sequence[int]
) -> tuple[list[int], list[float]]:
    """A token for each row of ``outputs`` [n, vocabulary], finite logits or ``probabilities``, and the probability
    that the model gives it (at temperature 1, among all). Row i is drawn as samplings[i] says, with the random number
    of its seed and steps[i]; other rows change nothing of it."""
    rows = np.ascontiguousarray(outputs)
    orders = [_order(row, each) for row, each in zip(rows, samplings, strict=True)]
    tokens, chances = np.empty(len(rows), np.int64), np.empty(len(rows))
    _kernel()(
        rows, probabilities,
        np.array([each.temperature for each in samplings], np.float64),
        np.array([1.0 if each.top_p is None else each.top_p for each in samplings], np.float64),
        np.array([each.seed for each in samplings], np.uint64),
        np.array(steps, np.uint64),
        np.concatenate(orders),
        np.array([len(order) for order in orders]).cumsum(),
        np.empty(rows.shape[1]), tokens, chances,
    )  # fmt: skip
    return tokens.tolist(), chances.tolist()


@functools.cache
def _kernel() -> Any:
    prepare(sampling.draw)
    return sampling.draw


NOTHING: Int64 = np.empty(0, np.int64)


def _order(row: F32, how: Sampling) -> Int64:
    """The tokens to draw among, the likeliest first and the lowest of equals; none if they all are and need no
    order."""
    most = len(row) if how.top_k is None else min(how.top_k, len(row))
    if how.temperature == 0 or (most == len(row) and (how.top_p is None or how.top_p == 1)):
        return NOTHING
    least = np.partition(row, -most)[-most]
    likely = np.flatnonzero(row >= least)
    order: Int64 = likely[np.argsort(-row[likely], kind="stable")][:most]
    return order
