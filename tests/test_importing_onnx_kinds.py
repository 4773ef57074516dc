"""Graphs by hand, of each kind: windows, states, caches, causal convolutions, int8, and what is told of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from ostinato.errors import ForeignModelError
from ostinato.importing import Imported, Settings, import_model
from ostinato.importing.onnx import draft
from ostinato.importing.parity import compare
from ostinato.model.layers import Convolution, Gru, LayerNorm, Lstm, Rnn, Stack, Within
from ostinato.model.whole_sequence import whole_sequence

FLOAT, INT8, INT64 = TensorProto.FLOAT, TensorProto.INT8, TensorProto.INT64
RNG = np.random.default_rng(5)


def normal(*shape: int, scale: float = 0.4) -> Any:
    return (scale * RNG.normal(size=shape)).astype(np.float32)


def save(
    path: Path,
    nodes: Sequence[tuple[Any, ...]],
    constants: dict[str, Any],
    inputs: dict[str, Sequence[Any]],
    outputs: Sequence[str],
    *,
    producer: str = "",
    types: dict[str, int] | None = None,
) -> Path:
    """``nodes``: operator, inputs, outputs, and attributes."""
    made = [helper.make_node(n[0], n[1].split(), n[2].split(), **(n[3] if len(n) > 3 else {})) for n in nodes]
    for node in made:
        node.input[:] = ["" if name == "-" else name for name in node.input]
        node.domain = "com.microsoft" if node.op_type in ("DynamicQuantizeLSTM",) else ""
    graph = helper.make_graph(
        made,
        "kinds",
        [
            helper.make_tensor_value_info(name, (types or {}).get(name, FLOAT), sizes)
            for name, sizes in inputs.items()
        ],
        [helper.make_tensor_value_info(name, FLOAT, None) for name in outputs],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, producer_name=producer)
    model.ir_version = 9
    onnx.save(model, path)
    return path


def told(imported: Imported, subject: str) -> str:
    return " ".join(decision.text for decision in imported.decisions if decision.subject == subject)


def kinds(imported: Imported) -> list[str]:
    return [node.layer.kind for node in imported.network.specification.nodes]


def test_a_window_runs_anew_every_hop(tmp_path: Path) -> None:
    nodes = [
        ("Transpose", "x", "t", {"perm": [1, 0, 2]}),
        ("GRU", "t W R", "y h", {"hidden_size": 6, "linear_before_reset": 1}),
        ("Squeeze", "h zero", "last"),
        ("MatMul", "last V", "out"),
    ]
    constants = {"W": normal(1, 18, 5), "R": normal(1, 18, 6), "V": normal(6, 2), "zero": np.array([0])}
    path = save(tmp_path / "wake.onnx", nodes, constants, {"x": [1, 12, 5]}, ["out"])
    for hop in (1, 4):
        imported = import_model(path, Settings(more={"hop": hop}))
        assert imported.parity.largest < 1e-5 and imported.parity.frames > 30
        first, second = imported.network.specification.nodes[:2]
        assert first.layer == Stack(12, hop, 0, 0)
        assert isinstance(second.layer, Within) and second.layer.positions == 12
        assert told(imported, "window") == f"12 frames along axis 1 of 'x', hop = {hop}"
    assert told(import_model(path), "window").endswith("hop = 1")


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("way", ["bidirectional", "reverse"])
def test_states_at_both_ends_are_known_at_the_utterances_end(kind: str, way: str, tmp_path: Path) -> None:
    """Y_h of a direction that runs from the last frame is that of the first."""
    gates, count = {"LSTM": 4, "GRU": 3, "RNN": 1}[kind], 2 if way == "bidirectional" else 1
    nodes = [
        ("Transpose", "x", "t", {"perm": [1, 0, 2]}),
        (kind, "t W R", "y h", {"hidden_size": 6, "direction": way}),
        ("Transpose", "h", "b", {"perm": [1, 0, 2]}),
        ("Reshape", "b sizes", "f"),
        ("MatMul", "f V", "out"),
    ]
    constants = {
        "W": normal(count, 6 * gates, 5), "R": normal(count, 6 * gates, 6), "V": normal(6 * count, 2),
        "sizes": np.array([1, 6 * count]),
    }  # fmt: skip
    imported = import_model(save(tmp_path / "ends.onnx", nodes, constants, {"x": [1, "time", 5]}, ["out"]))
    assert imported.parity.largest < 1e-5 and "first" in kinds(imported)
    assert told(imported, "last frame").endswith("the file's number is that of its last")


def test_stacked_causal_convolutions_stream(tmp_path: Path) -> None:
    """A TCN as PyTorch has it: padding on both sides, and the right one cut off, block after block."""
    nodes: list[tuple[Any, ...]] = [("Transpose", "x", "a0", {"perm": [0, 2, 1]})]
    constants = {"zero": np.array([0]), "two": np.array([2])}
    for block in range(3):
        span = 2 * 2**block
        constants |= {f"W{block}": normal(4, 4, 3), f"b{block}": normal(4), f"cut{block}": np.array([-span])}
        nodes += [
            ("Conv", f"a{block} W{block} b{block}", f"c{block}", {"dilations": [2**block], "pads": [span, span]}),
            ("Slice", f"c{block} zero cut{block} two", f"s{block}"),
            ("Relu", f"s{block}", f"r{block}"),
            ("Add", f"r{block} a{block}", f"a{block + 1}"),
        ]
    nodes.append(("Transpose", "a3", "y", {"perm": [0, 2, 1]}))
    imported = import_model(save(tmp_path / "tcn.onnx", nodes, constants, {"x": [1, "time", 4]}, ["y"]))
    assert imported.parity.largest < 1e-5
    assert kinds(imported).count("convolution") == 3
    assert all(
        node.layer.framings[0].causal
        for node in imported.network.specification.nodes
        if isinstance(node.layer, Convolution)
    )
    assert not told(imported, "delay")


@pytest.mark.parametrize("pool", ["AveragePool", "MaxPool"])
def test_what_was_cut_off_is_not_seen_through_padding(pool: str, tmp_path: Path) -> None:
    """By a stride that reaches the end for some lengths of an utterance, and for others does not."""
    more = {"count_include_pad": 1} if pool == "AveragePool" else {}
    nodes = [
        ("Transpose", "x", "t", {"perm": [0, 2, 1]}),
        ("Conv", "t W b", "c", {"pads": [2, 2]}),
        ("Slice", "c zero cut two", "s"),
        (pool, "s", "p", {"kernel_shape": [3], "pads": [1, 1], "strides": [2], **more}),
        ("Transpose", "p", "y", {"perm": [0, 2, 1]}),
    ]
    constants = {
        "W": normal(4, 4, 3),
        "b": normal(4),
        "zero": np.array([0]),
        "cut": np.array([-2]),
        "two": np.array([2]),
    }
    imported = import_model(save(tmp_path / "cut.onnx", nodes, constants, {"x": [1, "time", 4]}, ["y"]))
    assert imported.parity.largest < 1e-5
    for length in (30, 31, 32, 33):  # of either remainder
        assert compare(imported.network, _source(tmp_path / "cut.onnx"), lengths=(length,)).largest < 1e-5


def _source(path: Path) -> Any:
    return draft(path, Settings()).source


def test_caches_in_a_sequence_are_what_a_stream_keeps(tmp_path: Path) -> None:
    """The last frames of one call stand before the next's."""
    nodes = [
        ("Concat", "cache x", "window", {"axis": 1}),
        ("Transpose", "window", "turned", {"perm": [0, 2, 1]}),
        ("Conv", "turned W b", "c"),
        ("Transpose", "c", "y", {"perm": [0, 2, 1]}),
        ("Slice", "window start end one", "after"),
    ]
    constants = {
        "W": normal(5, 3, 4), "b": normal(5), "one": np.array([1]),
        "start": np.array([-3]), "end": np.array([1 << 40]),
    }  # fmt: skip
    inputs: dict[str, Sequence[Any]] = {"x": [1, "time", 3], "cache": [1, 3, 3]}
    imported = import_model(save(tmp_path / "cache.onnx", nodes, constants, inputs, ["y", "after"]))
    assert imported.parity.largest < 1e-5
    assert kinds(imported) == ["convolution"]
    assert told(imported, "state") == "input 'cache' begins from zeros, goes on as output 'after'"


