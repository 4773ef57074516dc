"""Layers that join or change vectors value by value, against ONNX Runtime and against float64; and as parts of graphs
some of whose operations are early, others late."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
import reference
from onnx import TensorProto, helper, numpy_helper
from random_models import network
from test_kernels_cells import random_weights, whole

from ostinato.errors import BadModelFileError
from ostinato.kernels.operations import record as i
from ostinato.model.activation import Activation
from ostinato.model.compile import compile_network
from ostinato.model.decoders import Labels, Outputs
from ostinato.model.front_ends import Frames, Tokens
from ostinato.model.layers import (
    Activate,
    Add,
    Concatenate,
    Dense,
    Embedding,
    Gru,
    Layer,
    Mean,
    Multiply,
    OneHot,
    Rnn,
    Softmax,
)
from ostinato.model.specification import Head, Node, Specification

Floats = npt.NDArray[np.float32]
Weights = dict[str, Floats]
TOLERANCE = 1e-5
SIZES = (1, 5, 16, 33, 100)


def graph(*nodes: tuple[str, Layer, str], front: Any = None, decoder: Any = None) -> Specification:
    """Nodes as (name, layer, the names of its inputs); the last is the head's."""
    made = tuple(Node(name, layer, tuple(inputs.split())) for name, layer, inputs in nodes)
    return Specification("x", front or Frames(5), made, (Head("main", nodes[-1][0], decoder or Outputs()),))


def joined(layer: Layer, *sizes: int) -> Specification:
    """The layer above dense ones of these sizes."""
    below = [(f"in{k}", Dense(size), "frames") for k, size in enumerate(sizes)]
    return graph(*below, ("y", layer, " ".join(name for name, _, _ in below)))


def in_onnx_runtime(specification: Specification, weights: Weights, frames: Floats, nodes: Sequence[Any]) -> Floats:
    """What ONNX Runtime makes of the dense layers in0, in1, … and of ``nodes`` above them, which give "y"; all
    weights are initialisers, "in0.W" transposed."""
    dense = [node for node in specification.nodes if isinstance(node.layer, Dense)]
    gemms = [helper.make_node("Gemm", ["x", f"{n.name}.W", f"{n.name}.b"], [n.name], transB=1) for n in dense]
    made = helper.make_graph(
        [*gemms, *nodes],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, frames.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, None])],
        [numpy_helper.from_array(np.asarray(array, np.float32), name) for name, array in weights.items()],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (y,) = session.run(["y"], {"x": frames})
    return np.asarray(y)


def compare(specification: Specification, nodes: Sequence[Any]) -> None:
    """Kernels, float64 and ONNX Runtime say the same."""
    weights = random_weights(specification, 1)
    frames = np.random.default_rng(2).standard_normal((7, 5)).astype(np.float32)
    found = whole(compile_network(specification, weights).program, frames)
    exact = reference.run(specification, weights, frames)
    assert np.abs(exact).max() > 0.01, "the comparison must mean something"
    np.testing.assert_allclose(found, exact, atol=TOLERANCE, rtol=0)
    peer = in_onnx_runtime(specification, weights, frames, nodes)
    np.testing.assert_allclose(found, peer, atol=TOLERANCE, rtol=0)


def node(operator: str, *inputs: str, **attributes: Any) -> Any:
    return helper.make_node(operator, list(inputs), ["y"], **attributes)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("layer", "operator"), [(Add(), "Sum"), (Mean(), "Mean"), (Concatenate(), "Concat")], ids=lambda v: str(v)
)
def test_several_inputs(layer: Layer, operator: str, size: int) -> None:
    attributes = {"axis": 1} if operator == "Concat" else {}
    for count in (2, 3, 5):
        inputs = [f"in{k}" for k in range(count)]
        compare(joined(layer, *[size] * count), [node(operator, *inputs, **attributes)])


@pytest.mark.parametrize("size", SIZES)
def test_multiply(size: int) -> None:
    compare(joined(Multiply(), size, size), [node("Mul", "in0", "in1")])
    first = helper.make_node("Mul", ["in0", "in1"], ["part"])
    compare(joined(Multiply(), size, size, size), [first, node("Mul", "part", "in2")])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("sizes", [lambda n: (n, 1), lambda n: (1, n), lambda n: (1, n, 1, n)])
