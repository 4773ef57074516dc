"""How a text is generated where an engine gives no more than logits for a token: by a loop around it, in NumPy."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Int64 = npt.NDArray[np.int64]


class Steps(Protocol):
    """An engine with the states of some texts."""

    def begin(self) -> None:
        """All texts are new."""

    def step(self, tokens: Int64) -> Floats:
        """The logits [texts, vocabulary] behind one more token of each."""

    def choose(self, rows: Int64) -> None:
        """Text i goes on from the states of text rows[i]."""


def greedy(steps: Steps, texts: int, longest: int) -> Int64:
    """So many texts of ``longest`` tokens each, [texts, longest], behind token 0: always the likeliest token."""
    steps.begin()
    tokens, said = np.zeros(texts, np.int64), np.empty((texts, longest), np.int64)
    for at in range(longest):
        tokens = said[:, at] = steps.step(tokens).argmax(axis=1)
    return said


def sampled(
    steps: Steps, texts: int, longest: int, temperature: float, top_k: int, generator: np.random.Generator
) -> Int64:
    """The same, drawn among the ``top_k`` likeliest."""
    steps.begin()
    tokens, said = np.zeros(texts, np.int64), np.empty((texts, longest), np.int64)
    rows = np.arange(texts)
    for at in range(longest):
        logits = steps.step(tokens)
        likely = np.argpartition(logits, -top_k, axis=1)[:, -top_k:] if top_k < logits.shape[1] else None
        values = logits if likely is None else np.take_along_axis(logits, likely, 1)
        sums = np.exp((values - values.max(axis=1, keepdims=True)) / temperature).cumsum(axis=1)
        place = (sums < generator.random((texts, 1)) * sums[:, -1:]).sum(axis=1)
        tokens = said[:, at] = place if likely is None else likely[rows, place]
    return said


def beam(steps: Steps, texts: int, longest: int, width: int) -> Int64:
    """The same, the likeliest by beams of ``width`` hypotheses, which are neighbouring rows of ``steps``. No token
    ends a text."""
    steps.begin()
    tokens = np.zeros(texts * width, np.int64)
    scores = np.full((texts, width), -np.inf, np.float32)
    scores[:, 0] = 0
    parents, drawn = np.empty((2, longest, texts, width), np.int64)
    first = np.arange(texts)[:, None] * width
    for at in range(longest):
        logits = steps.step(tokens)
        high = logits.max(axis=1, keepdims=True)
        logits = logits - (high + np.log(np.exp(logits - high).sum(axis=1, keepdims=True)))
        size = logits.shape[1]
        longer = (logits.reshape(texts, width, size) + scores[:, :, None]).reshape(texts, -1)
        best = np.argpartition(longer, -width, axis=1)[:, -width:]
        best = np.take_along_axis(best, np.argsort(-np.take_along_axis(longer, best, 1), axis=1), 1)
        scores = np.take_along_axis(longer, best, 1)
        parents[at], drawn[at] = np.divmod(best, size)
        steps.choose((first + parents[at]).ravel())
        tokens = drawn[at].ravel()
    said, place = np.empty((texts, longest), np.int64), np.zeros(texts, np.int64)
    rows = np.arange(texts)
    for at in range(longest - 1, -1, -1):
        said[:, at] = drawn[at, rows, place]
        place = parents[at, rows, place]
    return said