def test_states_are_paired_by_what_they_hold(tmp_path: Path) -> None:
    """Outputs in another order than inputs, and names that lie."""
    nodes = [
        ("LSTM", "x W R - - b a", "y h c", {"hidden_size": 4}),
        ("Squeeze", "y one", "out"),
        ("Identity", "c", "b_next"),
        ("Identity", "h", "a_next"),
    ]
    constants = {"W": normal(1, 16, 3), "R": normal(1, 16, 4), "one": np.array([1])}
    inputs: dict[str, Sequence[Any]] = {"x": [1, 1, 3], "a": [1, 1, 4], "b": [1, 1, 4]}
    imported = import_model(save(tmp_path / "pairs.onnx", nodes, constants, inputs, ["out", "b_next", "a_next"]))
    assert imported.parity.largest < 1e-5
    assert "input 'a' begins from zeros, goes on as output 'b_next'" in told(imported, "state")


def test_a_state_that_becomes_something_else_is_refused(tmp_path: Path) -> None:
    nodes = [
        ("GRU", "x W R - - s", "y h", {"hidden_size": 4, "linear_before_reset": 1}),
        ("MatMul", "y V", "out"),
        ("Tanh", "h", "next"),
    ]
    constants = {"W": normal(1, 12, 3), "R": normal(1, 12, 4), "V": normal(4, 2)}
    inputs: dict[str, Sequence[Any]] = {"x": [1, 1, 3], "s": [1, 1, 4]}
    path = save(tmp_path / "state.onnx", nodes, constants, inputs, ["out", "next"])
    with pytest.raises(ForeignModelError, match="begins its h from 's', which does not become its own h"):
        import_model(path)


