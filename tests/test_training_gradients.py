"""Back-propagation against finite differences in float64: every layer, direction and loss, and ragged lengths."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from ostinato.activations import FUNCTIONS
from ostinato.errors import TrainingError
from ostinato.model.activation import Activation
from ostinato.model.decoders import Outputs
from ostinato.model.front_ends import Frames, Tokens
from ostinato.model.layers import (
    Activate,
    Add,
    BatchNorm,
    Concatenate,
    Dense,
    Direction,
    Embedding,
    Gru,
    Layer,
    Lstm,
    MaxPool,
    Mean,
    Multiply,
    OneHot,
    Rnn,
    Softmax,
)
from ostinato.model.specification import Head, Node, Sequential, Specification
from ostinato.training import Learning, Objective, Sources, losses
from ostinato.training.network import TrainableNetwork

Array = npt.NDArray[Any]

LENGTHS, SOURCES = np.array([3, 6, 0, 5, 1]), np.array([4, 2, 3, 6, 1])
DIRECTIONS: tuple[Direction, ...] = ("forward", "backward", "bidirectional")
CELLS: dict[str, Callable[[Direction], Layer]] = {
    "rnn": lambda d: Rnn(3, direction=d),
    "gru-after": lambda d: Gru(3, direction=d),
    "gru-before": lambda d: Gru(3, direction=d, reset="before"),
    "lstm": lambda d: Lstm(3, direction=d),
    "lstm-peepholes": lambda d: Lstm(3, direction=d, peepholes=True),
}


def frames_network(*layers: Layer, size: int = 4) -> TrainableNetwork:
    return network(Sequential("t", Frames(size), layers, Outputs()))


def network(specification: Specification) -> TrainableNetwork:
    """Float64, every weight random, biases and peepholes too."""
    net = TrainableNetwork(specification, np.float64)
    random = np.random.default_rng(5)
    for w in net.parameters.values():
        w[:] = random.normal(scale=0.7, size=w.shape)
    return net


def inputs(net: TrainableNetwork, random: np.random.Generator) -> Array:
    return drawn(net.specification, random, LENGTHS)


def drawn(specification: Specification, random: np.random.Generator, lengths: Array) -> Array:
    """What its front end gives of sequences of such lengths."""
    front = specification.front_end
    if isinstance(front, Tokens):
        return random.integers(0, len(front.vocabulary), (len(lengths), lengths.max()))
    return random.normal(size=(len(lengths), lengths.max(), front.frame_size))


def sources(net: TrainableNetwork, random: np.random.Generator, wait: int | None = None) -> Sources | None:
    """What its encoder reads, if it has one."""
    encoder = net.specification.encoder
    return None if encoder is None else Sources(drawn(encoder, random, SOURCES), SOURCES, wait)


def check(net: TrainableNetwork, wait: int | None = None) -> None:
    """Each gradient against central differences of a random weighting of the outputs."""
    random = np.random.default_rng(1)
    x = inputs(net, random)
    source = sources(net, random, wait)
    y = net.forward(x, LENGTHS, sources=source)["main"]
    weighting = random.normal(size=y.shape)

    def value() -> float:
        return float((net.forward(x, LENGTHS, sources=source)["main"] * weighting).sum())

    statistics = {name for name in net.parameters if name.endswith((".mean", ".variance"))}
    gradients = net.backward({"main": weighting})
    assert all(gradient.any() for gradient in gradients.values())
    compare(net, gradients, value, statistics)


def compare(
    net: TrainableNetwork, gradients: Mapping[str, Array], value: Callable[[], float], without: set[str] | None = None
) -> None:
    """Gradients of all weights but those ``without`` against central differences of the value."""
    assert gradients.keys() == net.parameters.keys() - (without or set())
    for name in gradients:
        w = net.parameters[name]
        flat, numeric = w.reshape(-1), np.empty(w.size)
        for i in range(w.size):
            saved, sides = flat[i], []
            for step in (1e-5, -1e-5):
                flat[i] = saved + step
                sides.append(value())
            flat[i] = saved
            numeric[i] = (sides[0] - sides[1]) / 2e-5
        analytic = gradients[name].reshape(-1)
        error = np.linalg.norm(analytic - numeric) / max(1e-3, float(np.linalg.norm(numeric)))
        assert error < 1e-6, name


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("cell", list(CELLS))
def test_recurrent_layer(cell: str, direction: Direction) -> None:
    check(frames_network(CELLS[cell](direction)))


@pytest.mark.parametrize("cell", list(CELLS))
def test_stack_of_bidirectional_and_forward(cell: str) -> None:
    check(frames_network(CELLS[cell]("bidirectional"), CELLS[cell]("forward"), Dense(2)))


ACTIVATIONS = (
    Activation("identity"),
    Activation("relu"),
    Activation("tanh"),
    Activation("sigmoid"),
    Activation("affine", 0.8, 0.3),
    Activation("leaky-relu", 0.2),
    Activation("thresholded-relu", -0.2),
    Activation("scaled-tanh", 1.3, 0.6),
    Activation("hard-sigmoid"),
    Activation("elu", 0.7),
    Activation("softsign"),
    Activation("softplus"),
    Activation("clip", -0.6, 0.8),
    Activation("abs"),
    Activation("erf"),
    Activation("silu", 1.3),
    Activation("hard-swish"),
    Activation("gelu"),
    Activation("gelu-tanh"),
    Activation("selu"),
    Activation("celu", 0.7),
)


def test_activations_are_all_there_are() -> None:
    assert {each.name for each in (*ACTIVATIONS, *NOT_ANYWHERE)} == set(FUNCTIONS)


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda a: a.name)
def test_activation_in_rnn_and_dense(activation: Activation) -> None:
    check(frames_network(Rnn(3, activation=activation), Dense(3, activation=activation), Dense(2)))


@pytest.mark.parametrize("reader", [Rnn(3), Gru(3, direction="bidirectional"), Dense(3)], ids=lambda r: r.kind)
def test_one_hot(reader: Layer) -> None:
    check(network(Sequential("t", Tokens(tuple("abcde")), (OneHot(), reader), Outputs())))


def test_embedding() -> None:
    check(network(Sequential("t", Tokens(tuple("abcde")), (Embedding(2), Lstm(3)), Outputs())))


def test_softmax_inside() -> None:
    check(frames_network(Dense(3), Softmax(), Gru(2)))


def joining(layer: Layer, *sizes: int) -> TrainableNetwork:
    """The layer above dense ones, above which is another: gradients flow through it both ways, and past it."""
    below = [Node(f"in{k}", Dense(size), ("frames",)) for k, size in enumerate(sizes)]
    nodes = (
        *below,
        Node("joined", layer, tuple(node.name for node in below)),
        Node("past", Concatenate(), ("joined", "in0", "frames", "in0")),
        Node("above", Dense(2), ("past",)),
    )
    return network(Specification("t", Frames(4), nodes, (Head("main", "above", Outputs()),)))


@pytest.mark.parametrize("sizes", [(3, 3), (3, 3, 3), (3, 1), (1, 3, 1)], ids=str)
@pytest.mark.parametrize("layer", [Add(), Multiply(), Mean(), Concatenate()], ids=lambda v: v.kind)
def test_layers_of_several_inputs(layer: Layer, sizes: tuple[int, ...]) -> None:
    check(joining(layer, *sizes))


def test_an_input_that_is_read_twice() -> None:
    nodes = (
        Node("a", Gru(3, "bidirectional"), ("frames",)),
        Node("square", Multiply(), ("a", "a")),
        Node("twice", Add(), ("a", "square", "a")),
        Node("y", Lstm(2), ("twice",)),
    )
    check(network(Specification("t", Frames(4), nodes, (Head("main", "y", Outputs()),))))


NOT_ANYWHERE = tuple(Activation(name) for name in ("square", "sqrt", "log", "reciprocal", "exp"))
"""In a recurrence they know no bounds, or are asked for what they have not."""


@pytest.mark.parametrize("activation", NOT_ANYWHERE, ids=lambda a: a.name)
def test_activations_above_positive_numbers(activation: Activation) -> None:
    check(frames_network(Dense(3, activation=Activation("softplus")), Activate(activation), Dense(2)))


@pytest.mark.parametrize("layer", [Activate(Activation("softplus"))], ids=lambda v: v.kind)
def test_layers_of_one_input(layer: Layer) -> None:
    check(joining(layer, 3))


def test_batch_norm_by_the_batch_s_own_statistics() -> None:
    """While the network learns: of all frames of all sequences, none of the padding; gradients go through them."""
    spec = Sequential("t", Frames(4), (Dense(3), BatchNorm(), Gru(3, "bidirectional"), Dense(2)), Outputs())
    net = network(spec)
    net.parameters["batch-norm.variance"][:] = 1
    x = inputs(net, np.random.default_rng(1))

    def forward(learning: Learning | None = None) -> Array:
        return net.forward(x, LENGTHS, learning or Learning(np.random.default_rng(0)))["main"]

    weighting = np.random.default_rng(4).normal(size=forward().shape)
    for _ in range(200):
        learning = Learning(np.random.default_rng(0))
        forward(learning)
        net.settle([learning])
    rows = np.concatenate([one[:n] for one, n in zip(x, LENGTHS, strict=True)])
    below = rows @ net.parameters["dense-1.W"].T + net.parameters["dense-1.b"]
    np.testing.assert_allclose(net.parameters["batch-norm.mean"], below.mean(axis=0), atol=1e-8)
    np.testing.assert_allclose(net.parameters["batch-norm.variance"], below.var(axis=0, ddof=1), atol=1e-8)
    kept = {name: net.parameters[f"batch-norm.{name}"].copy() for name in ("mean", "variance")}
    assert not np.array_equal(net.forward(x, LENGTHS)["main"], forward()), "evaluation goes by the weights"
    for name in ("dense-1.W", "batch-norm.gamma", "batch-norm.beta"):
        gradient = (forward(), net.backward({"main": weighting}))[1][name].copy()
        w, numeric = net.parameters[name].reshape(-1), np.empty(net.parameters[name].size)
        for i in range(w.size):
            saved, sides = w[i], []
            for step in (1e-5, -1e-5):
                w[i] = saved + step
                sides.append((forward() * weighting).sum())
            w[i] = saved
            numeric[i] = (sides[0] - sides[1]) / 2e-5
        assert np.linalg.norm(gradient.reshape(-1) - numeric) < 1e-6 * np.linalg.norm(numeric), name
    for name, value in kept.items():
        assert np.array_equal(net.parameters[f"batch-norm.{name}"], value), "only what is settled changes them"


def test_batch_norm_of_a_single_frame_and_of_none_goes_by_the_weights() -> None:
    net = frames_network(BatchNorm(), Dense(2))
    net.parameters["batch-norm.variance"][:] = 2
    before = {name: w.copy() for name, w in net.parameters.items()}
    x = np.random.default_rng(1).normal(size=(2, 1, 4))
    for lengths in ([1, 0], [0, 0]):
        learning = Learning(np.random.default_rng(0))
        learnt = net.forward(x, lengths, learning)["main"]
        assert np.isfinite(learnt).all() and np.array_equal(learnt, net.forward(x, lengths)["main"])
        net.backward({"main": np.ones_like(learnt)})
        net.settle([learning])
    assert all(np.array_equal(net.parameters[name], w) for name, w in before.items())


def regression_targets() -> Array:
    random = np.random.default_rng(2)
    y = random.normal(size=(len(LENGTHS), LENGTHS.max(), 3))
    y[1, 2, 0] = np.nan
    return y


def classes() -> Array:
    y = np.random.default_rng(2).integers(0, 3, (len(LENGTHS), LENGTHS.max()))
    y[1, 2] = -1
    return y


CTC_TARGETS: list[list[int]] = [[1], [2, 2, 1], [], [], [1]]
CLASSES = np.array([1, 0, 2, 2, 0])
JUDGED: tuple[tuple[losses.Loss, Any], ...] = (
    (losses.CrossEntropy(), classes()),
    (losses.CrossEntropy(smoothing=0.2, class_weights=(1.0, 0.5, 3.0)), classes()),
    (losses.CrossEntropy(), CLASSES),
    (losses.CtcLoss(), CTC_TARGETS),
    (losses.BinaryCrossEntropy(), 1 / (1 + np.exp(regression_targets()))),
    (losses.BinaryCrossEntropy(smoothing=0.1), 1 / (1 + np.exp(regression_targets()[:, 2]))),
    (losses.MeanSquaredError(), regression_targets()),
    (losses.MeanAbsoluteError(), regression_targets()),
    (losses.Huber(0.5), regression_targets()),
)
"""Each loss, with targets for frames and for sequences, with what does not count among them."""


def ends() -> dict[str, Callable[[], TrainableNetwork]]:
    """Networks of 3 outputs by what they end in: what is left to the loss, what is not, and what no activation is."""
    below = (Gru(3, direction="bidirectional"), Dense(3))
    apart = [Node(f"p{k}", Softmax(), (f"d{k}",)) for k in range(2)]
    dense = [Node(f"d{k}", Dense(3), ("frames",)) for k in range(2)]
    both = Specification(
        "t", Frames(4), (*dense, *apart, Node("mean", Mean(), ("p0", "p1"))), (Head("main", "mean", Outputs()),)
    )
    return {
        "values": lambda: frames_network(*below),
        "softmax": lambda: frames_network(*below, Softmax()),
        "sigmoid": lambda: frames_network(below[0], Dense(3, activation=Activation("sigmoid"))),
        "mean of softmaxes": lambda: network(both),
        "sigmoid by itself": lambda: frames_network(*below, Activate(Activation("sigmoid"))),
    }


TAKEN = {
    "softmax": ("softmax", "mean of softmaxes"),
    "sigmoid": ("sigmoid", "softmax", "mean of softmaxes", "sigmoid by itself"),
    None: ("values", "softmax", "sigmoid"),
}


def test_every_loss_is_judged() -> None:
    assert {type(loss) for loss, _ in JUDGED} == set(losses.LOSSES.values())


@pytest.mark.parametrize(
    ("loss", "targets", "end"),
    [
        pytest.param(loss, targets, end, id=f"{loss}-{np.ndim(targets) if loss.kind != 'ctc' else 1}-{end}")
        for loss, targets in JUDGED
        for end in TAKEN[loss.link]
    ],
)
def test_loss(loss: losses.Loss, targets: Any, end: str) -> None:
    net = ends()[end]()
    objective = Objective(net, loss)
    random = np.random.default_rng(1)
    x = inputs(net, random)

    def judged() -> losses.Judgement:
        return objective(net.forward(x, LENGTHS), net.output_lengths(LENGTHS), {"main": targets})["main"]

    gradients = net.backward({"main": judged().gradient})
    assert all(gradient.any() for gradient in gradients.values() if gradient.ndim == 1)
    compare(net, gradients, lambda: float(judged().sums.sum()))


@pytest.mark.parametrize(("loss", "end"), [(losses.CrossEntropy(), "sigmoid"), (losses.CtcLoss(), "values")])
def test_a_loss_of_probabilities_refuses_what_is_none(loss: losses.Loss, end: str) -> None:
    net = ends()[end]()
    x = inputs(net, np.random.default_rng(1))
    with pytest.raises(TrainingError, match="let the head's node end in softmax"):
        Objective(net, loss)(net.forward(x, LENGTHS), net.output_lengths(LENGTHS), {"main": []})


def test_heads_of_different_depth_length_and_loss_learn_together() -> None:
    """The sum of their mean losses by weight; a head that has no loss leaves its own layers alone."""
    nodes = (
        Node("shared", Gru(3), ("frames",)),
        Node("words", Dense(3), ("shared",)),
        Node("p", Softmax(), ("words",)),
        Node("ahead", MaxPool(3, left=0), ("shared",)),
        Node("energy", Dense(1), ("ahead",)),
        Node("unused", Dense(2), ("shared",)),
    )
    heads = (
        Head("words", "p", Outputs()), Head("again", "p", Outputs()), Head("energy", "energy", Outputs()),
        Head("unused", "unused", Outputs()),
    )  # fmt: skip
    net = network(Specification("t", Frames(4), nodes, heads))
    random = np.random.default_rng(1)
    x, y = inputs(net, random), random.normal(size=(len(LENGTHS), LENGTHS.max() - 2, 1))
    targets = {"words": classes(), "again": CTC_TARGETS, "energy": y}
    chosen = {"words": losses.CrossEntropy(), "again": losses.CtcLoss(), "energy": losses.Huber()}
    objective = Objective(net, chosen, {"energy": 0.3, "again": 2.0})
    found: dict[str, dict[str, float]] = {}

    def value() -> float:
        judged = objective(net.forward(x, LENGTHS), net.output_lengths(LENGTHS), targets)
        found["sums"] = {name: each.sums[~np.isposinf(each.sums)].sum() for name, each in judged.items()}
        found["counts"] = {name: each.counts.sum() for name, each in judged.items()}
        found["gradients"] = objective.gradients(judged, found["counts"])
        return objective.mean(found["sums"], found["counts"])

    together = value()
    words, again, energy = (found["sums"][name] / found["counts"][name] for name in ("words", "again", "energy"))
    assert together == pytest.approx(words + 2 * again + 0.3 * energy, rel=1e-12)
    gradients = net.backward(found["gradients"])
    assert not any(name.startswith("unused") for name in gradients)
    compare(net, gradients, value, {name for name in net.parameters if name.startswith("unused")})


def test_dropout_gradient_is_of_the_same_mask() -> None:
    spec = Sequential("t", Frames(4), (Gru(6), Gru(3), Dense(2)), Outputs())
    net = TrainableNetwork(spec, np.float64, dropout=0.4)
    x = np.random.default_rng(1).normal(size=(5, 6, 4))

    def forward() -> Array:
        return net.forward(x, LENGTHS, Learning(np.random.default_rng(3)))["main"]

    weighting = np.random.default_rng(4).normal(size=forward().shape)
    gradient = net.backward({"main": weighting})["gru-1.forward.W"]
    assert not np.array_equal(forward(), net.forward(x, LENGTHS)["main"])
    w = net.parameters["gru-1.forward.W"]
    w[4, 1] += 1e-5
    up = (forward() * weighting).sum()
    w[4, 1] -= 2e-5
    assert gradient[4, 1] == pytest.approx((up - (forward() * weighting).sum()) / 2e-5, rel=1e-6)
