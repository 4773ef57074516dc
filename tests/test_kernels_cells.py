"""Cells against ONNX Runtime and against float64, each with its own weights and sizes."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest
import reference
from kinds import sensible
from kinds.formulas import DEFINED

from ostinato.kernels.program import Program, Workspace, advance
from ostinato.model.activation import Activation
from ostinato.model.compile import compile_network
from ostinato.model.decoders import Outputs
from ostinato.model.front_ends import Frames, Tokens
from ostinato.model.layers import Dense, Embedding, Gru, Layer, Lstm, MinLstm, OneHot, Rnn, Softmax
from ostinato.model.specification import Sequential, Specification
from ostinato_bench.peers import onnx_runtime

Floats = npt.NDArray[np.float32]
TOLERANCE = 1e-5
SIZES = (1, 7, 25, 64, 100, 256)
CELLS: dict[str, tuple[Any, dict[str, Any]]] = {
    "rnn": (Rnn, {}),
    "rnn relu": (Rnn, {"activation": Activation("relu")}),
    "gru after": (Gru, {"reset": "after"}),
    "gru before": (Gru, {"reset": "before"}),
    "lstm": (Lstm, {}),
    "lstm peepholes": (Lstm, {"peepholes": True}),
}


def stack(kind: str, hidden: int, direction: str, depth: int) -> tuple[Layer, ...]:
    made, options = CELLS[kind]
    return tuple(made(hidden, direction=direction, **options) for _ in range(depth))


def random_weights(specification: Specification, seed: int) -> dict[str, Floats]:
    """Weights that keep values of order one."""
    rng = np.random.default_rng(seed)
    weights = {
        name: (rng.standard_normal(shape) / np.sqrt(2 * shape[-1] if len(shape) > 1 else 4)).astype(np.float32)
        for name, shape in ((name, weight.shape) for name, weight in specification.weights().items())
    }
    return sensible(specification, weights)


def whole(program: Program, frames: Floats) -> Floats:
    """Outputs [T, size] of one stream's frames [T, size]."""
    rows, state = program.new_rows(len(frames)), program.new_states(1)
    rows[:, program.input.offset : program.input.offset + frames.shape[1]] = frames
    advance(program, state, np.zeros(1, np.int64), np.ones(len(frames), np.int64), rows, Workspace())
    return rows[:, program.output.slice].copy()


def in_onnx_runtime(specification: Specification, weights: dict[str, Floats], frames: Floats) -> Floats:
    model = onnx_runtime.build(specification, weights, len(frames), 1)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    feed = {i.name: np.zeros(i.shape, np.float32) for i in session.get_inputs()} | {"x": frames[:, None]}
    y: Floats = session.run(["y"], feed)[0]
    return y[:, 0]


@pytest.mark.parametrize("direction", ["forward", "backward", "bidirectional"])
@pytest.mark.parametrize("kind", CELLS)
def test_cells_of_all_sizes_and_depths(kind: str, direction: str) -> None:
    for hidden, depth in itertools.product(SIZES, (1, 2, 3)):
        frames = np.random.default_rng(hidden).standard_normal((7, 13)).astype(np.float32)
        specification = Sequential("x", Frames(13), stack(kind, hidden, direction, depth), Outputs())
        weights = random_weights(specification, hidden + depth)
        found = whole(compile_network(specification, weights).program, frames)
        exact = reference.run(specification, weights, frames)
        assert np.abs(exact).max() > 0.01, "the comparison must mean something"
        where = f"{hidden} units, {depth} layers"
        np.testing.assert_allclose(found, exact, atol=TOLERANCE, rtol=0, err_msg=f"float64, {where}")
        peer = in_onnx_runtime(specification, weights, frames)
        np.testing.assert_allclose(found, peer, atol=TOLERANCE, rtol=0, err_msg=f"ONNX Runtime, {where}")