def test_a_recurrence_that_is_no_known_cell_is_refused(tmp_path: Path) -> None:
    nodes = [("Add", "x s", "sum"), ("Mul", "sum s", "next"), ("Tanh", "next", "y")]
    inputs: dict[str, Sequence[Any]] = {"x": [1, 3], "s": [1, 3]}
    path = save(tmp_path / "odd.onnx", nodes, {}, inputs, ["y", "next"])
    with pytest.raises(ForeignModelError, match="goes round through a state in a way that is none of the known"):
        import_model(path)


def test_int8_becomes_float32_and_that_is_told(tmp_path: Path) -> None:
    W, R = RNG.integers(-90, 90, (1, 5, 16)).astype(np.int8), RNG.integers(-90, 90, (1, 4, 16)).astype(np.int8)
    constants = {
        "W": W, "R": R, "B": normal(1, 32), "by": np.array([0.01], np.float32), "zero": np.array([0], np.int8),
        "V": RNG.integers(-90, 90, (4, 3)).astype(np.int8), "none": np.int8(0), "scale": np.float32(0.02),
        "one": np.array([1]),
    }  # fmt: skip
    nodes = [
        ("DynamicQuantizeLSTM", "t W R B - - - - by zero by zero", "y h c", {"hidden_size": 4}),
        ("Squeeze", "y one", "s"),
        ("DynamicQuantizeLinear", "s", "q q_scale q_zero"),
        ("MatMulInteger", "q V q_zero none", "sums"),
        ("Cast", "sums", "floats", {"to": FLOAT}),
        ("Mul", "q_scale scale", "both"),
        ("Mul", "floats both", "out"),
    ]
    path = save(tmp_path / "int8.onnx", nodes, constants, {"t": ["time", 1, 5]}, ["out"])
    floats = {
        "W": np.swapaxes(W, 1, 2) * np.float32(0.01), "R": np.swapaxes(R, 1, 2) * np.float32(0.01),
        "B": constants["B"], "V": constants["V"] * np.float32(0.02), "one": constants["one"],
    }  # fmt: skip
    plain = [("LSTM", "t W R B", "y h c", {"hidden_size": 4}), ("Squeeze", "y one", "s"), ("MatMul", "s V", "out")]
    other = import_model(save(tmp_path / "float.onnx", plain, floats, {"t": ["time", 1, 5]}, ["out"]))
    recorded = tmp_path / "recorded.npz"
    frames = normal(40, 5, scale=1.0)
    np.savez(recorded, inputs=frames, outputs=whole_sequence(other.network, frames)[0])
    for imported in (import_model(path, expect=recorded), import_model(path)):
        assert imported.parity.largest < 1e-5
        assert kinds(imported) == ["lstm", "dense"]
        assert told(imported, "int8").startswith("3 int8 operators became float32, rounding left out: of 83 random")


