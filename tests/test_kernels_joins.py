"""Layers that join or change vectors value by value: to the bit, folded, refused, and in graphs some of whose
operations are early, others late."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
import pytest
import reference
from kinds.rounding import fma
from random_models import network
from small_graphs import graph, joined
from test_kernels_cells import random_weights, whole

from ostinato.errors import BadModelFileError
from ostinato.events import Event
from ostinato.kernels.operations import record as i
from ostinato.model import Network
from ostinato.model.activation import Activation
from ostinato.model.compile import compile_network, compile_observable
from ostinato.model.decoders import Labels, Outputs
from ostinato.model.front_ends import Frames, Tokens
from ostinato.model.layers import (
    Activate,
    Add,
    BatchNorm,
    Concatenate,
    Convolution,
    Dense,
    Embedding,
    Gru,
    Layer,
    LayerNorm,
    Mean,
    Multiply,
    OneHot,
    PRelu,
    Rnn,
    Scale,
    Slice,
    Softmax,
    TransposedConvolution,
    Within,
)
from ostinato.model.quantization import quantize
from ostinato.model.specification import Head, Node, Specification
from ostinato.streaming import Model

Floats = npt.NDArray[np.float32]
TOLERANCE = 1e-5


def test_an_input_may_be_there_twice_and_be_the_frames() -> None:
    for layer in (Add(), Multiply(), Mean(), Concatenate()):
        specification = graph(("y", layer, "frames frames"))
        frames = np.random.default_rng(3).standard_normal((4, 5)).astype(np.float32)
        np.testing.assert_allclose(
            whole(compile_network(specification, {}).program, frames),
            reference.run(specification, {}, frames),
            atol=1e-6,
        )


def test_slices_side_by_side_again_are_the_whole() -> None:
    for start in (1, 15, 16, 17, 32):
        specification = graph(
            ("a", Slice(0, start), "frames"), ("b", Slice(start, 33 - start), "frames"), ("y", Concatenate(), "a b"),
            front=Frames(33),
        )  # fmt: skip
        frames = np.random.default_rng(start).standard_normal((4, 33)).astype(np.float32)
        np.testing.assert_array_equal(whole(compile_network(specification, {}).program, frames), frames)


def test_layer_norm_of_frames_that_are_all_alike_or_far_from_zero() -> None:
    """No division by zero; the mean is taken away before squares are added, so nothing cancels."""
    specification = graph(("y", LayerNorm(), "frames"), front=Frames(40))
    weights = {"y.gamma": np.ones(40, np.float32), "y.beta": np.zeros(40, np.float32)}
    program = compile_network(specification, weights).program
    assert (whole(program, np.full((2, 40), 3.0, np.float32)) == 0).all()
    frames = (1000 + np.random.default_rng(1).standard_normal((5, 40))).astype(np.float32)
    np.testing.assert_allclose(whole(program, frames), reference.run(specification, weights, frames), atol=1e-3)


def test_layer_norm_adds_in_one_order() -> None:
    """Lane by lane, then the lanes, halving: as NumPy here, to the bit."""

    def mean(values: Floats, of_squares: bool = False) -> Floats:
        lanes = np.zeros((len(values), -(-values.shape[1] // 16) * 16), np.float32)
        lanes[:, : values.shape[1]] = values
        total = np.zeros((len(values), 16), np.float32)
        for vector in np.split(lanes, lanes.shape[1] // 16, axis=1):
            total = fma(vector, vector, total) if of_squares else total + vector
        while total.shape[1] > 1:
            total = total[:, : total.shape[1] // 2] + total[:, total.shape[1] // 2 :]
        return (total.astype(np.float64) / values.shape[1]).astype(np.float32)

    for size in (1, 7, 16, 33, 100):
        specification = graph(("y", LayerNorm(), "frames"), front=Frames(size))
        weights = random_weights(specification, size)
        x = np.random.default_rng(size).standard_normal((6, size)).astype(np.float32)
        d = x - mean(x)
        normal = d * (np.float32(1) / np.sqrt(mean(d, of_squares=True) + np.float32(1e-5)))
        found = whole(compile_network(specification, weights).program, x)
        np.testing.assert_array_equal(found, fma(normal, weights["y.gamma"], weights["y.beta"]))


# --- folding --------------------------------------------------------------------------------------------------------


def test_what_is_folded_gives_what_it_gave() -> None:
    """One after the other, into one product; what the product also gives to others stays as it is."""
    chain: list[tuple[str, Layer, str]] = [
        ("in0", Dense(7), "frames"), ("norm", BatchNorm(), "in0"), ("scaled", Scale(), "norm"),
        ("y", BatchNorm(), "scaled"),
    ]  # fmt: skip
    frames = np.random.default_rng(2).standard_normal((9, 5)).astype(np.float32)
    for nodes, operations in (
        (chain, 1),
        ([*chain[:-1], ("y", Concatenate(), "scaled in0")], 5),  # in0 is read twice: norm and scaled are computed
        ([*chain[:-1], ("y", Concatenate(), "scaled norm")], 4),  # norm is folded, scaled is not
        ([("in0", Dense(7, Activation("relu")), "frames"), ("y", Scale(), "in0")], 2),
        ([("a", Gru(7), "frames"), ("y", Scale(), "a")], 2),
        ([("y", Scale(), "frames")], 1),
    ):
        specification = graph(*nodes)
        weights = random_weights(specification, 5)
        program = compile_network(specification, weights).program
        assert len(program.operations) == operations
        np.testing.assert_allclose(
            whole(program, frames), reference.run(specification, weights, frames), atol=TOLERANCE, rtol=0
        )


@pytest.mark.parametrize(
    "below",
    [Convolution(7, 3), Convolution(10, 3, groups=5), Convolution(5, 3, groups=5), Convolution(7, 3, 2, right=1)],
)
def test_batch_norm_is_folded_into_a_convolution(below: Convolution) -> None:
    """Padding is of the convolution's inputs, so it stays zeros."""
    plain = network(graph(("y", below, "frames")), 2)
    above = network(graph(("a", below, "frames"), ("y", BatchNorm(), "a")), 2)
    assert len(above.program.operations) == len(plain.program.operations)
    frames = np.random.default_rng(2).standard_normal((9, 5)).astype(np.float32)
    found = [event.values for event in whole_stream(above, frames)]
    np.testing.assert_allclose(
        found, reference.run(above.specification, above.weights, frames), atol=TOLERANCE, rtol=0
    )


