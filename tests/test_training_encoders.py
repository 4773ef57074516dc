"""Encoder-decoders learn: gradients through memories, what wait-k may see, and words turned round."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pytest
from rich.console import Console
from test_training_gradients import check, network

from ostinato.errors import ShapeError, TrainingError
from ostinato.model.activation import IDENTITY
from ostinato.model.decoders import Generation, Outputs
from ostinato.model.front_ends import Tokens
from ostinato.model.layers import Attention, Concatenate, Dense, Direction, Embedding, Gru, Last, Lstm, Softmax
from ostinato.model.specification import Head, Node, Specification
from ostinato.training import Adam, Batch, Cosine, Objective, Sources, TrainableNetwork, Warmup, fit, pad
from ostinato.training.learner import Learner
from ostinato.training.losses import CrossEntropy

Array = npt.NDArray[Any]
Score = Literal["dot", "additive"]
LETTERS = tuple("abcde")
START, END = len(LETTERS), len(LETTERS) + 1


def translator(direction: Direction, score: Score, hidden: int = 3, cell: Any = Gru) -> Specification:
    """Letters in, letters out: attention (Bahdanau's, or Luong's over dense keys), and a beginning."""
    begin = (2 if cell is Lstm else 1) * hidden
    encoder = Specification(
        "reader",
        Tokens(LETTERS),
        (
            Node("letters", Embedding(4), ("frames",)),
            Node("states", cell(hidden, direction=direction), ("letters",)),
            Node("keys", Dense(hidden, IDENTITY), ("states",)),
            Node("begin", Dense(begin), ("states",)),
        ),
        (Head("keys", "keys", Outputs()), Head("states", "states", Outputs()), Head("begin", "begin", Outputs())),
    )
    nodes = (
        Node("letters", Embedding(4), ("frames",)),
        Node("text", cell(hidden), ("letters", "encoder.begin")),
        Node("context", Attention(score), ("text", "encoder.keys", "encoder.states")),
        Node("last", Last(), ("encoder.states",)),
        Node("joined", Concatenate(), ("text", "context", "last")),
        Node("next", Dense(len(LETTERS) + 2), ("joined",)),
        Node("softmax", Softmax(), ("next",)),
    )
    head = Head("main", "softmax", Generation(start=START, end=END, longest=20))
    return Specification("writer", Tokens((*LETTERS, "<", ">")), nodes, (head,), encoder=encoder)


def batch(words: Sequence[Sequence[int]], wait: int | None = None) -> Batch:
    """Words, and what is right for them: themselves, turned round."""
    inputs, lengths = pad([np.array([START, *word[::-1]]) for word in words])
    targets, _ = pad([np.array([*word[::-1], END]) for word in words], -1)
    return Batch(inputs, lengths, targets, Sources(*pad([np.array(word) for word in words]), wait))


def draw(random: np.random.Generator, count: int, longest: int = 7) -> list[Array]:
    return [random.integers(0, len(LETTERS), random.integers(1, longest + 1)) for _ in range(count)]


@pytest.mark.parametrize(
    ("direction", "wait", "score", "cell"),
    [("bidirectional", None, "additive", Gru), ("forward", 2, "dot", Lstm)],
)
def test_gradients_flow_through_the_memory(direction: Direction, wait: int | None, score: Score, cell: Any) -> None:
    """Of all weights, the encoder's among them, where several layers look up what it makes."""
    check(network(translator(direction, score, cell=cell)), wait)


def test_a_step_sees_no_more_than_it_waits_for() -> None:
    learning = TrainableNetwork(translator("forward", "dot"))
    some = batch([[0, 1, 2, 3, 4]], wait=2)
    assert some.sources is not None
    one = learning.forward(some.inputs, some.lengths, sources=some.sources)["main"]
    for at in range(5):
        other = dataclasses.replace(some.sources, inputs=some.sources.inputs.copy())
        other.inputs[0, at] = (other.inputs[0, at] + 1) % 5
        changed = (learning.forward(some.inputs, some.lengths, sources=other)["main"] != one).any(axis=(0, 2))
        assert not changed[: max(0, at - 1)].any() and changed[max(0, at - 1) :].all(), at