@pytest.mark.parametrize("way", ["dynamic", "qdq", "qoperator"])
def test_what_onnx_runtime_quantizes_is_its_float32_again(way: str, tmp_path: Path) -> None:
    """Activations that its quantizer leaves to the ranges of integers are there again; so are operators that only
    move values, padding among them."""
    from onnxruntime import quantization as q

    constants = {
        "K": normal(6, 4, 3), "k": normal(6, scale=0.1), "pads": np.array([0, 0, 2, 0, 0, 0]), "W": normal(1, 18, 6),
        "R": normal(1, 18, 6), "one": np.array([1]), "V": normal(6, 3), "v": normal(3),
    }  # fmt: skip
    nodes = [
        ("Transpose", "x", "t", {"perm": [0, 2, 1]}),
        ("Pad", "t pads", "p"),
        ("Conv", "p K k", "c"),
        ("Relu", "c", "r"),
        ("Transpose", "r", "f", {"perm": [2, 0, 1]}),
        ("GRU", "f W R", "all h", {"hidden_size": 6, "linear_before_reset": 1}),
        ("Squeeze", "all one", "g"),
        ("MatMul", "g V", "m"),
        ("Add", "m v", "s"),
        ("Sigmoid", "s", "y"),
    ]
    plain, path = save(tmp_path / "plain.onnx", nodes, constants, {"x": [1, "time", 4]}, ["y"]), tmp_path / "q.onnx"

    class Typical(q.CalibrationDataReader):  # type: ignore[misc]
        left = 5

        def get_next(self) -> dict[str, Any] | None:
            self.left -= 1
            return {"x": normal(1, 60, 4, scale=1.0)} if self.left else None

    if way == "dynamic":
        q.quantize_dynamic(plain, path)
    else:
        formats = {"qdq": q.QuantFormat.QDQ, "qoperator": q.QuantFormat.QOperator}
        q.quantize_static(plain, path, Typical(), quant_format=formats[way], per_channel=way == "qdq")
    imported, other = import_model(path), import_model(plain)
    assert imported.parity.source.endswith("(the file in float32)")
    assert imported.parity.largest < 1e-5
    frames = normal(50, 4, scale=1.0)
    ours, wanted = (whole_sequence(each.network, frames)[0] for each in (imported, other))
    np.testing.assert_allclose(ours, wanted, rtol=0, atol=0.03)  # what 256 steps of weights and ranges make
    assert [node.op_type for node in onnx.load(path).graph.node].count("Relu") == (way == "dynamic")


@pytest.mark.parametrize("scales", [np.ones(5, np.float32), np.array("x")])
def test_scales_that_do_not_fit_are_refused_by_name(scales: Any, tmp_path: Path) -> None:
    constants = {"scale": scales, "zero": np.int8(0), "W": np.ones((3, 2), np.int8)}
    nodes = [("DequantizeLinear", "W scale zero", "w"), ("MatMul", "x w", "y")]
    path = save(tmp_path / "odd.onnx", nodes, constants, {"x": ["time", 3]}, ["y"])
    with pytest.raises(ForeignModelError, match=r"DequantizeLinear.*do not fit|breaks ONNX's rules"):
        import_model(path)


def test_integers_that_are_computed_are_refused_by_name(tmp_path: Path) -> None:
    constants = {"scale": np.float32(0.1), "zero": np.int8(0), "W": np.ones((3, 2), np.int8)}
    nodes = [
        ("Cast", "x", "c", {"to": INT8}),
        ("QLinearMatMul", "c scale zero W scale zero scale zero", "q"),
        ("DequantizeLinear", "q scale zero", "y"),
    ]
    path = save(tmp_path / "odd.onnx", nodes, constants, {"x": ["time", 3]}, ["y"])
    with pytest.raises(ForeignModelError, match=r"node 'q' \(QLinearMatMul\): reads integers 'c' of no operator"):
        import_model(path)