@pytest.mark.parametrize("name", DEFINED)
def test_any_activation(name: Any) -> None:
    for alpha, beta in ((None, None), (0.6, 0.25)):
        activation = Activation(name, alpha, beta)
        layers = (
            Rnn(19, activation=activation),
            Dense(21, activation=activation),
            Rnn(3, direction="backward"),
        )
        specification = Sequential("x", Frames(5), layers, Outputs())
        weights = random_weights(specification, 3)
        frames = np.random.default_rng(1).standard_normal((20, 5)).astype(np.float32)
        found = whole(compile_network(specification, weights).program, frames)
        np.testing.assert_allclose(found, reference.run(specification, weights, frames), atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("size", [1, 2, 15, 16, 17, 40, 300])
def test_softmax(size: int) -> None:
    specification = Sequential("x", Frames(4), (Dense(size), Softmax()), Outputs())
    weights = random_weights(specification, size)
    frames = 20 * np.random.default_rng(size).standard_normal((6, 4)).astype(np.float32)
    found = whole(compile_network(specification, weights).program, frames)
    np.testing.assert_allclose(found, reference.run(specification, weights, frames), atol=TOLERANCE, rtol=0)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("above", [Gru(25), Lstm(64, direction="bidirectional"), Rnn(9), Dense(33)])
def test_one_hot_is_a_column_of_the_weights(above: Any) -> None:
    front = Tokens(tuple(map(str, range(70))))
    specification = Sequential("x", front, (OneHot(), above), Outputs())
    weights = random_weights(specification, 5)
    tokens = np.random.default_rng(5).integers(0, 70, (30, 1)).astype(np.float32)
    found = whole(compile_network(specification, weights).program, tokens)
    np.testing.assert_allclose(found, reference.run(specification, weights, tokens), atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("output", [1, 16, 25])
def test_embedding(output: int) -> None:
    specification = Sequential("x", Tokens(tuple("abcdefg")), (Embedding(output), Gru(5)), Outputs())
    weights = random_weights(specification, 6)
    tokens = np.arange(7, dtype=np.float32)[:, None]
    found = whole(compile_network(specification, weights).program, tokens)
    np.testing.assert_allclose(found, reference.run(specification, weights, tokens), atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("token", [-1.0, 7.0, 1e30, np.inf, np.nan])
def test_what_is_no_token_reads_nothing_outside_the_weights(token: float) -> None:
    for layers in ((Embedding(5),), (OneHot(), Dense(5))):
        specification = Sequential("x", Tokens(tuple("abcdefg")), layers, Outputs())
        program = compile_network(specification, random_weights(specification, 6)).program
        np.testing.assert_array_equal(
            whole(program, np.array([[token]], np.float32)), whole(program, np.zeros((1, 1), np.float32))
        )


def test_a_network_without_layers_passes_its_frames_on() -> None:
    specification = Sequential("x", Frames(3), (), Outputs())
    frames = np.arange(12, dtype=np.float32).reshape(4, 3)
    np.testing.assert_array_equal(whole(compile_network(specification, {}).program, frames), frames)


def test_hundreds_of_frames_do_not_drift() -> None:
    specification = Sequential("x", Frames(8), (Gru(30), Lstm(20)), Outputs())
    weights = random_weights(specification, 8)
    frames = np.random.default_rng(8).standard_normal((700, 8)).astype(np.float32)
    found = whole(compile_network(specification, weights).program, frames)
    np.testing.assert_allclose(found, reference.run(specification, weights, frames), atol=TOLERANCE, rtol=0)


def test_min_lstm_shares_also_where_both_gates_are_shut() -> None:
    """i / (f + i) of sums so far below zero that both are 0 in float32: the larger one has its share."""
    specification = Sequential("x", Frames(1), (MinLstm(3),), Outputs())
    weights = random_weights(specification, 1)
    weights["min-lstm.forward.b"] = np.array([-200, -300, -150, -200, -150, -300, 1, 1, 1], np.float32)
    found = whole(compile_network(specification, weights).program, np.zeros((2, 1), np.float32))
    np.testing.assert_allclose(found, [[0.5, 1, 0], [0.75, 1, 0]], atol=1e-6)


@pytest.mark.parametrize("size", [1, 5, 16, 17, 40])
def test_projected_lstm_of_all_sizes(size: int) -> None:
    """Several streams, and both directions beside each other, whose whole vectors overlap."""
    layers = (Lstm(33, "bidirectional", projection=size), Lstm(size, projection=19))
    specification = Sequential("x", Frames(6), layers, Outputs())
    weights = random_weights(specification, size)
    frames = np.random.default_rng(size).standard_normal((12, 6)).astype(np.float32)
    found = whole(compile_network(specification, weights).program, frames)
    np.testing.assert_allclose(found, reference.run(specification, weights, frames), atol=TOLERANCE, rtol=0)
