"""A network in training computes what the reference does, and what the kernels will serve; packing and dropout."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import random_models
import reference
from hypothesis import given, settings
from hypothesis import strategies as st

from ostinato.errors import BadModelFileError, DtypeError, ShapeError, TrainingError, UnknownTokenError
from ostinato.model.activation import Activation
from ostinato.model.decoders import EndOfSpeech, Outputs
from ostinato.model.front_ends import Frames, Tokens
from ostinato.model.layers import Dense, Gru, Lstm, OneHot, Rnn, Softmax
from ostinato.model.network import Network
from ostinato.model.specification import FRAMES, Head, Node, Sequential, Specification
from ostinato.streaming import Model
from ostinato.training import Learning, TrainableNetwork, export, pad
from ostinato.training.packing import Packing


def sequences(specification: Specification, lengths: list[int], seed: int) -> list[Any]:
    random = np.random.default_rng(seed)
    front = specification.front_end
    if isinstance(front, Tokens):
        return [random.integers(0, len(front.vocabulary), n) for n in lengths]
    return [random.normal(size=(n, front.frame_size)).astype(np.float32) for n in lengths]


@settings(deadline=None, max_examples=40)
@given(
    random_models.specifications(("frames", "tokens")),
    st.lists(st.integers(0, 30), min_size=1, max_size=5),
    st.integers(0, 99),
    st.sampled_from([(np.float64, 1e-10), (np.float32, 1e-5)]),
)
def test_forward_is_the_reference_of_all_heads_for_each_sequence_alone(
    specification: Specification, lengths: list[int], seed: int, precision: tuple[type, float]
) -> None:
    dtype, tolerance = precision
    network = random_models.network(specification, seed)
    trained = TrainableNetwork(specification, dtype, weights=network.weights)
    frames = sequences(specification, lengths, seed)
    outputs = trained.activate(trained.forward(*pad(frames)))
    counts = trained.output_lengths(lengths)
    for b, one in enumerate(frames):
        values = reference.run_all(specification, network.weights, one)
        for head in specification.heads:
            expected = values[head.node]
            scale = max(1.0, float(np.abs(expected).max(initial=0)))
            out = outputs[head.name][b, : counts[head.name][b]]
            np.testing.assert_allclose(out, expected, rtol=0, atol=tolerance * scale)


@settings(deadline=None, max_examples=15)
@given(random_models.specifications(("frames",), heads=1), st.integers(0, 99))
def test_what_is_trained_is_what_is_served(specification: Specification, seed: int) -> None:
    trained = TrainableNetwork(specification, weights=random_models.network(specification, seed).weights)
    (frames,) = sequences(specification, [25], seed)
    stream = Model(export(trained)).stream(decoder="outputs")
    served = np.array([event.values for event in [*stream.push(frames), *stream.flush()]])
    made = random_models.made_frames(export(trained), frames)
    outputs = trained.activate(trained.forward(made[None], [25]))["main"][0]
    np.testing.assert_allclose(outputs, served, rtol=0, atol=1e-5 * max(1.0, float(np.abs(served).max())))


def plain(*layers: Any, size: int = 3) -> Specification:
    return Sequential("t", Frames(size), layers, Outputs())


def test_company_and_padding_do_not_matter() -> None:
    network = TrainableNetwork(plain(Gru(5, direction="bidirectional"), Lstm(4)), np.float64)
    frames = sequences(network.specification, [7, 3, 9], 0)
    x, lengths = pad(frames)
    x[1, 3:] = np.nan
    together = network.forward(x, lengths)["main"]
    for one, out in zip(frames, together, strict=True):
        np.testing.assert_allclose(
            network.forward(one[None], [len(one)])["main"][0], out[: len(one)], rtol=0, atol=1e-14
        )
        assert not np.any(out[len(one) :])


@given(st.lists(st.integers(0, 9), min_size=1, max_size=6))
def test_packing_and_unpacking(lengths: list[int]) -> None:
    packing = Packing.of(lengths)
    x = np.random.default_rng(0).normal(size=(len(lengths), 10, 2))
    rows = packing.pack(x)
    assert len(rows) == sum(lengths) == packing.sizes.sum()
    assert all(packing.sizes[:-1] >= packing.sizes[1:])
    for t, (first, n) in enumerate(zip(packing.offsets, packing.sizes, strict=True)):
        assert set(packing.time[first : first + n]) == {t}
    back = packing.unpack(rows, 10)
    for b, n in enumerate(lengths):
        np.testing.assert_array_equal(back[b, :n], x[b, :n])
        assert not np.any(back[b, n:])


def test_dropout_keeps_the_mean_and_rests_outside_training() -> None:
    network = TrainableNetwork(plain(Dense(400), Dense(2)), np.float64, dropout=0.25)
    x = np.ones((1, 1, 3))
    draws = [network.forward(x, [1], Learning(np.random.default_rng(i)))["main"] for i in range(400)]
    still = network.forward(x, [1])["main"]
    deviation = np.std(draws, axis=0) / 20
    assert np.all(deviation > 0)
    assert np.all(np.abs(np.mean(draws, axis=0) - still) < 5 * deviation)
    np.testing.assert_array_equal(network.forward(x, [1], Learning(np.random.default_rng(7)))["main"], draws[7])


def test_fixed_nodes_stay_as_they_are() -> None:
    """No gradient changes their weights, and nothing of them is dropped, neither their states nor what they give."""
    nodes = (
        Node("token", OneHot(), (FRAMES,)),
        Node("clock", Rnn(3), ("token",)),
        Node("place", Dense(4), ("clock",)),
        Node("told", Dense(2), ("place",)),
    )
    specification = Specification("t", Tokens(("a", "b", "c")), nodes, (Head("main", "told", Outputs()),))
    how = {"dropout": 0.9, "recurrent_dropout": 0.9}
    network = TrainableNetwork(specification, np.float64, fixed=("clock", "place"), **how)
    x = np.random.default_rng(1).integers(0, 3, (2, 9))
    still = network.forward(x, [9, 7])["main"]
    given = network.forward(x, [9, 7], Learning(np.random.default_rng(2)))["main"]
    np.testing.assert_array_equal(given, still)
    assert set(network.backward({"main": np.ones_like(given)})) == {"told.W", "told.b"}
    free = TrainableNetwork(specification, np.float64, **how)
    dropped = free.forward(x, [9, 7], Learning(np.random.default_rng(2)))["main"]
    assert np.abs(dropped - still).max() > 0.1 and len(free.backward({"main": np.ones_like(given)})) == 8
    with pytest.raises(TrainingError, match="node 'place' is to be fixed, above 'clock', which learns"):
        TrainableNetwork(specification, fixed=("place",))
    with pytest.raises(TrainingError, match="'clocks' is to be fixed, and no node: token, clock"):
        TrainableNetwork(specification, fixed=("clocks",))


def test_what_is_left_to_the_loss() -> None:
    x = np.ones((1, 2, 3))
    sigmoid = Sequential("t", Frames(3), (Dense(2, activation=Activation("sigmoid")),), EndOfSpeech())
    for specification in (plain(Dense(4), Softmax()), sigmoid):
        network = TrainableNetwork(specification, np.float64)
        expected = reference.run(specification, network.weights(), x[0])
        np.testing.assert_allclose(network.activate(network.forward(x, [2]))["main"][0], expected, rtol=1e-12)
        assert np.abs(network.forward(x, [2])["main"][0] - expected).max() > 0.01


def test_weights_round_trip_and_start_alike() -> None:
    specification = plain(Lstm(4, peepholes=True), Dense(2))
    one, two = TrainableNetwork(specification, seed=3), TrainableNetwork(specification, seed=3)
    assert export(one).digest == export(two).digest == Network.random(specification, 3).digest
    one.parameters["lstm.forward.P"][:] = 0.5
    assert export(one).digest != export(two).digest
    assert export(TrainableNetwork(specification, weights=one.weights())).digest == export(one).digest


def test_errors_name_what_is_wrong() -> None:
    specification = plain(Gru(2))
    network = TrainableNetwork(specification)
    with pytest.raises(ShapeError, match="frames"):
        network.forward(np.zeros((1, 4, 2)), [4])
    with pytest.raises(ShapeError, match="cannot hold"):
        network.forward(np.zeros((1, 4, 3)), [5])
    with pytest.raises(TrainingError, match="forward before"):
        TrainableNetwork(specification).backward({"main": np.zeros((1, 4, 2))})
    with pytest.raises(TrainingError, match="dropout"):
        TrainableNetwork(specification, dropout=1.0)
    with pytest.raises(BadModelFileError, match="forward"):
        TrainableNetwork(specification, weights={k: v for k, v in network.weights().items() if not k.endswith("Rb")})
    tokens = TrainableNetwork(Sequential("t", Tokens(("a", "b")), (OneHot(), Gru(2)), Outputs()))
    with pytest.raises(DtypeError, match="token ids"):
        tokens.forward(np.zeros((1, 4)), [4])
    with pytest.raises(UnknownTokenError, match="from 0 to 2"):
        tokens.forward(np.array([[0, 1, 2]]), [3])