def test_layer_normalisation_that_is_spelled_out_is_one_layer(tmp_path: Path) -> None:
    constants = {"W": normal(1, 15, 8), "R": normal(1, 15, 5), "e": np.float32(1e-3), "g": normal(5), "b": normal(5),
                 "two": np.float32(2), "one": np.array([1])}  # fmt: skip
    nodes = [
        ("GRU", "x W R", "all h", {"hidden_size": 5, "linear_before_reset": 1}),
        ("Squeeze", "all one", "y"),
        ("ReduceMean", "y", "mean", {"axes": [-1]}),
        ("Sub", "y mean", "less"),
        ("Pow", "less two", "squares"),
        ("ReduceMean", "squares", "variance", {"axes": [-1]}),
        ("Add", "variance e", "more"),
        ("Sqrt", "more", "root"),
        ("Div", "less root", "plain"),
        ("Mul", "plain g", "times"),
        ("Add", "times b", "out"),
    ]
    imported = import_model(save(tmp_path / "norm.onnx", nodes, constants, {"x": ["time", 1, 8]}, ["out"]))
    assert imported.parity.largest < 1e-5
    (_, norm) = imported.network.specification.nodes
    assert isinstance(norm.layer, LayerNorm) and norm.layer.epsilon == pytest.approx(1e-3)


def test_a_gru_of_pytorch_that_resets_before_is_doubted(tmp_path: Path) -> None:
    constants = {"W": normal(1, 12, 3), "R": normal(1, 12, 4), "one": np.array([1])}
    nodes = [("GRU", "x W R", "y h", {"hidden_size": 4}), ("Squeeze", "y one", "out")]
    for producer, doubted in (("pytorch", True), ("", False)):
        path = save(tmp_path / "gru.onnx", nodes, constants, {"x": ["time", 1, 3]}, ["out"], producer=producer)
        imported = import_model(path)
        (node,) = imported.network.specification.nodes
        assert isinstance(node.layer, Gru) and node.layer.reset == "before"
        assert bool(told(imported, "warning")) == doubted


def test_a_recurrence_over_frequencies_lies_within_a_frame(tmp_path: Path) -> None:
    """[1, time, bands, channels]: an LSTM over the bands of each frame, in both directions, time being its batch."""
    nodes = [
        ("Reshape", "x bands", "b"),
        ("Transpose", "b", "t", {"perm": [1, 0, 2]}),
        ("LSTM", "t W R", "y h c", {"hidden_size": 3, "direction": "bidirectional"}),
        ("Transpose", "y", "z", {"perm": [2, 0, 1, 3]}),
        ("Reshape", "z flat", "out"),
    ]
    constants = {
        "W": normal(2, 12, 4), "R": normal(2, 12, 3), "bands": np.array([-1, 6, 4]), "flat": np.array([1, -1, 36]),
    }  # fmt: skip
    imported = import_model(save(tmp_path / "bands.onnx", nodes, constants, {"x": [1, "time", 24]}, ["out"]))
    assert imported.parity.largest < 1e-5
    (node,) = imported.network.specification.nodes
    assert isinstance(node.layer, Within) and isinstance(node.layer.layer, Lstm)
    assert not told(imported, "delay"), "it waits for no other frame"


def test_logarithms_of_vanishing_probabilities_are_numbers(tmp_path: Path) -> None:
    nodes = [
        ("GRU", "x W R", "all h", {"hidden_size": 5, "linear_before_reset": 1}),
        ("Squeeze", "all one", "y"),
        ("Mul", "y large", "logits"),
        ("LogSoftmax", "logits", "out", {"axis": -1}),
    ]
    constants = {
        "W": normal(1, 15, 8), "R": normal(1, 15, 5), "large": np.float32(1000), "one": np.array([1]),
    }  # fmt: skip
    imported = import_model(save(tmp_path / "log.onnx", nodes, constants, {"x": ["time", 1, 8]}, ["out"]))
    assert imported.parity.scale > 200 and imported.parity.largest < 1e-5 * imported.parity.scale