def test_what_an_encoder_cannot_read_is_refused() -> None:
    learning, plain = (TrainableNetwork(each) for each in (translator("bidirectional", "dot"), language_model()))
    some = batch([[0, 1], [2]])
    assert some.sources is not None
    with pytest.raises(TrainingError, match="needs sources"):
        learning.forward(some.inputs, some.lengths)
    with pytest.raises(TrainingError, match="no encoder"):
        plain.forward(some.inputs, some.lengths, sources=some.sources)
    with pytest.raises(ShapeError, match="too short"):
        learning.forward(some.inputs, some.lengths, sources=Sources(some.sources.inputs, np.array([2, 0])))
    with pytest.raises(TrainingError, match="from the end"):
        learning.forward(some.inputs, some.lengths, sources=dataclasses.replace(some.sources, wait=1))
    with pytest.raises(TrainingError, match="without truncation"):
        fit(learning, lambda epoch: [some], CrossEntropy(), Adam(Cosine(1e-3, 5)), steps=1, truncate=2)


def language_model() -> Specification:
    nodes = (Node("letters", Embedding(4), ("frames",)), Node("next", Dense(7), ("letters",)))
    head = Head("main", "next", Generation(start=START, end=END))
    return Specification("plain", Tokens((*LETTERS, "<", ">")), nodes, (head,))


@pytest.mark.parametrize("score", ["additive", "dot"])
def test_words_are_turned_round(score: Score) -> None:
    """Words that were not seen before, to the last letter: only attention knows the way to their order."""
    learning = TrainableNetwork(translator("bidirectional", score, 24), seed=1)

    def batches(epoch: int) -> Iterator[Batch]:
        random = np.random.default_rng(epoch)
        for _ in range(100):
            yield batch(draw(random, 32))

    optimiser = Adam(Warmup(Cosine(2e-2, 400), 20), clip_norm=1)
    fit(learning, batches, CrossEntropy(), optimiser, steps=400, own_tokens=0.2, console=Console(file=io.StringIO()))
    some = batch(draw(np.random.default_rng(10**6), 200))
    found = learning.forward(some.inputs, some.lengths, sources=some.sources)["main"].argmax(axis=2)
    assert (found == some.targets)[some.targets >= 0].mean() > 0.99


def test_own_tokens_are_read_in_place_of_right_ones() -> None:
    """Each but the first, where all are its own; and they are what the network would have chosen after right ones."""
    learning = TrainableNetwork(translator("forward", "dot"), np.float64, seed=2)
    some = batch(draw(np.random.default_rng(1), 8))
    own = some.inputs.copy()
    own[:, 1:] = learning.forward(own, some.lengths, sources=some.sources)["main"][:, :-1].argmax(axis=2)
    outputs = learning.forward(own, some.lengths, sources=some.sources)["main"]
    wanted = CrossEntropy()(outputs, some.lengths, some.targets).sums.sum()
    assert learner(learning).learn(some, (1,), own_tokens=1.0).sums["main"] == pytest.approx(wanted)
    classes = dataclasses.replace(language_model(), heads=(Head("main", "next", Outputs()),))
    with pytest.raises(TrainingError, match="networks that generate"):
        learner(TrainableNetwork(classes)).learn(dataclasses.replace(some, sources=None), (1,), own_tokens=0.5)


def learner(learning: TrainableNetwork) -> Learner:
    return Learner(learning, Objective(learning, CrossEntropy()), Adam(Cosine(1e-2, 5)))


def test_shares_of_a_batch_have_their_own_sources() -> None:
    """The same losses, however a batch is divided among threads."""
    some = batch(draw(np.random.default_rng(1), 9), wait=1)
    found = []
    for share in (None, 2):
        learning = TrainableNetwork(translator("forward", "dot"), np.float64, seed=2)
        optimiser = Adam(Cosine(1e-2, 5))
        found.append(Learner(learning, Objective(learning, CrossEntropy()), optimiser, share).learn(some, (1,)).sums)
    assert found[0]["main"] == pytest.approx(found[1]["main"])
