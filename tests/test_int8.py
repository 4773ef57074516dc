"""int8: exact sums, the same bits everywhere, what the arithmetic says, and how networks are quantized."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import reference
import reference_int8
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from test_kernels_cells import CELLS, random_weights, stack

import ostinato
from ostinato import model
from ostinato.errors import BadModelFileError, InputError, TrainingError
from ostinato.kernels.integer_tile import LIMIT, largest_sums
from ostinato.kernels.program import Workspace, advance
from ostinato.model import Network, Sequential, Specification
from ostinato.model.activation import Activation
from ostinato.model.decoders import Outputs
from ostinato.model.front_ends import Frames, Tokens
from ostinato.model.integers import input_scale, to_integers
from ostinato.model.layers import (
    Activate,
    Add,
    Concatenate,
    Dense,
    Embedding,
    Gru,
    Lstm,
    Mean,
    Multiply,
    OneHot,
    Rnn,
    Softmax,
)
from ostinato.model.quantization import Written, quantize
from ostinato.model.specification import Head, Node
from ostinato.model.whole_sequence import whole_sequence
from ostinato.training.encoder_decoder import encoder_decoder, writing
from ostinato.training.network import TrainableNetwork

Floats = npt.NDArray[np.float32]


def dense(weights: npt.NDArray[np.int8], input_scale: float = 1.0) -> Network:
    """A network whose outputs are the products with a matrix, if the input scale is 1 the sums themselves."""
    outputs, inputs = weights.shape
    layers = (Dense(outputs, precision="int8"),)
    return Network(
        Sequential("dense", Frames(inputs), layers, Outputs()),
        {
            "dense.W": weights,
            "dense.W_scale": np.ones(outputs, np.float32),
            "dense.W_input_scale": np.array([input_scale], np.float32),
            "dense.b": np.zeros(outputs, np.float32),
        },
    )


def rows_of(network: Network, frames: Floats) -> Floats:
    """The outputs of single frames of as many streams."""
    program = network.program
    rows = program.new_rows(len(frames))
    rows[:, program.input.slice] = frames
    count = np.array([len(frames)], np.int64)
    advance(program, program.new_states(len(frames)), np.arange(len(frames)), count, rows, Workspace())
    return rows[:, program.output.slice].copy()


# --- sums -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("inputs", [1, 7, 8, 9, 16, 31, 40, 257])
def test_sums_are_exact(inputs: int) -> None:
    """Every remainder of rows, of vectors and of inputs that a tile may leave."""
    rng = np.random.default_rng(inputs)
    for outputs in (1, 16, 33, 64, 80, 128, 144, 200):
        weights, _ = to_integers(rng.standard_t(3, (outputs, inputs)).astype(np.float32))
        network = dense(weights)
        for count in (1, 2, 3, 4, 5, 6, 7, 64, 65, 67):
            x = rng.integers(-63, 64, (count, inputs))
            np.testing.assert_array_equal(rows_of(network, x.astype(np.float32)), x @ weights.T.astype(np.int64))


ONE_SIGN, BOTH_SIGNS = [127, 127, 4, 0, 0, 0, 0, 0], [127, -127, 0, -4, 4, 0, -127, 127]


@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_largest_sums_do_not_saturate(count: int) -> None:
    """Groups at the limit, on inputs at the ends: an int16 holds at most 127 * 258 of its 32767, either way."""
    for even, odd, shift in itertools.product((1, -1), (1, -1), range(8)):
        pattern = np.zeros((8, 2), int)  # pairs of bytes: every other one goes to the same int16
        pattern[0::2] = even * np.roll(ONE_SIGN, shift).reshape(4, 2)
        pattern[1::2] = odd * np.roll(BOTH_SIGNS, shift).reshape(4, 2)
        weights = np.tile(pattern.ravel(), (40, 32)).astype(np.int8)
        assert largest_sums(weights).tolist() == [LIMIT] * 40
        toward = np.tile(63 * np.sign(pattern.ravel()), (count, 32))
        for x in (np.full((count, 512), 63), np.full((count, 512), -63), toward, -toward):
            found = rows_of(dense(weights), x.astype(np.float32))
            np.testing.assert_array_equal(found, x @ weights.T.astype(np.int64))


def test_weights_of_one_sign_that_meet_are_added() -> None:
    def largest(*places: int) -> list[float]:
        weights = np.zeros((2, 33), np.int8)
        weights[0, list(places)], weights[1, list(places)] = 3, -3
        weights[:, 20] = [-5, 5]
        return largest_sums(weights).tolist()

    assert largest(0, 1, 4, 5, 8, 9, 12, 13) == largest(2, 3, 6, 7, 10, 11, 14, 15) == [24, 24]
    assert largest(0, 2, 16, 32) == [5, 5] and largest(16, 17, 24) == [9, 9]


def test_inputs_are_rounded_half_to_even_and_clipped() -> None:
    values = np.array([0.5, 1.5, 2.5, -0.5, -1.5, 62.4, 63.5, 1e9, -1e9, np.inf, -np.inf, -0.0, 1e-40], np.float32)
    wanted = [0, 2, 2, 0, -2, 62, 63, 63, -63, 63, -63, 0, 0]
    found = rows_of(dense(np.ones((1, 1), np.int8)), values[:, None])
    assert found[:, 0].tolist() == wanted
    halves = rows_of(dense(np.ones((1, 1), np.int8), 0.5), values[:6, None])
    assert halves[:, 0].tolist() == [0.5, 1.5, 2.5, -0.5, -1.5, 31.5]


def test_an_input_that_is_no_number_is_some_integer_and_stays_in_its_row() -> None:
    frames = np.array([[1, 1], [np.nan, 1], [1, 1]], np.float32)
    found = rows_of(dense(np.ones((1, 2), np.int8)), frames)
    assert found[:, 0].tolist() == [2, 64, 2]


# --- whole networks -------------------------------------------------------------------------------------------------


def quantized(layers: tuple[Any, ...], seed: int, front: Any = None) -> tuple[Network, Network, Floats]:
    """A float32 network, its int8 form, and frames."""
    front = front or Frames(13)
    specification = Sequential("x", front, layers, Outputs())
    network = Network(specification, random_weights(specification, seed))
    rng = np.random.default_rng(seed)
    frames = rng.standard_normal((40, front.frame_size)).astype(np.float32)
    if isinstance(front, Tokens):
        frames = rng.integers(0, len(front.vocabulary), (40, 1)).astype(np.float32)
    return network, quantize(network, [frames]), frames


@pytest.mark.parametrize("direction", ["forward", "backward", "bidirectional"])
@pytest.mark.parametrize("kind", CELLS)
def test_networks_do_what_the_arithmetic_says(kind: str, direction: str) -> None:
    for hidden, depth in ((1, 1), (7, 2), (25, 1), (64, 2), (100, 1)):
        before, after, frames = quantized(stack(kind, hidden, direction, depth), hidden)
        found = whole_sequence(after, frames)[0]
        assert found.tobytes() == reference_int8.run(after.specification, after.weights, frames).tobytes()
        exact = reference.run(before.specification, before.weights, frames)
        assert np.abs(found - exact).max() < 0.2 * np.abs(exact).max() + 0.02
        assert found.tobytes() != whole_sequence(before, frames)[0].tobytes()


@pytest.mark.parametrize(
    "layers",
    [
        (OneHot(), Gru(17), Dense(5)),
        (OneHot(), Dense(20), Lstm(5)),
        (Embedding(6), Lstm(17, peepholes=True), Dense(5)),
        (Gru(9), Dense(19, activation=Activation("relu")), Rnn(33, activation=Activation("softplus"))),
        (Dense(70, activation=Activation("leaky-relu", 0.1)), Dense(3)),
    ],
)
def test_dense_layers_and_tokens(layers: tuple[Any, ...]) -> None:
    front = Tokens(tuple("abcdefghi")) if isinstance(layers[0], OneHot | Embedding) else None
    before, after, frames = quantized(layers, 3, front)
    found = whole_sequence(after, frames)[0]
    assert found.tobytes() == reference_int8.run(after.specification, after.weights, frames).tobytes()
    assert 0 < np.abs(found - whole_sequence(before, frames)[0]).max() < 0.2


def test_what_joins_layers_stays_float32_between_them() -> None:
    """A skip, a gate, a mean of several and vectors side by side, around layers in int8."""
    nodes = (
        Node("a", Gru(13), ("frames",)),
        Node("skip", Add(), ("a", "frames", "a")),
        Node("back", Lstm(5, "bidirectional"), ("skip",)),
        Node("gate", Dense(10, Activation("sigmoid")), ("skip",)),
        Node("gated", Multiply(), ("back", "gate")),
        Node("wide", Concatenate(), ("gated", "a", "back")),
        Node("curved", Activate(Activation("softplus")), ("wide",)),
        Node("b", Dense(33), ("curved",)),
        Node("mean", Mean(), ("b", "curved", "wide")),
        Node("y", Dense(3), ("mean",)),
    )
    specification = Specification("x", Frames(13), nodes, (Head("main", "y", Outputs()),))
    before = Network(specification, random_weights(specification, 3))
    frames = np.random.default_rng(3).standard_normal((40, 13)).astype(np.float32)
    after = quantize(before, [frames])
    assert {n.name for n in after.specification.nodes if getattr(n.layer, "precision", None) == "int8"} == {
        "a", "back", "gate", "b",
    }  # fmt: skip
    found = whole_sequence(after, frames)[0]
    assert found.tobytes() == reference_int8.run(after.specification, after.weights, frames).tobytes()
    assert 0 < np.abs(found - whole_sequence(before, frames)[0]).max() < 0.2


def test_which_layers_are_quantized() -> None:
    before, after, _ = quantized((Dense(20), Gru(9), Dense(4), Softmax()), 1)
    assert [getattr(layer, "precision", None) for layer in (node.layer for node in after.specification.nodes)] == [
        "int8", "int8", "float32", None,
    ]  # fmt: skip
    assert after.specification.name == "x-int8" and after.specification.precision == "int8"
    assert after.weights["dense-1.W"].dtype == after.weights["gru.forward.R"].dtype == np.int8
    for name in ("dense-2.W", "dense-1.b", "gru.forward.Rb"):
        assert after.weights[name].tobytes() == before.weights[name].tobytes()
    assert ostinato.quantize is quantize


def test_an_encoder_and_what_generates_from_it() -> None:
    """What is looked up stays float32, and so do the last outputs; the encoder does what the arithmetic says."""
    made = encoder_decoder("pair", Tokens(tuple("abcd")), [Gru(9), Gru(7, "bidirectional")], writing("xyz"), 5, 6, 8)
    before, chance = Network(made, random_weights(made, 2)), np.random.default_rng(2)
    sources = [chance.integers(4, size=(length, 1)).astype(np.float32) for length in (1, 9, 30)]
    written = [Written(source, chance.integers(5, size=(12, 1)).astype(np.float32)) for source in sources]
    after = quantize(before, written)
    assert after.encoder is not None and after.specification.encoder is not None
    nodes = (*after.specification.encoder.nodes, *after.specification.nodes)
    assert [node.name for node in nodes if getattr(node.layer, "precision", None) == "int8"] == [
        "states-1", "states", "text", "query", "meaning",
    ]  # fmt: skip
    for source, (_, tokens) in zip(sources, written, strict=True):
        (found,) = whole_sequence(after.encoder, source)
        wanted = reference_int8.run(after.encoder.specification, after.encoder.weights, source)
        assert found.tobytes() == wanted.tobytes()
        (one,), (other,) = (whole_sequence(network, tokens, source) for network in (before, after))
        assert 0 < np.abs(one - other).max() < 0.2
    with pytest.raises(InputError, match="no frames"):
        quantize(before, [Written(sources[0][:0], sources[0])])
    with pytest.raises(InputError, match="pair has an encoder: give a source"):
        quantize(before, sources)
    alone = Sequential("alone", Frames(1), (Gru(9),), Outputs())
    with pytest.raises(InputError, match="alone has no encoder"):
        quantize(Network.random(alone), written)


def test_what_cannot_be_quantized_is_refused() -> None:
    _, after, frames = quantized((Gru(9),), 1)
    with pytest.raises(BadModelFileError, match="int8 already"):
        quantize(after, [frames])
    with pytest.raises(BadModelFileError, match="no layer to quantize"):
        quantized((Dense(9), Softmax()), 1)
    with pytest.raises(InputError, match="no frames"):
        quantize(Network.random(Sequential("x", Frames(13), (Gru(9),), Outputs())), [frames[:0]])
    with pytest.raises(BadModelFileError, match="made from a float32"):
        Network.random(after.specification)
    with pytest.raises(TrainingError, match="learns in float32"):
        TrainableNetwork(after.specification, weights=after.weights)


# --- integers -------------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(
    shape=st.tuples(st.integers(1, 20), st.integers(1, 40)),
    power=st.floats(-25, 15),
    heavy=st.booleans(),
    seed=st.integers(0, 99),
)
def test_matrices_become_integers_that_fit(shape: tuple[int, int], power: float, heavy: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    matrix = rng.standard_t(1.5, shape) if heavy else rng.uniform(-1, 1, shape)
    matrix = (matrix * 10**power).astype(np.float32)
    found, scale = to_integers(matrix)
    assert largest_sums(found).max() <= LIMIT and np.abs(found.astype(int)).max() <= 127
    wrong = np.abs(found * scale.astype(np.float64)[:, None] - matrix)
    assert (wrong <= 0.5000001 * scale[:, None]).all()
    largest = np.maximum(np.abs(matrix).max(axis=1) / 127, largest_sums(matrix) / (LIMIT - 4))
    assert (scale <= 1.000001 * np.maximum(largest, 1e-18)).all()


def test_zeros_become_zeros() -> None:
    found, scale = to_integers(np.zeros((3, 5), np.float32))
    assert not found.any() and (scale > 0).all()


def test_the_input_scale_clips_what_is_rare() -> None:
    rng = np.random.default_rng(0)
    even = rng.uniform(-1, 1, 100_000).astype(np.float32)
    assert input_scale(even) == pytest.approx(1 / 63, rel=0.04)
    bell = rng.standard_normal(100_000).astype(np.float32)
    assert 2.5 < 63 * input_scale(bell) < np.abs(bell).max()
    assert input_scale(np.zeros(5, np.float32)) > 0
    assert input_scale(np.array([1, np.inf, np.nan], np.float32)) == pytest.approx(1 / 63, rel=0.01)


# --- files ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A good int8 model file."""
    path = tmp_path / "small.safetensors"
    _, after, _ = quantized((Gru(9), Dense(4)), 1)
    model.write(path, after)
    return path


