"""The hypotheses of one beam, growing by a token in one call of compiled code."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.kernels import beam as kernels
from ostinato.kernels import prepare
from ostinato.kernels.compiler import entry
from ostinato.kernels.sampling import ABREAST
from ostinato.streaming.frames import Float32

Int32 = npt.NDArray[np.int32]
Float64 = npt.NDArray[np.float64]
FEWEST = 32
"""Tokens of each that there is room for at first."""


class Hypotheses:
    """Room for ``width`` of them, and what they are: the first ``count`` have ``scores`` and ``last`` tokens, and
    their states are in the ``slots`` of these numbers."""

    def __init__(self, width: int, vocabulary: int) -> None:
        self._grow, self._width = _kernel(), width
        self._now = self._start = self._length = 0
        self._texts, self._chances = np.empty((2, width, 0), np.int32), np.empty((2, width, 0))
        self._counts, self._widths = np.zeros(1, np.int64), np.full(1, width)
        self._weights, self._totals = np.empty((ABREAST, vocabulary)), np.empty(2 * ABREAST)
        self._ended, self._ends = np.zeros(1, np.int64), np.empty((2, 1))
        self._parents, self._tokens = np.empty((2, 1, width), np.int64)
        self._sums, self._new = np.empty((2, 1, width))
        self._found, self._room = np.zeros(1, np.int64), np.empty(width, np.int64)
        self.count = 0
        self.scores: Float64 = np.empty(width)
        self.last: Int32 = np.empty(width, np.int32)
        self.slots = np.empty(width, np.int64)

    @property
    def tokens(self) -> Int32:
        """[count, n] What they have behind the decided tokens."""
        return self._texts[self._now, : self.count, self._start : self._start + self._length]

    @property
    def chances(self) -> Float64:
        """[count, n] The probabilities of these."""
        return self._chances[self._now, : self.count, self._start : self._start + self._length]

    def become(self, scores: Float64, tokens: Int32, chances: Float64, slots: list[int]) -> None:
        """They are others."""
        self._now = self._start = self.count = self._length = 0
        self._reserve(tokens.shape[1])
        self.count, self._length = tokens.shape
        self.scores[: self.count], self.slots[:] = scores, slots
        self.tokens[:], self.chances[:] = tokens, chances

    def grow(
        self, outputs: Float32, probabilities: bool, end: int | None, states: Float32, most: int
    ) -> tuple[list[int], list[float]] | None:
        """Let them go on with the best tokens of their ``outputs`` [count, vocabulary], and their states, rows of
        ``states``, follow. Returns the tokens, and their probabilities, that all begin with, and have no more. None
        if one was ended by ``end`` or none goes on: then nothing has become of them. ``most`` tokens are the longest
        that there will be."""
        if self._length == self._texts.shape[2]:
            self._reserve(min(max(FEWEST, 2 * self._length), most))
        self._counts[0] = self.count
        common: int = self._grow(
            outputs, probabilities, self._counts, self._widths, -1 if end is None else end, self.scores,
            self._weights, self._totals, self._parents, self._tokens, self._sums, self._new, self._found, self._ended,
            self._ends[0], self._ends[1], self._texts, self._chances, self._now, self._start, self._length, self.last,
            self.slots, self._room, states,
        )  # fmt: skip
        if common < 0:
            return None
        self._now = 1 - self._now
        self.count = int(self._found[0])
        self._start, self._length = common, self._length + 1 - common
        return self._texts[self._now, 0, :common].tolist(), self._chances[self._now, 0, :common].tolist()

    def _reserve(self, length: int) -> None:
        """Room for so many tokens of each."""
        if length > self._texts.shape[2]:
            texts, chances = self.tokens, self.chances
            self._texts, self._chances = _room(self._width, length, texts), _room(self._width, length, chances)
            self._now = self._start = 0


@functools.cache
def _kernel() -> Callable[..., Any]:
    prepare(kernels.grow)
    return entry(kernels.grow)


def _room(width: int, length: int, rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """[2, width, length], which begins with these rows."""
    room = np.empty((2, width, length), rows.dtype)
    room[0, : rows.shape[0], : rows.shape[1]] = rows
    return room
