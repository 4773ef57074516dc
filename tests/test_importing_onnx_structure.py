"""What a graph does at many positions of a frame stays as small as it is there; what only moves is moved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from ostinato.importing import import_model
from ostinato.model.activation import Activation
from ostinato.model.layers import (
    Add,
    Concatenate,
    Convolution,
    Dense,
    Each,
    Gather,
    Gru,
    Layer,
    LayerNorm,
    Lstm,
    MeanPool,
    Multiply,
    Slice,
    Stack,
    Transpose,
    TransposedConvolution,
    Within,
)

RELU = Activation("relu")
Shape = Sequence[int]


def random(*shape: int) -> Any:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32) / 2


def layers_of(
    tmp_path: Path, shape: Shape, nodes: Sequence[Any], weights: Mapping[str, Any], size: int,
    states: Mapping[str, Shape] | None = None,
) -> list[Layer]:  # fmt: skip
    """Of a graph that makes "y" [1, size] of a frame "x" and of ``states``, "h" of which becomes "next_h": the layers
    that it is imported as, once they were compared with ONNX Runtime, chunk by chunk."""
    kept = dict(states or {"unused": (1, 1)})
    if states is None:
        nodes = [*nodes, helper.make_node("Identity", ["unused"], ["next_unused"])]

    def value(name: str, sizes: Shape) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, sizes)

    flat = helper.make_node("Reshape", ["out", "flat_sizes"], ["y"])
    weights = {**weights, "flat_sizes": np.array([1, size])}
    graph = helper.make_graph(
        [*nodes, flat], "g",
        [value("x", shape), *(value(name, each) for name, each in kept.items())],
        [value("y", (1, size)), *(value(f"next_{name}", each) for name, each in kept.items())],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in weights.items()],
    )  # fmt: skip
    path = tmp_path / "graph.onnx"
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    imported = import_model(path)
    assert imported.parity.largest < 1e-5
    return [node.layer for node in imported.network.specification.nodes]


def node(kind: str, inputs: str, output: str = "out", **attributes: Any) -> Any:
    return helper.make_node(kind, inputs.split(), [output], **attributes)


def test_a_convolution_along_positions(tmp_path: Path) -> None:
    """With its bias, normalisation and activation. ONNX has channels first: they are turned once."""
    weights = {
        "W": random(16, 2, 5), "b": random(16), "gamma": random(16), "beta": random(16), "mean": random(16),
        "variance": np.abs(random(16)) + 1, "V": random(8, 8, 1),
    }  # fmt: skip
    nodes = [
        node("Conv", "x W b", "c", strides=[2], pads=[2, 2]),
        node("BatchNormalization", "c gamma beta mean variance", "n"),
        node("Relu", "n", "r"),
        node("Conv", "r V", group=2),
    ]
    weights["V"] = random(8, 8, 1)
    found = layers_of(tmp_path, (1, 2, 65), nodes, weights, 8 * 33)
    assert found == [
        Transpose(2),
        Within(65, Convolution(16, 5, 2, left=2, right=2, activation=RELU)),
        Within(33, Dense(8)),
        Transpose(33),
    ]


def test_a_depthwise_convolution_over_time_and_positions(tmp_path: Path) -> None:
    """Earlier frames come in as a state. Every tap becomes a position, so that all channels are made side by side."""
    nodes = [
        node("Concat", "h x", "seen", axis=2),
        node("Slice", "seen one end two", "next_h"),
        node("Conv", "seen W", group=16, dilations=[2, 1], pads=[0, 1, 0, 1]),
    ]
    weights = {"W": random(16, 1, 3, 3), "one": np.array([1]), "end": np.array([5]), "two": np.array([2])}
    found = layers_of(tmp_path, (1, 16, 1, 20), nodes, weights, 16 * 20, {"h": (1, 16, 4, 20)})
    assert [type(each) for each in found] == [Stack, Gather, Within, Transpose]
    assert found[2] == Within(20 * 9, Convolution(16, 9, 9, groups=16, left=0))


def test_upsampling_along_positions(tmp_path: Path) -> None:
    nodes = [node("ConvTranspose", "x W b", "c", strides=[1, 2], pads=[0, 2, 0, 2]), node("Relu", "c")]
    weights = {"W": random(4, 6, 1, 5), "b": random(6)}
    found = layers_of(tmp_path, (1, 4, 1, 9), nodes, weights, 6 * 17)
    assert found == [
        Transpose(4),
        Within(9, TransposedConvolution(6, 5, 2, 2, 2, activation=RELU)),
        Transpose(17),
    ]


def test_a_dense_layer_at_each_position(tmp_path: Path) -> None:
    """A product, its bias and an activation are one; so is what follows position by position."""
    nodes = [node("MatMul", "x W", "p"), node("Add", "b p", "s"), node("Relu", "s", "r"), node("MatMul", "r V")]
    weights = {"W": random(5, 7), "b": random(7), "V": random(7, 3)}
    found = layers_of(tmp_path, (1, 12, 5), nodes, weights, 36)
    assert found == [Within(12, Dense(7, RELU)), Within(12, Dense(3))]


@pytest.mark.parametrize(("kind", "layer", "gates"), [("GRU", Gru(6, reset="after"), 3), ("LSTM", Lstm(6), 4)])
def test_a_recurrence_at_each_position_is_one_layer(tmp_path: Path, kind: str, layer: Layer, gates: int) -> None:
    """A batch of sequences within the frame, each with a state that comes in and goes out."""
    weights = {"W": random(1, gates * 6, 4), "R": random(1, gates * 6, 6), "B": random(1, gates * 12)}
    more = {"linear_before_reset": 1} if kind == "GRU" else {}
    states = ["h"] if kind == "GRU" else ["h", "c"]
    inputs = ["x", "W", "R", "B", "", *states]
    outputs = ["out", *(f"next_{name}" for name in states)]
    nodes = [helper.make_node(kind, inputs, outputs, hidden_size=6, **more)]
    found = layers_of(tmp_path, (1, 11, 4), nodes, weights, 66, dict.fromkeys(states, (1, 11, 6)))
    assert found == [Each(11, layer)]


def test_gates_by_what_channels_are_on_average(tmp_path: Path) -> None:
    """Means over positions, and one value of each channel for all positions."""
    nodes = [
        node("MatMul", "x W", "c"),
        node("ReduceMean", "c", "m", axes=[1], keepdims=1),
        node("Sigmoid", "m", "s"),
        node("Mul", "c s"),
    ]
    found = layers_of(tmp_path, (1, 20, 5), nodes, {"W": random(5, 8)}, 160)
    assert [type(each) for each in found[-2:]] == [Gather, Multiply]
    assert found[:2] == [Within(20, Dense(8)), Within(20, MeanPool(20, left=0))]
    assert found[-2] == Gather(tuple(range(8)) * 20)


def test_values_that_are_joined_keep_the_order_of_what_is_below(tmp_path: Path) -> None:
    """A convolution's frame is position after position, whatever the graph calls its axes."""
    nodes = [node("Conv", "x W", "a"), node("Conv", "x V", "b"), node("Relu", "b", "c"), node("Add", "a c")]
    found = layers_of(tmp_path, (1, 2, 10), nodes, {"W": random(4, 2, 1), "V": random(4, 2, 1)}, 40)
    assert [each for each in found if isinstance(each, (Add, Transpose))] == [Transpose(2), Add(), Transpose(10)]
    assert not any(isinstance(each, Gather) for each in found)


