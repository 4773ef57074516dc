"""Tokens drawn from what a language model gives for many streams at once."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.kernels import likeliest, prepare, sampling
from ostinato.kernels.compiler import entry
from ostinato.sampling import Sampling

F32 = npt.NDArray[np.float32]


def draw(
    outputs: F32, probabilities: bool, samplings: Sequence[Sampling], steps: Sequence[int]
) -> tuple[list[int], list[float]]:
    """A token for each row of ``outputs`` [n, vocabulary], finite logits or ``probabilities``, and the probability
    that the model gives it (at temperature 1, among all). Row i is drawn as samplings[i] says, with the random number
    of its seed and steps[i]; other rows change nothing of it."""
    count, size = outputs.shape
    hows = np.array([how(each, size, step) for each, step in zip(samplings, steps, strict=True)], np.float64)
    tokens, chances = np.empty(count, np.int64), np.empty(count)
    weights, order = np.empty((sampling.ABREAST + 1, size)), np.empty(3 * size + likeliest.DIGITS, np.int64)
    rows = np.ascontiguousarray(outputs, np.float32)
    _kernel()(rows, probabilities, hows, weights, order, np.empty(count, np.int64), tokens, chances)
    return tokens.tolist(), chances.tolist()


def how(sampling: Sampling, size: int, step: int) -> tuple[float, float, int, int, int]:
    """A row of the kernel's ``hows``, for a vocabulary of so many tokens."""
    top_p, top_k = sampling.top_p, sampling.top_k
    return (
        sampling.temperature,
        1.0 if top_p is None else top_p,
        0 if top_k is None or top_k >= size else top_k,
        sampling.seed,
        step,
    )


@functools.cache
def _kernel() -> Callable[..., Any]:
    prepare(sampling.draw)
    return entry(sampling.draw)
