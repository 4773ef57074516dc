"""Products that repeat themselves along a frame become layers within frames, and nothing else does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from ostinato.importing import import_model
from ostinato.importing.onnx.positions import along_positions
from ostinato.model import Head, Network, Node, Specification
from ostinato.model.activation import Activation
from ostinato.model.decoders import Outputs
from ostinato.model.front_ends import Frames
from ostinato.model.layers import Concatenate, Convolution, Dense, Layer, Slice, Transpose, Within
from ostinato.model.specification import Sequential
from ostinato.model.whole_sequence import whole_sequence

RELU = Activation("relu")


def matrix(within: Within, inputs: int) -> Any:
    """What a layer within frames, of random weights, is as a product [outputs, inputs], and as a bias."""
    network = Network.random(Sequential("x", Frames(inputs), [within], Outputs()))
    bias = np.arange(1, 1 + within.layer.output([Frames(inputs // within.positions).wire]).size) / 7
    W = whole_sequence(without_bias(network), np.eye(inputs, dtype=np.float32))[0].T
    return W, np.tile(bias.astype(np.float32), len(W) // len(bias))


def without_bias(network: Network) -> Network:
    weights = {name: 0 * array if name.endswith(".b") else array for name, array in network.weights.items()}
    return Network(network.specification, weights)


def product(W: Any, b: Any, taps: int = 1) -> Network:
    """A network of one product of that matrix, over some frames if ``taps`` are more."""
    layer: Layer = Dense(len(W), RELU) if taps == 1 else Convolution(len(W), taps, dilation=2, activation=RELU)
    specification = Sequential("x", Frames(W.shape[1] // taps), [layer], Outputs())
    (node,) = specification.nodes
    return Network(specification, {f"{node.name}.W": W, f"{node.name}.b": b})


def same(old: Network, new: Network) -> None:
    frames = np.random.default_rng(4).normal(size=(9, old.specification.front_end.frame_size)).astype(np.float32)
    np.testing.assert_allclose(whole_sequence(new, frames)[0], whole_sequence(old, frames)[0], atol=1e-5)


def kinds(network: Network) -> list[str]:
    return [node.layer.kind for node in network.specification.nodes]


CONVOLUTIONS = [
    (33, 4, Convolution(8, 3, left=1, right=1)),
    (65, 2, Convolution(8, 5, 2, left=2, right=2)),
    (64, 3, Convolution(6, 4, 2, left=1, right=0)),
    (40, 2, Convolution(8, 3, dilation=3, left=3, right=3)),
    (384, 1, Convolution(10, 128, 64, left=0, right=0)),
    (16, 6, Dense(9)),
]


@pytest.mark.parametrize(("positions", "channels", "layer"), CONVOLUTIONS, ids=str)
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("out_turned", [False, True])
def test_a_product_that_repeats_itself(
    positions: int, channels: int, layer: Layer, turned: bool, out_turned: bool
) -> None:
    W, b = matrix(Within(positions, layer), positions * channels)
    places = len(W) // layer.size  # type: ignore[attr-defined]
    if turned:
        W = W.reshape(len(W), positions, channels).swapaxes(1, 2).reshape(len(W), -1)
    if out_turned:
        W = W.reshape(places, -1, W.shape[1]).swapaxes(0, 1).reshape(len(W), -1)
        b = b.reshape(places, -1).T.reshape(-1)
    old = product(np.ascontiguousarray(W), b)
    new = along_positions(old)
    same(old, new)
    assert "within" in kinds(new) and "dense" not in kinds(new)
    assert sum(array.size for array in new.weights.values()) <= sum(array.size for array in old.weights.values()) / 2
    if not turned and not out_turned:
        assert kinds(new) == ["within"]


def test_over_time_and_positions_at_once() -> None:
    """Three frames, each two apart, seen by a convolution of three positions."""
    positions, channels = 20, 4
    parts = [matrix(Within(positions, Convolution(5, 3, left=1, right=1)), positions * channels) for _ in range(3)]
    W = np.concatenate([(k + 1) * W for k, (W, _) in enumerate(parts)], axis=1)
    old = product(W.astype(np.float32), parts[0][1], taps=3)
    new = along_positions(old)
    same(old, new)
    assert "convolution" not in kinds(new) and "within" in kinds(new)


def test_ends_that_do_something_else_are_products_of_their_own() -> None:
    """As where a frame is continued by its own reflection."""
    W, b = matrix(Within(384, Convolution(10, 128, 64, left=0, right=0)), 384)
    W = np.concatenate([W, np.pad(np.random.default_rng(0).normal(size=(10, 100)), ((0, 0), (284, 0)))])
    old = product(W.astype(np.float32), np.append(b, b[:10]))
    new = along_positions(old)
    same(old, new)
    assert kinds(new) == ["within", "slice", "dense", "concatenate"]
    (end,) = (node for node in new.specification.nodes if node.layer.kind == "slice")
    assert end.layer == Slice(284, 100)


def test_several_sources_each_its_way_round() -> None:
    positions = 20
    W, b = matrix(Within(positions, Convolution(8, 3, left=1, right=1)), positions * 6)
    first, second = W.reshape(len(W), positions, 6)[:, :, :2], W.reshape(len(W), positions, 6)[:, :, 2:]
    W = np.concatenate([first.reshape(len(W), -1), second.swapaxes(1, 2).reshape(len(W), -1)], axis=1)
    nodes = (
        Node("a", Slice(0, 2 * positions), ("frames",)),
        Node("b", Slice(10, 4 * positions), ("frames",)),
        Node("both", Concatenate(), ("a", "b")),
        Node("out", Dense(len(W)), ("both",)),
    )
    specification = Specification("x", Frames(100), nodes, (Head("main", "out", Outputs()),))
    old = Network(specification, {"out.W": np.ascontiguousarray(W), "out.b": b})
    new = along_positions(old)
    same(old, new)
    assert "dense" not in kinds(new)
    assert kinds(new).count("within") == 2 and kinds(new).count("transpose") == 1


def test_what_only_turns_a_frame_is_a_transposition() -> None:
    order = np.arange(120).reshape(8, 15).T.reshape(-1)
    specification = Sequential("x", Frames(120), [Dense(120)], Outputs())
    (node,) = specification.nodes
    old = Network(
        specification, {f"{node.name}.W": np.eye(120, dtype=np.float32)[order], f"{node.name}.b": np.zeros(120, "f")}
    )
    new = along_positions(old)
    assert [node.layer for node in new.specification.nodes] == [Transpose(8)]
    same(old, new)


@pytest.mark.parametrize("what", ["dense", "a weight", "a bias", "sparse"])
def test_what_does_not_repeat_itself_stays(what: str) -> None:
    W, b = matrix(Within(33, Convolution(8, 3, left=1, right=1)), 33 * 4)
    random = np.random.default_rng(0)
    if what == "dense":
        W = random.normal(size=W.shape).astype(np.float32)
    elif what == "sparse":
        W = np.where(random.random(W.shape) < 0.1, random.normal(size=W.shape), 0).astype(np.float32)
    elif what == "a weight":
        W[8 * 16, np.flatnonzero(W[8 * 16])[0]] += 1e-3
    else:
        b[8 * 16] += 1e-3
    old = product(W, b)
    new = along_positions(old)
    assert new.specification.nodes == old.specification.nodes
    for name, array in old.weights.items():
        np.testing.assert_array_equal(new.weights[name], array)


def test_a_convolution_along_frequencies_of_a_file_has_the_files_weights(tmp_path: Path) -> None:
    """Its taps stand in the model once, and not once for each frequency."""
    random = np.random.default_rng(0)
    W = random.normal(size=(16, 2, 5)).astype(np.float32)
    node = helper.make_node("Conv", ["x", "W"], ["y"], kernel_shape=[5], strides=[2], pads=[2, 2])
    x, y = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("x", (1, 2, 65)), ("y", (1, 16, 33)))
    )
    state = [helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, 4)) for name in ("h", "next_h")]
    keep = helper.make_node("Identity", ["h"], ["next_h"])
    graph = helper.make_graph([node, keep], "g", [x, state[0]], [y, state[1]], [numpy_helper.from_array(W, "W")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = tmp_path / "along.onnx"
    path.write_bytes(model.SerializeToString())
    imported = import_model(path)
    (layer,) = (each.layer for each in imported.network.specification.nodes if each.layer.kind == "within")
    assert layer == Within(65, Convolution(16, 5, 2, left=2, right=2))
    assert sum(array.size for array in imported.network.weights.values()) <= W.size + 16
    assert imported.parity.largest < 1e-5