def test_neighbours_that_are_put_side_by_side_are_a_window(tmp_path: Path) -> None:
    """As unfolding does it: padded, gathered, and multiplied."""
    at = np.arange(20)[:, None] + np.arange(3)
    nodes = [
        node("Pad", "x pads", "p"),
        node("Gather", "p at", "g", axis=1),
        node("Reshape", "g sizes", "u"),
        node("MatMul", "u W"),
    ]
    weights = {"pads": np.array([0, 1, 0, 0, 1, 0]), "at": at, "sizes": np.array([1, 20, 12]), "W": random(12, 6)}
    found = layers_of(tmp_path, (1, 20, 4), nodes, weights, 120)
    assert found == [Within(20, Convolution(6, 3, left=1, right=1))]


def test_channels_are_parted_and_joined_at_each_position(tmp_path: Path) -> None:
    nodes = [
        node("Split", "x halves", "a", axis=2),
        node("MatMul", "a W", "d"),
        node("MatMul", "b V", "e"),
        node("Concat", "e d", axis=2),
    ]
    nodes[0].output.append("b")
    weights = {"halves": np.array([3, 5]), "W": random(3, 4), "V": random(5, 6)}
    found = layers_of(tmp_path, (1, 20, 8), nodes, weights, 200)
    parts = [Within(20, Slice(3, 5)), Within(20, Dense(6)), Within(20, Slice(0, 3)), Within(20, Dense(4))]
    assert sorted(map(repr, found[:-1])) == sorted(map(repr, parts))
    assert found[-1] == Within(20, Concatenate())


