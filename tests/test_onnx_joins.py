"""Layers that join or change vectors value by value, against ONNX Runtime and against float64."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
import reference
from onnx import TensorProto, helper, numpy_helper
from small_graphs import graph, joined
from test_kernels_cells import random_weights, whole

from ostinato.model.activation import Activation
from ostinato.model.compile import compile_network
from ostinato.model.layers import (
    Activate,
    Add,
    BatchNorm,
    Concatenate,
    Dense,
    Layer,
    LayerNorm,
    Mean,
    Multiply,
    PRelu,
    Scale,
    Slice,
)
from ostinato.model.specification import Specification

Floats = npt.NDArray[np.float32]
Weights = dict[str, Floats]
TOLERANCE = 1e-5
SIZES = (1, 5, 16, 33, 100)


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


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("below", ["in0", "curved"], ids=["folded", "by itself"])
def test_scale_and_batch_norm(below: str, size: int) -> None:
    """Above a dense layer they change its weights; above anything else they are operations."""
    curved = [("curved", Activate(Activation("tanh")), "in0")] if below == "curved" else []
    statistics = [f"y.{part}" for part in ("gamma", "beta", "mean", "variance")]
    onnx_curved = [helper.make_node("Tanh", ["in0"], ["curved"])] if curved else []
    for layer, operations in (
        (Scale(), [helper.make_node("Mul", [below, "y.a"], ["part"]), node("Add", "part", "y.b")]),
        (BatchNorm(1e-3), [node("BatchNormalization", below, *statistics, epsilon=1e-3)]),
    ):  # fmt: skip
        specification = graph(("in0", Dense(size), "frames"), *curved, ("y", layer, below))
        compare(specification, [*onnx_curved, *operations])
        program = compile_network(specification, random_weights(specification, 1)).program
        assert len(program.operations) == (3 if curved else 1)


@pytest.mark.parametrize("size", SIZES[1:])
def test_layer_norm(size: int) -> None:
    for epsilon in (1e-5, 0.1):
        normal = node("LayerNormalization", "in0", "y.gamma", "y.beta", axis=1, epsilon=epsilon)
        compare(joined(LayerNorm(epsilon), size), [normal])


@pytest.mark.parametrize("size", SIZES)
def test_prelu(size: int) -> None:
    compare(joined(PRelu(), size), [node("PRelu", "in0", "y.slope")])


def test_slice() -> None:
    for size, start, count in ((1, 0, 1), (5, 1, 3), (33, 16, 17), (33, 31, 2), (100, 0, 99)):
        bounds = [
            helper.make_node("Constant", [], [name], value_ints=[value])
            for name, value in (("from", start), ("to", start + count), ("axis", 1))
        ]
        compare(joined(Slice(start, count), size), [*bounds, node("Slice", "in0", "from", "to", "axis")])
