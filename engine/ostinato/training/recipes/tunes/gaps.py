"""The model that fills gaps: some bars of a tune are hidden, and each hidden token is to be told from both sides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ostinato.model.decoders import Labels
from ostinato.model.front_ends import Tokens
from ostinato.model.layers import Dense, Embedding, Gru, Softmax
from ostinato.model.specification import Sequential, Specification
from ostinato.notation.tune import BARS
from ostinato.training.batching import Batch, bucketed, pad
from ostinato.training.recipes.tunes.language import UNKNOWN, Batches

Direction: TypeAlias = Literal["uni", "bi"]

GAP = "<gap>"
"""Stands for a hidden token."""
MOST_BARS = 2
"""Of a gap in a tune that is learnt from: one or two."""


SINGLE = 0.1
"""Share of the tokens of such a tune that are hidden one by one."""


def vocabulary(tokens: Sequence[str]) -> tuple[str, ...]:
    """The language model's, and `GAP`."""
    return (*tokens, GAP)


def specification(tokens: Sequence[str], direction: Direction, size: int | None = None) -> Specification:
    """The model without its card; both directions have about as many weights. ``tokens``: with `GAP`."""
    if direction == "uni":
        layers = [Gru(size or 176), Gru(size or 176)]
    else:
        layers = [Gru(size or 112, direction="bidirectional"), Gru(size or 112, direction="bidirectional")]
    return Sequential(
        f"tunes-gaps-{direction}",
        Tokens(tuple(tokens), unit="word", unknown=tokens.index(UNKNOWN)),
        [Embedding(64), *layers, Dense(len(tokens)), Softmax()],
        Labels(tuple(tokens)),
    )


def hidden(tune: Sequence[str], rng: np.random.Generator, bars: int) -> slice | None:
    """Which tokens of a tune are hidden: those of ``bars`` bars, and the lines between them. None if it is too short.

    The bars are inner ones: what is before and behind them is there.
    """
    lines = [place for place, token in enumerate(tune) if token in BARS]
    if len(lines) < bars + 2:
        return None
    first = int(rng.integers(1, len(lines) - bars))
    return slice(lines[first - 1] + 1, lines[first - 1 + bars])


def scattered(tune: Sequence[str], rng: np.random.Generator) -> list[slice]:
    """Several gaps, for a tune that is learnt from: up to half of its bars, and some single tokens, so that each step
    learns from more, and of the nearest first."""
    bars = sum(token in BARS for token in tune)
    found: list[slice] = []
    for _ in range(int(rng.integers(1, 2 + bars // 4))):
        place = hidden(tune, rng, int(rng.integers(1, MOST_BARS + 1)))
        if place is not None:
            found.append(place)
    single = np.flatnonzero(rng.random(len(tune)) < SINGLE)
    return [*found, *(slice(int(place), int(place) + 1) for place in single)]


class GapBatches(Batches):
    """Whole tunes with gaps, in a key and at places that are drawn anew in each epoch."""

    def __call__(self, epoch: int) -> Iterator[Batch]:
        """The batches of an epoch, the same ones each time."""
        rng = np.random.default_rng([self.seed, epoch])
        for chosen in bucketed(self.lengths, self.size, rng):
            pairs = []
            for i in chosen:
                tune = self.version(i, rng)
                if places := scattered(tune, rng):
                    pairs.append(with_gaps(tune, places, self.ids))
            if pairs:
                yield batch(pairs)


def with_gaps(
    tune: Sequence[str], places: Sequence[slice], ids: dict[str, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(ids of a tune whose gaps are hidden, what is there; -1 where nothing is hidden)."""
    there = np.array([ids.get(token, ids[UNKNOWN]) for token in tune], np.int64)
    seen, wanted = there.copy(), np.full_like(there, -1)
    for place in places:
        seen[place], wanted[place] = ids[GAP], there[place]
    return seen, wanted


def batch(pairs: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]]) -> Batch:
    """Of tunes with gaps."""
    inputs, lengths = pad([seen for seen, _ in pairs])
    targets, _ = pad([wanted for _, wanted in pairs], -1)
    return Batch(inputs, lengths, targets)
