"""What learns: a network in one direction or in both, and the batches that it learns from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from ostinato.model.decoders import Labels, Outputs, SequenceClass, SequenceOutputs
from ostinato.model.front_ends import Tokens
from ostinato.model.layers import Dense, Embedding, Gru, Softmax
from ostinato.model.specification import FRAMES, Head, Node, Specification
from ostinato.training.batching import Batch, bucketed, pad
from ostinato.training.network import TrainableNetwork
from ostinato.training.recipes.sentiment import evidence
from ostinato.training.recipes.sentiment.examples import LABELS, Example

Direction = Literal["uni", "bi"]
EMBEDDED = 32
UNITS = {"uni": 96, "bi": 48}
"""Of one direction: about as many weights either way."""
RUNNING = 0.04
"""The share of words at which a sentence's score is asked for, beside its last one."""
FORGOTTEN = 0.1
"""The share of pieces that are unknown while learning, so that the network knows what to make of those."""


def specification(front_end: Tokens, direction: Direction) -> Specification:
    """A score and a class after each piece (heads ``score`` and ``label``), and one of the whole sentence
    (``sentence``, ``class``), which is the last piece's, or, in both directions, the mean of all."""
    pool: Literal["last", "mean"] = "last" if direction == "uni" else "mean"
    gru = Gru(UNITS[direction], direction="forward" if direction == "uni" else "bidirectional")
    return Specification(
        f"sentiment-{direction}",
        front_end,
        (
            Node("words", Embedding(EMBEDDED), (FRAMES,)),
            Node("gru", gru, ("words",)),
            *evidence.nodes(direction == "bi"),
            Node("scores", Dense(1), ("read",)),
            Node("logits", Dense(len(LABELS)), ("read",)),
            Node("classes", Softmax(), ("logits",)),
        ),
        (
            Head("score", "scores", Outputs()),
            Head("label", "classes", Labels(LABELS)),
            Head("sentence", "scores", SequenceOutputs(1, pool)),
            Head("class", "classes", SequenceClass(LABELS, pool)),
        ),
    )


def pooled(
    network: TrainableNetwork, ids: Sequence[npt.NDArray[np.int64]], direction: Direction
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """What the heads ``sentence`` [n] and ``class`` [n, labels] say of sentences."""
    scores, classes = np.zeros(len(ids)), np.zeros((len(ids), len(LABELS)))
    for chosen in bucketed([len(each) for each in ids], 64):
        padded, lengths = pad([ids[i] for i in chosen])
        outputs = network.activate(network.forward(padded, lengths))
        for row, (i, length) in enumerate(zip(chosen, lengths, strict=True)):
            score, label = (
                given[-1] if direction == "uni" else given.mean(axis=0)
                for given in (outputs[head][row, :length] for head in ("score", "label"))
            )
            scores[i], classes[i] = score[0], label
    return scores, classes


class Batches:
    """Batches of sentences of similar length, with other words forgotten and asked for in each epoch."""

    def __init__(
        self,
        examples: Sequence[Example],
        ids: Sequence[npt.NDArray[np.int64]],
        direction: Direction,
        size: int,
        seed: int,
    ) -> None:
        self.examples, self.ids, self.size, self.seed = examples, ids, size, seed
        self.running = RUNNING if direction == "uni" else 1.0
        self.lengths = [len(each) for each in ids]

    def __call__(self, epoch: int) -> Iterator[Batch]:
        """The batches of an epoch, the same ones each time."""
        random = np.random.default_rng([self.seed, epoch])
        for chosen in bucketed(self.lengths, self.size, random):
            padded, lengths = pad([self.ids[i] for i in chosen])
            padded[random.random(padded.shape) < FORGOTTEN] = 0
            asked = random.random(padded.shape) < self.running
            asked[np.arange(len(chosen)), lengths - 1] = True
            scores = np.array([self.examples[i].score for i in chosen], np.float32)
            labels = np.array([self.examples[i].label for i in chosen], np.int64)
            yield Batch(
                padded,
                lengths,
                {
                    "score": np.where(asked, scores[:, None], np.float32(np.nan))[..., None],
                    "label": np.where(asked, labels[:, None], -1),
                },
            )