def test_a_file_holds_an_int8_network_to_the_bit(path: Path) -> None:
    _, after, frames = quantized((Gru(9), Dense(4)), 1)
    again = model.read(path)
    assert again.digest == after.digest and again.specification == after.specification
    assert {n: a.dtype for n, a in again.weights.items()} == {n: a.dtype for n, a in after.weights.items()}
    assert whole_sequence(again, frames)[0].tobytes() == whole_sequence(after, frames)[0].tobytes()
    changed = {**after.weights, "gru.forward.W": -after.weights["gru.forward.W"]}
    assert Network(after.specification, changed).digest != after.digest


def test_the_precision_survives_json() -> None:
    specification = Sequential("x", Frames(3), (Gru(5), Dense(2)), Outputs())
    int8 = Sequential("x", Frames(3), (Gru(5, precision="int8"), Dense(2)), Outputs())
    assert Specification.from_json(int8.to_json()) == int8 != specification


W = "gru.forward.W"
WRONG: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "float": (lambda w: w.update({W: w[W].astype(np.float32)}), f"{W} is of type float32: convert it to int8"),
    "no scale": (lambda w: w.pop(f"{W}_scale"), f"{W}_scale is missing"),
    "no input scale": (lambda w: w.pop(f"{W}_input_scale"), f"{W}_input_scale is missing"),
    "scale of another shape": (lambda w: w.update({f"{W}_scale": np.ones(4, np.float32)}), "has shape [4]"),
    "scale of 0": (lambda w: w[f"{W}_scale"].fill(0), f"{W}_scale has values that are not"),
    "negative scale": (lambda w: w[f"{W}_input_scale"].fill(-1), f"{W}_input_scale has values that are not"),
    "infinite scale": (lambda w: w[f"{W}_scale"].fill(np.inf), f"{W}_scale has NaN or infinite"),
    "huge scale": (lambda w: w[f"{W}_scale"].fill(1e30), f"{W}_scale has values that are not"),
    "full bytes": (lambda w: w[W].fill(127), f"{W}: weights of one sign of row 0"),
    "one group": (lambda w: w[W][7].put([0, 1, 4, 5, 8, 9, 12], [0, 0, 0, 0, -128, -128, -3]), "row 7"),
    "unused": (lambda w: w.update({"dense.W_scale": np.ones(4, np.float32)}), "dense.W_scale is unused"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_int8_weight_is_refused_by_name(case: str, path: Path) -> None:
    change, message = WRONG[case]
    with safetensors.safe_open(path, framework="numpy") as file:
        weights, metadata = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118
    change(weights)
    safetensors.numpy.save_file(weights, path, metadata)
    with pytest.raises(BadModelFileError) as caught:
        model.read(path)
    assert message in str(caught.value) and str(path) in str(caught.value)
