"""Encoder-decoders learn: gradients through memories, what wait-k may see, and reversing words to the end."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from rich.console import Console
from test_training_gradients import compare

from ostinato.errors import ShapeError, TrainingError
from ostinato.model.activation import IDENTITY
from ostinato.model.decoders import Generation, Outputs
from ostinato.model.front_ends import Tokens
from ostinato.model.layers import Attention, Concatenate, Dense, Direction, Embedding, Gru, Last, Lstm, Softmax
from ostinato.model.specification import Head, Node, Specification
from ostinato.training import Adam, Batch, Cosine, Learning, Sources, TrainableNetwork, Warmup, fit, pad
from ostinato.training.losses import CrossEntropy

Array = npt.NDArray[Any]
LETTERS = tuple("abcde")
START, END = len(LETTERS), len(LETTERS) + 1


def translator(direction: Direction, score: str, hidden: int = 3, cell: Any = Gru) -> Specification:
    """Letters in, letters out: attention (Bahdanau's, or Luong's over dense keys), and a beginning."""
    width = hidden * (2 if direction == "bidirectional" else 1)
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
    assert width
    nodes = (
        Node("letters", Embedding(4), ("frames",)),
        Node("text", cell(hidden), ("letters", "encoder.begin")),
        Node("context", Attention(score), ("text", "encoder.keys", "encoder.states")),  # type: ignore[arg-type]
        Node("last", Last(), ("encoder.states",)),
        Node("joined", Concatenate(), ("text", "context", "last")),
        Node("next", Dense(len(LETTERS) + 2), ("joined",)),
        Node("softmax", Softmax(), ("next",)),
    )
    head = Head("main", "softmax", Generation(start=START, end=END, longest=20))
    return Specification("writer", Tokens((*LETTERS, "<", ">")), nodes, (head,), encoder=encoder)


def batch(words: Sequence[Sequence[int]], turned: bool = True, wait: int | None = None) -> Batch:
    """Words, and what is right for them: themselves, turned round."""
    answers = [word[::-1] if turned else word for word in words]
    inputs, lengths = pad([np.array([START, *answer]) for answer in answers])
    targets, _ = pad([np.array([*answer, END]) for answer in answers], -1)
    return Batch(inputs, lengths, targets, Sources(*pad([np.array(word) for word in words]), wait))


def draw(random: np.random.Generator, count: int, longest: int = 7) -> list[Array]:
    return [random.integers(0, len(LETTERS), random.integers(1, longest + 1)) for _ in range(count)]


@pytest.mark.parametrize("cell", [Gru, Lstm])
@pytest.mark.parametrize(("direction", "wait"), [("bidirectional", None), ("forward", None), ("forward", 2)])
@pytest.mark.parametrize("score", ["additive", "dot"])
def test_gradients_flow_through_the_memory(direction: Direction, wait: int | None, score: str, cell: Any) -> None:
    """Of all weights, the encoder's among them; sequences of any lengths, of none too."""
    network = TrainableNetwork(translator(direction, score, cell=cell), np.float64)
    random = np.random.default_rng(5)
    for weight in network.parameters.values():
        weight[:] = random.normal(scale=0.7, size=weight.shape)
    lengths, sources = np.array([3, 0, 5, 1]), Sources(random.integers(0, 5, (4, 4)), np.array([2, 3, 4, 1]), wait)
    x = random.integers(0, 7, (4, 5))
    weighting = random.normal(size=(4, 5, 7))

    def value() -> float:
        return float((network.forward(x, lengths, sources=sources)["main"] * weighting).sum())

    value()
    gradients = network.backward({"main": weighting})
    assert all(gradient.any() for gradient in gradients.values())
    compare(network, gradients, value)


def test_a_step_sees_no_more_than_it_waits_for() -> None:
    network = TrainableNetwork(translator("forward", "dot"))
    some = batch([[0, 1, 2, 3, 4]], wait=2)
    assert some.sources is not None
    one = network.forward(some.inputs, some.lengths, sources=some.sources)["main"]
    for at in range(5):
        other = dataclasses.replace(some.sources, inputs=some.sources.inputs.copy())
        other.inputs[0, at] = (other.inputs[0, at] + 1) % 5
        changed = (network.forward(some.inputs, some.lengths, sources=other)["main"] != one).any(axis=(0, 2))
        assert not changed[: max(0, at - 1)].any() and changed[max(0, at - 1) :].all(), at