@pytest.mark.parametrize("backward", [False, True])
def test_a_scan_is_the_layer_that_its_body_writes_out(backward: bool, tmp_path: Path) -> None:
    body = helper.make_graph(
        [
            helper.make_node("MatMul", ["frame", "W"], ["a"]),
            helper.make_node("MatMul", ["before", "R"], ["b"]),
            helper.make_node("Add", ["a", "b"], ["sum"]),
            helper.make_node("Tanh", ["sum"], ["after"]),
            helper.make_node("Identity", ["after"], ["out"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("before", FLOAT, [1, 5]),
            helper.make_tensor_value_info("frame", FLOAT, [1, 3]),
        ],
        [helper.make_tensor_value_info("after", FLOAT, [1, 5]), helper.make_tensor_value_info("out", FLOAT, [1, 5])],
    )
    way = {"scan_input_directions": [1], "scan_output_directions": [1]} if backward else {}
    nodes = [("Scan", "zeros x", "last y", {"body": body, "num_scan_inputs": 1, **way})]
    constants = {"W": normal(3, 5), "R": normal(5, 5), "zeros": np.zeros((1, 5), np.float32)}
    imported = import_model(save(tmp_path / "scan.onnx", nodes, constants, {"x": ["time", 1, 3]}, ["y"]))
    assert imported.parity.largest < 1e-5
    (node,) = imported.network.specification.nodes
    assert node.layer == Rnn(5, "backward" if backward else "forward")


def test_lengths_that_are_all_of_the_sequence_are_none(tmp_path: Path) -> None:
    nodes = [
        ("Shape", "x", "sizes"),
        ("Gather", "sizes zero", "length", {"axis": 0}),
        ("Cast", "length", "lengths", {"to": TensorProto.INT32}),
        ("GRU", "x W R - lengths", "y h", {"hidden_size": 4, "linear_before_reset": 1}),
        ("Squeeze", "y one", "out"),
    ]
    constants = {"W": normal(1, 12, 3), "R": normal(1, 12, 4), "zero": np.array([0]), "one": np.array([1])}
    imported = import_model(save(tmp_path / "lengths.onnx", nodes, constants, {"x": ["time", 1, 3]}, ["out"]))
    assert imported.parity.largest < 1e-5 and kinds(imported) == ["gru"]


def test_functions_are_what_they_stand_for(tmp_path: Path) -> None:
    body = [helper.make_node("Tanh", ["a"], ["b"]), helper.make_node("Mul", ["b", "b"], ["c"])]
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    function = helper.make_function("own", "Twice", ["a"], ["c"], body, opsets[:1])
    graph = helper.make_graph(
        [
            helper.make_node("Twice", ["x"], ["t"], domain="own"),
            helper.make_node("Twice", ["t"], ["y"], domain="own"),
        ],
        "functions",
        [helper.make_tensor_value_info("x", FLOAT, [1, "time", 3])],
        [helper.make_tensor_value_info("y", FLOAT, [1, "time", 3])],
    )
    path = tmp_path / "functions.onnx"
    onnx.save(helper.make_model(graph, opset_imports=opsets, functions=[function], ir_version=9), path)
    imported = import_model(path)
    assert imported.parity.largest < 1e-5
    assert kinds(imported) == ["activate", "multiply", "activate", "multiply"]


def test_attention_over_the_utterance_is_refused_by_name(tmp_path: Path) -> None:
    nodes = [
        ("Transpose", "x", "k", {"perm": [0, 2, 1]}),
        ("MatMul", "x k", "scores"),
        ("Softmax", "scores", "weights", {"axis": -1}),
        ("MatMul", "weights x", "y"),
    ]
    path = save(tmp_path / "attention.onnx", nodes, {}, {"x": [1, "time", 4]}, ["y"])
    with pytest.raises(ForeignModelError, match=r"\(MatMul\): mixes values of all frames .* cannot be streamed"):
        import_model(path)


@pytest.mark.parametrize("operator", ["ReduceMean", "ReduceMax", "GlobalAveragePool", "InstanceNormalization"])
def test_a_mean_over_time_is_refused_by_name(operator: str, tmp_path: Path) -> None:
    if operator.startswith("Reduce"):
        nodes: list[tuple[Any, ...]] = [(operator, "x", "y", {"axes": [1]})]
    else:
        more = " g b" if operator.startswith("Instance") else ""
        nodes = [("Transpose", "x", "t", {"perm": [0, 2, 1]}), (operator, f"t{more}", "y")]
    constants = {"g": normal(4), "b": normal(4)}
    path = save(tmp_path / "mean.onnx", nodes, constants, {"x": [1, "time", 4]}, ["y"])
    with pytest.raises(ForeignModelError, match=rf"\({operator}\)"):
        import_model(path)
