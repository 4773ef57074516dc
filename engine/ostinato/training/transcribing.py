"""What a network in training makes of sequences by CTC, and how much of it is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ostinato.model.decoders import CtcSymbols
from ostinato.pipeline.score import Errors, align, count
from ostinato.training.batching import bucketed, pad
from ostinato.training.network import TrainableNetwork

Array = NDArray[Any]
TOGETHER = 64


def best_path(logits: Array) -> list[int]:
    """Symbols of one sequence's outputs [T, symbols], the blank being 0: the best one of each frame, repeats and
    blanks dropped."""
    path = logits.argmax(axis=1)
    return [int(k) for before, k in zip([0, *path[:-1]], path, strict=True) if k not in (0, before)]


def outputs(network: TrainableNetwork, frames: Sequence[Array]) -> list[Array]:
    """The first head's outputs [T, symbols] for each sequence of frames, before what is left to the loss."""
    found: list[Array] = [np.empty(0)] * len(frames)
    head = network.specification.heads[0].name
    for chosen in bucketed([len(f) for f in frames], TOGETHER):
        padded, lengths = pad([frames[i] for i in chosen])
        counts = network.output_lengths(lengths)[head]
        for i, logits, length in zip(chosen, network.forward(padded, lengths)[head], counts, strict=True):
            found[i] = logits[:length].copy()
    return found


def errors(network: TrainableNetwork, frames: Sequence[Array], said: Sequence[Sequence[int]]) -> Errors:
    """The errors of a network's best paths on sequences of frames of which the symbols are known; silent ones do not
    count."""
    decoder = network.specification.heads[0].decoder
    untold = decoder.untold if isinstance(decoder, CtcSymbols) else frozenset[int]()

    def told(symbols: Sequence[int]) -> list[int]:
        return [symbol for symbol in symbols if symbol not in untold]

    heard = map(best_path, outputs(network, frames))
    return sum((count(align(told(one), told(other))) for one, other in zip(said, heard, strict=True)), Errors())