@pytest.mark.parametrize("axes", [[1, 2], [2]], ids=["over all positions", "at each position"])
def test_normalisation_that_is_spelled_out(tmp_path: Path, axes: list[int]) -> None:
    nodes = [
        node("ReduceMean", "x", "m", axes=axes, keepdims=1),
        node("Sub", "x m", "d"),
        node("Pow", "d two", "q"),
        node("ReduceMean", "q", "v", axes=axes, keepdims=1),
        node("Add", "v epsilon", "e"),
        node("Sqrt", "e", "r"),
        node("Div", "d r", "n"),
        node("Mul", "n gamma", "g"),
        node("Add", "g beta"),
    ]
    two, epsilon, own = np.float32(2), np.float32(1e-3), (6, 4)[-len(axes) :]
    weights = {"two": two, "epsilon": epsilon, "gamma": random(*own), "beta": random(*own)}
    (found,) = layers_of(tmp_path, (1, 6, 4), nodes, weights, 24)
    if isinstance(found, Within):
        assert found.positions == 6 and len(axes) == 1
        found = found.layer
    assert isinstance(found, LayerNorm) and found.epsilon == pytest.approx(1e-3)


def test_values_in_no_order_are_gathered(tmp_path: Path) -> None:
    """And padded: with zeros, or with what is beside the end."""
    order = np.random.default_rng(0).permutation(40)
    nodes = [node("Gather", "x order", "g", axis=1), node("Pad", "g pads", mode="constant")]
    found = layers_of(tmp_path, (1, 40), nodes, {"order": order, "pads": np.array([0, 2, 0, 1])}, 43)
    assert found == [Gather((-1, -1, *order.tolist(), -1))]
    nodes = [node("Pad", "x pads", mode="reflect")]
    found = layers_of(tmp_path, (1, 40), nodes, {"pads": np.array([0, 30, 0, 0])}, 70)
    assert found == [Gather((*range(30, 0, -1), *range(40)))]


@pytest.mark.parametrize(("start", "end", "cut"), [(1, 4, Slice(3, 13)), (0, 4, Slice(0, 16)), (1, 6, Slice(3, 19))])
def test_windows_that_are_thrown_away_are_not_computed(tmp_path: Path, start: int, end: int, cut: Slice) -> None:
    """Of six windows of a signal, of which the first of two values is taken."""
    weights = {"W": random(2, 1, 7), "starts": [start, 0], "ends": [end, 1], "axes": [2, 1]}
    nodes = [node("Conv", "x W", "windows", strides=[3]), node("Slice", "windows starts ends axes")]
    found = layers_of(tmp_path, (1, 1, 23), nodes, weights, end - start)
    assert found[:2] == [cut, Within(cut.size, Convolution(2, 7, stride=3, left=0, right=0))]
    assert found[2 : 2 + end - start] == [Slice(2 * k, 1) for k in range(end - start)]
