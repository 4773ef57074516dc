"""Back-propagation against finite differences in float64: every layer, direction and loss, and ragged lengths."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from ostinato.activations import FUNCTIONS
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
    Mean,
    Multiply,
    OneHot,
    Rnn,
    Softmax,
)
from ostinato.model.specification import Head, Node, Sequential, Specification
from ostinato.training import losses
from ostinato.training.network import TrainableNetwork

Array = npt.NDArray[Any]

LENGTHS = np.array([3, 6, 0, 5, 1])
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
    front = net.specification.front_end
    if isinstance(front, Tokens):
        return random.integers(0, len(front.vocabulary), (len(LENGTHS), LENGTHS.max()))
    return random.normal(size=(len(LENGTHS), LENGTHS.max(), front.frame_size))


def check(net: TrainableNetwork, loss: Any = None, targets: Any = None) -> None:
    """Each gradient against central differences of the summed loss, or of a random weighting of the outputs."""
    random = np.random.default_rng(1)
    x = inputs(net, random)
    y = net.forward(x, LENGTHS)
    weighting = random.normal(size=y.shape)

    def value() -> float:
        out = net.forward(x, LENGTHS)
        return float((out * weighting).sum()) if loss is None else float(loss(out, LENGTHS, targets)[0].sum())

    gradients = net.backward(weighting if loss is None else loss(y, LENGTHS, targets)[1])
    statistics = {name for name in net.parameters if name.endswith((".mean", ".variance"))}
    assert gradients.keys() == net.parameters.keys() - statistics
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
        assert np.any(analytic)


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

    def forward() -> Array:
        return net.forward(x, LENGTHS, dropout=np.random.default_rng(0))

    weighting = np.random.default_rng(4).normal(size=forward().shape)
    for _ in range(200):
        forward()
    rows = np.concatenate([one[:n] for one, n in zip(x, LENGTHS, strict=True)])
    below = rows @ net.parameters["dense-1.W"].T + net.parameters["dense-1.b"]
    np.testing.assert_allclose(net.parameters["batch-norm.mean"], below.mean(axis=0), atol=1e-8)
    np.testing.assert_allclose(net.parameters["batch-norm.variance"], below.var(axis=0, ddof=1), atol=1e-8)
    kept = {name: net.parameters[f"batch-norm.{name}"].copy() for name in ("mean", "variance")}
    assert not np.array_equal(net.forward(x, LENGTHS), forward()), "evaluation goes by the weights"
    for name in ("dense-1.W", "batch-norm.gamma", "batch-norm.beta"):
        gradient = (forward(), net.backward(weighting))[1][name].copy()
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
        np.testing.assert_allclose(net.parameters[f"batch-norm.{name}"], value, atol=1e-4)
        net.parameters[f"batch-norm.{name}"][:] = value
    net.forward(x, LENGTHS)
    for name, value in kept.items():
        assert np.array_equal(net.parameters[f"batch-norm.{name}"], value), "evaluation leaves them"


def test_batch_norm_of_a_single_frame_and_of_none_goes_by_the_weights() -> None:
    net = frames_network(BatchNorm(), Dense(2))
    net.parameters["batch-norm.variance"][:] = 2
    before = {name: w.copy() for name, w in net.parameters.items()}
    x = np.random.default_rng(1).normal(size=(2, 1, 4))
    for lengths in ([1, 0], [0, 0]):
        learnt = net.forward(x, lengths, dropout=np.random.default_rng(0))
        assert np.isfinite(learnt).all() and np.array_equal(learnt, net.forward(x, lengths))
        net.backward(np.ones_like(learnt))
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


@pytest.mark.parametrize(
    "loss,ends,targets",
    [
        (losses.CrossEntropy(), (Softmax(),), classes()),
        (losses.CtcLoss(), (Softmax(),), CTC_TARGETS),
        (losses.BinaryCrossEntropy(), (), 1 / (1 + np.exp(regression_targets()))),
        (losses.MeanSquaredError(), (), regression_targets()),
        (losses.MeanAbsoluteError(), (), regression_targets()),
        (losses.Huber(0.5), (), regression_targets()),
    ],
    ids=lambda v: type(v).__name__,
)
def test_loss(loss: Any, ends: tuple[Layer, ...], targets: Any) -> None:
    activation = Activation("sigmoid" if loss.left_to_loss == "sigmoid" else "identity")
    net = frames_network(Gru(3, direction="bidirectional"), Dense(3, activation=activation), *ends)
    assert net.left_to_loss == loss.left_to_loss
    check(net, loss, targets)


def test_dropout_gradient_is_of_the_same_mask() -> None:
    spec = Sequential("t", Frames(4), (Gru(6), Gru(3), Dense(2)), Outputs())
    net = TrainableNetwork(spec, np.float64, dropout=0.4)
    x = np.random.default_rng(1).normal(size=(5, 6, 4))

    def forward() -> Array:
        return net.forward(x, LENGTHS, dropout=np.random.default_rng(3))

    weighting = np.random.default_rng(4).normal(size=forward().shape)
    gradient = net.backward(weighting)["gru-1.forward.W"]
    assert not np.array_equal(forward(), net.forward(x, LENGTHS))
    w = net.parameters["gru-1.forward.W"]
    w[4, 1] += 1e-5
    up = (forward() * weighting).sum()
    w[4, 1] -= 2e-5
    assert gradient[4, 1] == pytest.approx((up - (forward() * weighting).sum()) / 2e-5, rel=1e-6)
