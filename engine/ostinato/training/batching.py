"""Ragged sequences into batches: padding, and batches of about equal lengths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.training.packing import Array


@dataclass(frozen=True)
class Sources:
    """What an encoder reads, for each sequence of a batch: frames [B, S, I] or token ids [B, S], padded; ``lengths``
    [B] in frames, 1 at least.

    ``wait``: the t-th step of a sequence, from 0, sees what the encoder has made of the first t + ``wait`` frames
    (wait-k: Ma et al. 2019, STACL); None: of all.
    """

    inputs: Array
    lengths: npt.NDArray[np.int64]
    wait: int | None = None

    def some(self, rows: npt.NDArray[np.int64]) -> Sources:
        """Those of some of the sequences."""
        return replace(self, inputs=self.inputs[rows], lengths=self.lengths[rows])


@dataclass(frozen=True)
class Batch:
    """Sequences to learn from together.

    ``inputs``: frames [B, T, I] or token ids [B, T], padded; ``lengths`` [B] in frames; ``targets``: what the loss
    takes (`losses`); ``sources``: of a network with an encoder.
    """

    inputs: Array
    lengths: npt.NDArray[np.int64]
    targets: Any
    sources: Sources | None = None

    def __len__(self) -> int:
        return len(self.lengths)


def pad(sequences: Sequence[Array], value: float = 0) -> tuple[Array, npt.NDArray[np.int64]]:
    """(padded [B, T, ...], lengths [B]) of sequences [T_b, ...]; padding is ``value``."""
    lengths = np.array([len(sequence) for sequence in sequences], np.int64)
    padded = np.full((len(sequences), lengths.max(initial=0), *sequences[0].shape[1:]), value, sequences[0].dtype)
    for row, sequence in zip(padded, sequences, strict=True):
        row[: len(sequence)] = sequence
    return padded, lengths


def bucketed(
    lengths: npt.ArrayLike, batch_size: int, random: np.random.Generator | None = None, jitter: float = 0.1
) -> list[npt.NDArray[np.int64]]:
    """Indices of sequences by batch, each of sequences of about equal lengths; every sequence once.

    With ``random``, lengths are first stretched by up to +-``jitter``, so that batches differ from epoch to epoch,
    and the batches come in random order. Without, the longest come first.
    """
    keys = np.asarray(lengths, float)
    if random is not None:
        keys = keys * random.uniform(1 - jitter, 1 + jitter, len(keys))
    order = np.argsort(-keys, kind="stable")
    batches = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
    if random is not None:
        random.shuffle(batches)
    return batches


def forgetting(tokens: Array, unknown: int | None, random: np.random.Generator, share: float = 0.05) -> Array:
    """Token ids, a ``share`` of which is ``unknown``: so a network learns to do without a token, as it must where it
    meets one that it has not learnt (Kiperwasser and Goldberg 2016, "Simple and accurate dependency parsing using
    bidirectional LSTM feature representations", section 4)."""
    return tokens if unknown is None else np.where(random.random(tokens.shape) < share, unknown, tokens)