@pytest.mark.parametrize(
    ("below", "folds"),
    [
        (LayerNorm(), True),
        (Within(3, Dense(4)), True),
        (Within(3, Convolution(4, 3, left=1, right=1)), True),
        (Within(3, TransposedConvolution(2, 2, 2)), True),
        (Within(3, Dense(4, Activation("relu"))), False),
        (Within(3, TransposedConvolution(2, 2, 2, activation=Activation("relu"))), False),
    ],
    ids=str,
)
@pytest.mark.parametrize("same", [True, False])
def test_a_scale_is_folded_into_what_can_do_its_work(below: Layer, folds: bool, same: bool) -> None:
    """At positions of a frame, where it is the same at all of them."""
    specification = graph(("in0", Dense(6), "frames"), ("a", below, "in0"), ("y", Scale(), "a"))
    weights = random_weights(specification, 5)
    if isinstance(below, Within) and same:
        for part in ("a", "b"):
            size = specification.wires["y"].size // below.counts[-1]
            weights[f"y.{part}"] = np.tile(weights[f"y.{part}"][:size], below.counts[-1])
    program = compile_network(specification, weights).program
    assert len(program.operations) == (2 if folds and (same or not isinstance(below, Within)) else 3)
    frames = np.random.default_rng(2).standard_normal((9, 5)).astype(np.float32)
    np.testing.assert_allclose(
        whole(program, frames), reference.run(specification, weights, frames), atol=TOLERANCE, rtol=0
    )


def whole_stream(made: Network, frames: Floats) -> list[Event]:
    with Model(made).stream() as stream:
        return stream.push(frames) + stream.flush()


def test_what_a_head_reads_is_not_folded_into() -> None:
    nodes = (Node("a", Dense(3), ("frames",)), Node("b", Scale(), ("a",)))
    specification = Specification(
        "x", Frames(5), nodes, (Head("main", "b", Outputs()), Head("plain", "a", Outputs()))
    )
    assert len(compile_network(specification, random_weights(specification, 0)).program.operations) == 2