def test_a_single_value_stands_for_all(sizes: Callable[[int], tuple[int, ...]], size: int) -> None:
    chosen = sizes(size)
    inputs = [f"in{k}" for k in range(len(chosen))]
    compare(joined(Add(), *chosen), [node("Sum", *inputs)])
    compare(joined(Mean(), *chosen), [node("Mean", *inputs)])
    if len(chosen) == 2:
        compare(joined(Multiply(), *chosen), [node("Mul", *inputs)])


def test_inputs_of_many_sizes_side_by_side() -> None:
    for sizes in ((1, 2, 3), (15, 16, 17), (33, 1, 16, 5, 1)):
        inputs = [f"in{k}" for k in range(len(sizes))]
        compare(joined(Concatenate(), *sizes), [node("Concat", *inputs, axis=1)])


def test_an_input_may_be_there_twice_and_be_the_frames() -> None:
    for layer in (Add(), Multiply(), Mean(), Concatenate()):
        specification = graph(("y", layer, "frames frames"))
        frames = np.random.default_rng(3).standard_normal((4, 5)).astype(np.float32)
        np.testing.assert_allclose(
            whole(compile_network(specification, {}).program, frames),
            reference.run(specification, {}, frames),
            atol=1e-6,
        )


ACTIVATIONS = [
    (Activation("relu"), "Relu", {}),
    (Activation("tanh"), "Tanh", {}),
    (Activation("sigmoid"), "Sigmoid", {}),
    (Activation("elu", 0.7), "Elu", {"alpha": 0.7}),
    (Activation("softplus"), "Softplus", {}),
    (Activation("softsign"), "Softsign", {}),
    (Activation("affine", -1), "Neg", {}),
    (Activation("leaky-relu", 0.2), "LeakyRelu", {"alpha": 0.2}),
    (Activation("thresholded-relu", 0.2), "ThresholdedRelu", {"alpha": 0.2}),
    (Activation("hard-sigmoid", 0.3, 0.4), "HardSigmoid", {"alpha": 0.3, "beta": 0.4}),
    (Activation("abs"), "Abs", {}),
    (Activation("exp"), "Exp", {}),
    (Activation("erf"), "Erf", {}),
    (Activation("hard-swish"), "HardSwish", {}),
    (Activation("gelu"), "Gelu", {}),
    (Activation("gelu-tanh"), "Gelu", {"approximate": "tanh"}),
    (Activation("selu"), "Selu", {}),
    (Activation("selu", 1.3, 0.9), "Selu", {"alpha": 1.3, "gamma": 0.9}),
    (Activation("celu", 0.6), "Celu", {"alpha": 0.6}),
]


@pytest.mark.parametrize(("activation", "operator", "attributes"), ACTIVATIONS, ids=lambda v: getattr(v, "name", ""))
def test_an_activation_by_itself(activation: Activation, operator: str, attributes: dict[str, Any]) -> None:
    for size in SIZES:
        compare(joined(Activate(activation), size), [node(operator, "in0", **attributes)])


def test_activations_that_onnx_writes_in_more_than_one_node() -> None:
    part = helper.make_node
    compare(joined(Activate(Activation("square")), 17), [node("Mul", "in0", "in0")])
    sigmoid = part("Sigmoid", ["in0"], ["s"])
    compare(joined(Activate(Activation("silu")), 17), [sigmoid, node("Mul", "in0", "s")])
    bounds = [part("Constant", [], [name], value_float=value) for name, value in (("low", -0.3), ("high", 0.5))]
    compare(joined(Activate(Activation("clip", -0.3, 0.5)), 17), [*bounds, node("Clip", "in0", "low", "high")])
    for name in ("sqrt", "log", "reciprocal"):
        specification = graph(
            ("in0", Dense(17), "frames"), ("p", Activate(Activation("softplus")), "in0"),
            ("y", Activate(Activation(name)), "p"),
        )  # fmt: skip
        compare(specification, [part("Softplus", ["in0"], ["p"]), node(name.capitalize(), "p")])


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
        program = compile_network(specification, random_weights(specification, 0)).program
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
