"""What single pieces of words say by themselves: a bag of words within the network, summed while a sentence is read.

A recurrent network of a few sentences knows rare words badly, a regression knows nothing but words: they err in
different sentences. So each piece has a weight, those of what was read are summed, and the sum is added to what the
recurrent layers say. While the network learns, the bag is empty; then it is filled by logistic regression, and how
much it counts is chosen. (Learnt together, weights of single words learn the sentences by heart.)

The sum fades: a piece counts `FADE` of the one behind it. So it is bounded, however long a text is.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ostinato.model.activation import Activation
from ostinato.model.layers import Concatenate, Embedding, Rnn
from ostinato.model.specification import FRAMES, Node
from ostinato.training.network import TrainableNetwork
from ostinato.training.recipes.sentiment import baselines
from ostinato.training.recipes.sentiment.examples import LABELLED, LABELS, Example

FADE = 0.98
SIZE = 1 + len(LABELS)
"""For a positive score, and for each class."""
FIXED = ("evidence", "bag")
"""Nodes that learn nothing."""
SHARES = (0.0, 0.1, 0.2, 0.35, 0.5, 0.7, 1.0)
"""How much the bag may count beside the recurrent layers."""

F64 = npt.NDArray[np.float64]
Ids = Sequence[npt.NDArray[np.int64]]


def nodes(bidirectional: bool) -> tuple[Node, ...]:
    """The bag, and ``read``: what ``gru`` gives beside it. In both directions it is in two parts, of what is before a
    piece and behind it, each with the piece itself."""
    bag = Rnn(SIZE, "bidirectional" if bidirectional else "forward", activation=Activation("identity"))
    return (
        Node("evidence", Embedding(SIZE), (FRAMES,)),
        Node("bag", bag, ("evidence",)),
        Node("read", Concatenate(), ("gru", "bag")),
    )


def empty(network: TrainableNetwork) -> None:
    """Set the bag's sums, and let no piece count."""
    for name, w in network.parameters.items():
        if name.startswith("bag."):
            w[:] = {"W": np.eye(SIZE), "R": FADE * np.eye(SIZE)}.get(name.rsplit(".", 1)[1], 0.0)
    network.parameters["evidence.E"][:] = 0


class Sentences(NamedTuple):
    """Some examples, the pieces of each, and, of those that choose, the pooled scores [n] and classes [n, labels] of
    the network with an empty bag."""

    examples: Sequence[Example]
    ids: Ids
    scores: F64 = np.zeros(0)
    classes: F64 = np.zeros((0, len(LABELS)))

    @property
    def signed(self) -> Any:
        """Those with a score that has a sign."""
        return np.flatnonzero([e.source != LABELLED and e.score != 0 for e in self.examples])

    @property
    def labelled(self) -> Any:
        """Those with a label."""
        return np.flatnonzero([e.label >= 0 for e in self.examples])


def fill(network: TrainableNetwork, learnt: Sentences, choosing: Sentences) -> tuple[float, float]:
    """Give the pieces their weights, by the sentences that are ``learnt``, and let the bag count as much as is best
    for those that choose. Returns how much beside the recurrent layers: in scores, and in classes."""
    bidirectional = "bag.backward.W" in network.parameters
    size = len(network.parameters["evidence.E"])
    X, seen = (_sums(each.ids, size, bidirectional) for each in (learnt, choosing))
    units = network.parameters["scores.W"].shape[1] - SIZE * (2 if bidirectional else 1)

    y, wanted = (np.array([e.score for e in each.examples]) for each in (learnt, choosing))
    at, judged = learnt.signed, choosing.signed
    W = _fitted(X[at], (y[at] > 0).astype(int), seen[judged], (wanted[judged] > 0).astype(int))
    w = W[:, 1] - W[:, 0]
    own, bag = choosing.scores[judged], np.asarray(seen[judged] @ w[:-1] + w[-1])
    unit = float(own.std() / max(bag.std(), 1e-9))
    sources = np.array([choosing.examples[i].source for i in judged])
    right = {share: (own + share * unit * bag > 0) == (wanted[judged] > 0) for share in SHARES}
    wrong = {
        share: np.mean([1 - each[sources == name].mean() for name in set(sources)]) for share, each in right.items()
    }
    of_scores = min(SHARES, key=lambda share: (wrong[share], share))
    mixed = own + of_scores * unit * bag
    # By least squares, as the sum of two opinions is larger than one; not of a network that has learnt nothing.
    scale = float(mixed @ wanted[judged] / max(mixed @ mixed, 1e-9))
    scale = scale if scale > 0 else 1.0
    _read(network, "scores", units, [0], [w], scale, scale * of_scores * unit)

    labels, of = (np.array([e.label for e in each.examples]) for each in (learnt, choosing))
    at, judged = learnt.labelled, choosing.labelled
    W = _fitted(X[at], labels[at], seen[judged], of[judged])
    own, bag = np.log(choosing.classes[judged] + 1e-9), np.asarray(seen[judged] @ W[:-1] + W[-1])
    of_classes = max(SHARES, key=lambda s: (float(((own + s * bag).argmax(axis=1) == of[judged]).mean()), -s))
    _read(network, "logits", units, [1, 2, 3], list(W.T), 1.0, of_classes)
    return of_scores, of_classes


def _sums(ids: Ids, size: int, bidirectional: bool) -> Any:
    """[n, size], sparse: how much each piece counts in what the bag gives of a sentence: behind its last piece, or in
    the mean of what it gives at all of them, in both directions."""
    from scipy.sparse import csr_matrix

    rows = [_counting(len(each), bidirectional) for each in ids]
    ends = np.cumsum([0, *map(len, ids)])
    return csr_matrix((np.concatenate(rows), np.concatenate(list(ids)), ends), (len(ids), size))


@functools.cache
def _counting(length: int, bidirectional: bool) -> F64:
    """Of a sentence of so many pieces: how much the first, second, … counts."""
    apart = np.abs(np.subtract.outer(np.arange(length), np.arange(length)))
    if not bidirectional:
        return np.asarray(FADE ** apart[-1], np.float64)
    return np.asarray((FADE**apart + np.eye(length)).mean(axis=0), np.float64)  # both parts have the piece itself


def _fitted(X: Any, y: npt.NDArray[np.int64], seen: Any, wanted: npt.NDArray[np.int64]) -> F64:
    """Weights [pieces + 1, classes] of the penalty with which most of those that choose are right."""
    return max(baselines.fits(X, y), key=lambda W: float((baselines.logits(seen, W).argmax(axis=1) == wanted).mean()))


def _read(
    network: TrainableNetwork, node: str, units: int, values: Sequence[int], weights: Sequence[F64], scale: float,
    count: float,
) -> None:  # fmt: skip
    """Let a dense node add ``count`` times the ``values`` of the bag, of these weights of pieces, to ``scale`` times
    what it has learnt."""
    W, b, E = (network.parameters[name] for name in (f"{node}.W", f"{node}.b", "evidence.E"))
    W[:, :units] *= scale
    W[:, units:] = 0
    b *= scale
    for row, (value, w) in enumerate(zip(values, weights, strict=True)):
        E[:, value] = w[:-1]
        W[row, units + value :: SIZE] = count
        b[row] += count * w[-1]