def test_what_an_encoder_cannot_read_is_refused() -> None:
    network, plain = (TrainableNetwork(each) for each in (translator("bidirectional", "dot"), language_model()))
    some = batch([[0, 1], [2]])
    assert some.sources is not None
    with pytest.raises(TrainingError, match="needs sources"):
        network.forward(some.inputs, some.lengths)
    with pytest.raises(TrainingError, match="no encoder"):
        plain.forward(some.inputs, some.lengths, sources=some.sources)
    with pytest.raises(ShapeError, match="too short"):
        network.forward(some.inputs, some.lengths, sources=Sources(some.sources.inputs, np.array([2, 0])))
    with pytest.raises(TrainingError, match="from the end"):
        network.forward(some.inputs, some.lengths, sources=dataclasses.replace(some.sources, wait=1))
    with pytest.raises(TrainingError, match="without truncation"):
        fit(network, lambda epoch: [some], CrossEntropy(), Adam(Cosine(1e-3, 5)), steps=1, truncate=2)


def language_model() -> Specification:
    nodes = (Node("letters", Embedding(4), ("frames",)), Node("next", Dense(7), ("letters",)))
    head = Head("main", "next", Generation(start=START, end=END))
    return Specification("plain", Tokens((*LETTERS, "<", ">")), nodes, (head,))


def learnt(specification: Specification, steps: int, **how: Any) -> TrainableNetwork:
    network = TrainableNetwork(specification, seed=1)

    def batches(epoch: int) -> Iterator[Batch]:
        random = np.random.default_rng(epoch)
        for _ in range(100):
            yield batch(draw(random, 32), wait=how.get("wait"))

    fit(
        network, batches, CrossEntropy(), Adam(Warmup(Cosine(2e-2, steps), 20), clip_norm=1), steps=steps,
        console=Console(file=io.StringIO()), own_tokens=how.get("own_tokens", 0.0),
    )  # fmt: skip
    return network


@pytest.mark.parametrize("score", ["additive", "dot"])
def test_words_are_turned_round(score: str) -> None:
    """Each word that was not seen before, to its last letter: by attention, as there is no other way to the letters'
    order but through it."""
    network = learnt(translator("bidirectional", score, 24), 400, own_tokens=0.2)
    some = batch(draw(np.random.default_rng(10**6), 200))
    found = network.forward(some.inputs, some.lengths, sources=some.sources)["main"].argmax(axis=2)
    assert (found == some.targets)[some.targets >= 0].mean() > 0.999


def test_own_tokens_are_read_where_they_are_drawn() -> None:
    """Shares of a batch give the same as the whole, and a pass with own tokens another gradient than one without."""
    network = TrainableNetwork(translator("forward", "dot"), np.float64, seed=2)
    from ostinato.training.learner import Learner
    from ostinato.training.objective import Objective

    some = batch(draw(np.random.default_rng(1), 8))
    before = {name: weight.copy() for name, weight in network.parameters.items()}
    taken = []
    for own in (0.0, 1.0):
        for name, weight in before.items():
            network.parameters[name][:] = weight
        learner = Learner(network, Objective(network, CrossEntropy()), Adam(Cosine(1e-2, 5)))
        taken.append(learner.learn(some, (1,), own).sums["main"])
    for name, weight in before.items():
        network.parameters[name][:] = weight
    plain = network.forward(some.inputs, some.lengths, sources=some.sources)["main"]
    own = some.inputs.copy()
    own[:, 1:] = plain[:, :-1].argmax(axis=2)
    outputs = network.forward(own, some.lengths, sources=some.sources)["main"]
    wanted = CrossEntropy()(outputs, some.lengths, some.targets).sums.sum()
    assert taken[1] == pytest.approx(wanted) and taken[0] != pytest.approx(wanted)
    with pytest.raises(TrainingError, match="networks that generate"):
        other = dataclasses.replace(
            language_model(), heads=(Head("main", "next", Outputs()),)
        )
        net = TrainableNetwork(other)
        Learner(net, Objective(net, CrossEntropy()), Adam(Cosine(1e-2, 5))).learn(
            dataclasses.replace(some, sources=None), (1,), 0.5
        )
    assert Learning
