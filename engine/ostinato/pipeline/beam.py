"""The hypotheses of beams, each a token longer: those that are kept of what a language model gives for all."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.kernels import beam, prepare
from ostinato.kernels.compiler import entry
from ostinato.kernels.sampling import ABREAST

F32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Extended:
    """What becomes of a beam. The hypotheses that go on, the best first: each is hypothesis ``parents[i]`` of before
    and ``tokens[i]``, with the logarithmic probability ``scores[i]``; ``chances[i]`` is the token's probability.
    ``ended``: the hypothesis that is ended best by the end token, its score, and that token's probability; None if
    that is not among the best."""

    parents: Int64
    tokens: Int64
    scores: Float64
    chances: Float64
    ended: tuple[int, float, float] | None


def extend(
    outputs: F32, probabilities: bool, counts: Sequence[int], widths: Sequence[int], end: int | None, scores: Float64
) -> list[Extended]:
    """Let beams go on by a token: beam b has the next counts[b] hypotheses, rows of ``outputs`` [n, vocabulary],
    finite logits or ``probabilities``, and of ``scores`` [n], their logarithmic probabilities. The widths[b] best are
    kept. ``end`` is the token that ends a hypothesis. Other beams change nothing of one."""
    beams, widest = len(counts), max(widths)
    parents, tokens = np.empty((2, beams, widest), np.int64)
    sums, chances = np.empty((2, beams, widest))
    found, ended = np.empty((2, beams), np.int64)
    end_sums, end_chances = np.empty((2, beams))
    _kernel()(
        np.ascontiguousarray(outputs, np.float32), probabilities, np.array(counts, np.int64).cumsum(),
        np.array(widths, np.int64), -1 if end is None else end, scores, np.empty((ABREAST, outputs.shape[1])),
        np.empty(2 * ABREAST),
        parents, tokens, sums, chances, found, ended, end_sums, end_chances,
    )  # fmt: skip
    return [
        Extended(
            parents[b, :count], tokens[b, :count], sums[b, :count], chances[b, :count],
            (int(ended[b]), float(end_sums[b]), float(end_chances[b])) if ended[b] >= 0 else None,
        )
        for b, count in enumerate(found.tolist())
    ]  # fmt: skip


def length_weight(penalty: float, length: int) -> float:
    """What a logarithmic probability is multiplied by, so that hypotheses of different lengths may be compared; see
    `ostinato.kernels.beam`."""
    _kernel()
    weight: float = beam.length_weight(penalty, float(length))
    return weight


@functools.cache
def _kernel() -> Any:
    prepare(beam.extend, beam.length_weight)
    return entry(beam.extend)