def test_a_product_in_int8_is_not_folded_into() -> None:
    nodes = [("a", Dense(20), "frames"), ("n", BatchNorm(), "a"), ("y", Dense(3), "n")]
    made = network(graph(*nodes), 1)
    frames = np.random.default_rng(1).standard_normal((30, 5)).astype(np.float32)
    assert len(made.program.operations) == 2
    after = quantize(made, [frames])
    assert len(after.program.operations) == 3
    assert 0 < np.abs(whole(after.program, frames) - whole(made.program, frames)).max() < 0.2


# --- refused --------------------------------------------------------------------------------------------------------


def test_a_slice_beyond_its_input_is_named() -> None:
    with pytest.raises(BadModelFileError, match=r"node 'y' \(slice\) takes the values 2 to 6, and what .* gives 6"):
        joined(Slice(2, 5), 6)
    for start, size, named in ((-1, 2, "start = -1 is not from 0"), (0, 0, "size = 0"), (0, 10**9, "size = ")):
        with pytest.raises(BadModelFileError, match=named):
            Slice(start, size)


def test_an_epsilon_that_keeps_nothing_from_zero_is_refused() -> None:
    for made in (BatchNorm, LayerNorm):
        for epsilon in (0.0, -1e-5, 2.0):
            with pytest.raises(BadModelFileError, match=f"epsilon = {epsilon} is not above 0, up to 1"):
                made(epsilon)


def test_a_variance_below_zero_is_refused_by_name() -> None:
    specification = joined(BatchNorm(), 3)
    weights = random_weights(specification, 0)
    weights["y.variance"][1] = -0.5
    with pytest.raises(BadModelFileError, match=r"weight y\.variance has a value of -0.5: none can be below 0"):
        Network(specification, weights)


@pytest.mark.parametrize("layer", [Slice(0, 1), Scale(), BatchNorm(), LayerNorm(), PRelu()], ids=lambda v: v.kind)
def test_what_has_one_input_says_so(layer: Layer) -> None:
    with pytest.raises(BadModelFileError, match=rf"node 'y' \({layer.kind}\) takes one input, not 2"):
        joined(layer, 3, 3)
    with pytest.raises(BadModelFileError, match="gives token ids: put an embedding between"):
        graph(("y", layer, "frames"), front=Tokens(tuple("abc")))


def test_a_celu_that_would_divide_by_zero_is_refused() -> None:
    with pytest.raises(BadModelFileError, match=r"activation celu: alpha = 0.0 must be above 0"):
        Activation("celu", 0)


def test_a_clip_may_give_probabilities() -> None:
    for alpha, beta, kept in ((0.0, 1.0, True), (0.2, 0.1, True), (-0.1, 1.0, False), (0.0, None, False)):
        assert graph(("y", Activate(Activation("clip", alpha, beta)), "frames")).wires["y"].probabilities == kept


def test_frames_that_are_denormal_are_zeros_to_an_activation() -> None:
    frames = np.array([[1e-40, -1e-40, 0.0, 1.0, -1.0]], np.float32)
    for name in ("identity", "relu", "leaky-relu", "softsign"):
        found = whole(compile_network(graph(("y", Activate(Activation(name)), "frames")), {}).program, frames)
        assert (found[0, :3] == 0).all() and found[0, 3] > 0


# --- graphs ---------------------------------------------------------------------------------------------------------


def test_parts_of_a_join_that_come_early_and_late() -> None:
    """A late part before an early one: neither writes over the other, and what is early is computed early."""
    late, early = Gru(7, direction="backward"), Gru(5)
    for layer in (Concatenate(), Add(), Multiply(), Mean()):
        sizes = (7, 5) if isinstance(layer, Concatenate) else (5, 5)
        for order in ("late early late2", "early late late2", "early early2 late"):
            specification = graph(
                ("late", dataclasses.replace(late, hidden=sizes[0]), "frames"),
                ("early", early, "frames"),
                ("late2", Rnn(sizes[0], direction="backward"), "frames"),
                ("early2", Rnn(5), "frames"),
                ("join", layer, order),
                ("all", Concatenate(), "join late early late2 early2"),
                ("y", Gru(9, direction="bidirectional"), "all"),
            )
            made = network(specification, 3)
            frames = np.random.default_rng(4).standard_normal((11, 5)).astype(np.float32)
            program = made.program
            assert 0 < program.early < len(program.operations)
            np.testing.assert_allclose(
                whole(program, frames), reference.run(specification, made.weights, frames), atol=TOLERANCE, rtol=0
            )


