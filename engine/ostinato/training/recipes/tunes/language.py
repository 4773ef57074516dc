"""The language model of tunes: its vocabulary, its network, and the batches it learns from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ostinato.model.decoders import Generation
from ostinato.model.front_ends import Tokens
from ostinato.model.layers import Add, Dense, Embedding, Gru, OneHot, Softmax
from ostinato.model.network import Network
from ostinato.model.specification import FRAMES, Head, Node, Specification
from ostinato.notation import Tune
from ostinato.notation.transposition import transposed
from ostinato.notation.tune import Note, element
from ostinato.training.batching import Batch, bucketed, pad
from ostinato.training.recipes.tunes.clock import CLOCK, PLACE, Clock
from ostinato.training.recipes.tunes.corpus import LONGEST

UNKNOWN, TUNE = "<unknown>", "<tune>"
"""What stands for any other token; what comes before a tune, and after it."""
RARE = 5
"""Tunes that must have a token, in some key, or those that do are not learnt from."""
SIGNATURES = range(-2, 5)
"""Sharps of the keys that tunes are transposed to: those of at least a few tunes of the collections."""
LOWEST, HIGHEST = -3, 15
"""Steps from G, to d', what a fiddle has in first position and a little more: tunes are not transposed out of it."""


def in_key(tune: Tune, sharps: int) -> Tune | None:
    """The tune with that signature, in the octave that fits best; None where none fits."""
    best: tuple[int, Tune] | None = None
    for octaves in (0, -1, 1):
        try:
            moved = transposed(tune, sharps, octaves)
        except ValueError:
            continue
        steps = [of.step for of in map(element, moved.body) if isinstance(of, Note)]
        over = max(0, LOWEST - min(steps), max(steps) - HIGHEST)
        if not over and (best is None or abs(octaves) < best[0]):
            best = abs(octaves), moved
    return None if best is None else best[1]


class Keys:
    """Tunes in all keys that they fit in: tokens by signature, the tune's own first."""

    def __init__(self, tunes: Sequence[Tune]) -> None:
        self.of: list[list[tuple[str, ...]]] = []
        for tune in tunes:
            moved = [in_key(tune, sharps) for sharps in SIGNATURES if sharps != tune.key.sharps]
            self.of.append([tune.tokens, *(each.tokens for each in moved if each is not None)])


def vocabulary(keys: Keys, rare: int = RARE) -> tuple[str, ...]:
    """Of the tokens of tunes, those that at least ``rare`` have; the special ones first."""
    seen: Counter[str] = Counter()
    for versions in keys.of:
        seen.update({each for tokens in versions for each in tokens})
    return (UNKNOWN, TUNE, *sorted(token for token, count in seen.items() if count >= rare))


EMBEDDED = 96
FIXED = (CLOCK, PLACE)
"""Nodes that do not learn."""


def specification(tokens: Sequence[str], size: int) -> Specification:
    """The model without its card. It reads each token, and where in the bar that leads to, as a `Clock` counts. Which
    token comes is a sum of what two recurrent layers of ``size`` make of it, and of what fits there."""
    counting, count = Clock(tokens, TUNE), len(tokens)
    return Specification(
        "tunes",
        Tokens(tuple(tokens), unit="word", unknown=tokens.index(UNKNOWN)),
        (
            Node("token", OneHot(), (FRAMES,)),
            Node(CLOCK, counting.clock, ("token",)),
            Node(PLACE, counting.place, (CLOCK,)),
            Node("embedding", Embedding(EMBEDDED), (FRAMES,)),
            Node("where", Dense(EMBEDDED), (PLACE,)),
            Node("read", Add(), ("embedding", "where")),
            Node("gru-1", Gru(size), ("read",)),
            Node("gru-2", Gru(size), ("gru-1",)),
            Node("liked", Dense(count), ("gru-2",)),
            Node("fitting", Dense(count), (PLACE,)),
            Node("logits", Add(), ("liked", "fitting")),
            Node("softmax", Softmax(), ("logits",)),
        ),
        (Head("main", "softmax", Generation(tokens.index(TUNE), tokens.index(TUNE), LONGEST, " ")),),
    )


def weights(specification: Specification, seed: int) -> dict[str, NDArray[np.float32]]:
    """What it begins to learn from: those of the `FIXED` nodes stay, and what fits begins as bars have it."""
    assert isinstance(specification.front_end, Tokens)
    tokens = specification.front_end.vocabulary
    counting = Clock(tokens, TUNE)
    W, b = counting.fitting(tokens)
    begun = {"fitting.W": W, "fitting.b": b}
    return dict(Network.random(specification, seed).weights) | counting.weights | begun


class Batches:
    """Whole tunes of about equal lengths, each in a key that is drawn anew in each epoch: what `fit` asks for.

    ``transposing``: the share of tunes that are not in their own key. Half of the tunes begin with `TUNE`, the others
    with their metre, as prompts do.
    """

    def __init__(self, keys: Keys, tokens: Sequence[str], size: int, seed: int, transposing: float = 0.5) -> None:
        self.ids = {token: i for i, token in enumerate(tokens)}
        known = [all(token in self.ids for token in versions[0]) for versions in keys.of]
        self.tunes = [
            [v for v in versions if all(token in self.ids for token in v)]
            for versions, each in zip(keys.of, known, strict=True)
            if each
        ]
        self.skipped = known.count(False)
        self.lengths = [len(versions[0]) for versions in self.tunes]
        self.size, self.seed, self.transposing = size, seed, transposing

    def __call__(self, epoch: int) -> Iterator[Batch]:
        """The batches of an epoch, the same ones each time."""
        rng = np.random.default_rng([self.seed, epoch])
        for chosen in bucketed(self.lengths, self.size, rng):
            yield batch([ids_of(self.version(i, rng), self.ids, bare=rng.random() < 0.5) for i in chosen])

    def version(self, i: int, rng: np.random.Generator) -> tuple[str, ...]:
        """A tune in its own key or another."""
        versions = self.tunes[i]
        moved = len(versions) > 1 and rng.random() < self.transposing
        return versions[int(rng.integers(1, len(versions))) if moved else 0]


def ids_of(tune: Sequence[str], ids: dict[str, int], bare: bool = False) -> NDArray[np.int64]:
    """A tune between two TUNE, or ``bare`` of the first."""
    inner = [ids.get(token, ids[UNKNOWN]) for token in tune]
    return np.array([*([] if bare else [ids[TUNE]]), *inner, ids[TUNE]], np.int64)


def batch(rows: Sequence[NDArray[np.int64]]) -> Batch:
    """Each token is to say the next."""
    inputs, lengths = pad([row[:-1] for row in rows])
    targets, _ = pad([row[1:] for row in rows], -1)
    return Batch(inputs, lengths, targets)