@pytest.mark.parametrize("layer", [Add(), Multiply(), Mean(), Concatenate()], ids=lambda v: v.kind)
def test_what_reads_a_late_input_is_late(layer: Layer) -> None:
    for order in ("late a b", "a late b", "a b late"):
        specification = graph(
            ("a", Dense(5), "frames"), ("b", Dense(5), "frames"), ("late", Gru(5, "backward"), "frames"),
            ("y", layer, order),
        )  # fmt: skip
        program = compile_observable(specification, random_weights(specification, 0)).compiled.program
        backward = next(k for k, op in enumerate(program.operations) if op[i.BACKWARD])
        late = program.operations[backward, i.OUTPUT]
        (reader,) = (k for k, op in enumerate(program.operations) if late in (op[i.INPUT], op[i.SECOND]))
        assert program.early <= backward < reader


def test_an_ensemble_of_probabilities_gives_probabilities() -> None:
    names = ("a", "b", "c")
    for count in (2, 3, 7, 41):
        nodes: list[tuple[str, Layer, str]] = []
        for k in range(count):
            nodes += [(f"d{k}", Dense(3), "frames"), (f"p{k}", Softmax(), f"d{k}")]
        specification = graph(*nodes, ("y", Mean(), " ".join(f"p{k}" for k in range(count))), decoder=Labels(names))
        assert specification.wires["y"].probabilities
        weights = random_weights(specification, count)
        frames = 300 * np.random.default_rng(count).standard_normal((50, 5)).astype(np.float32)
        found = whole(compile_network(specification, weights).program, frames)
        assert found.min() >= 0 and found.max() <= 1
        np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("layer", [Add(), Multiply(), Mean(), Concatenate()], ids=lambda v: v.kind)
def test_one_input_is_too_few(layer: Layer) -> None:
    with pytest.raises(BadModelFileError, match=rf"node 'y' \({layer.kind}\) takes two inputs or more, not 1"):
        joined(layer, 3)
    with pytest.raises(BadModelFileError, match="takes two inputs or more, not 0"):
        Specification("x", Frames(2), (Node("y", layer, ()),), (Head("main", "y", Outputs()),))


@pytest.mark.parametrize("layer", [Add(), Multiply(), Mean()], ids=lambda v: v.kind)
def test_sizes_that_do_not_fit_are_named(layer: Layer) -> None:
    with pytest.raises(BadModelFileError, match=rf"node 'y' \({layer.kind}\) reads vectors of 3, 1 and 4 values"):
        joined(layer, 3, 1, 4)


@pytest.mark.parametrize("layer", [Add(), Multiply(), Mean(), Concatenate()], ids=lambda v: v.kind)
def test_tokens_are_no_vectors(layer: Layer) -> None:
    front = Tokens(tuple("abc"))
    for below in (("one", OneHot(), "frames"), ("e", Embedding(3), "frames")):
        with pytest.raises(BadModelFileError, match="gives token ids: put an embedding between"):
            graph(below, ("y", layer, f"{below[0]} frames"), front=front)
    with pytest.raises(BadModelFileError, match="gives token ids: put an embedding between"):
        graph(("y", Activate(Activation()), "frames"), front=front)


def test_an_activation_has_one_input() -> None:
    with pytest.raises(BadModelFileError, match="takes one input, not 2"):
        joined(Activate(Activation()), 3, 3)


def test_probabilities_are_kept_where_they_stay_such() -> None:
    sigmoid = Dense(3, activation=Activation("sigmoid"))
    for layer, kept in ((Multiply(), True), (Mean(), True), (Concatenate(), True), (Add(), False)):
        both = graph(("a", sigmoid, "frames"), ("b", sigmoid, "frames"), ("y", layer, "a b"))
        assert both.wires["y"].probabilities == kept
        one = graph(("a", sigmoid, "frames"), ("b", Dense(3), "frames"), ("y", layer, "a b"))
        assert not one.wires["y"].probabilities
    assert graph(("y", Activate(Activation("sigmoid")), "frames")).wires["y"].probabilities
    assert not graph(("a", sigmoid, "frames"), ("y", Activate(Activation("tanh")), "a")).wires["y"].probabilities
