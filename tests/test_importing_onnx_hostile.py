"""Files that lie, do not end, or want something run: each is refused by what is wrong with it, soon."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from ostinato.errors import ForeignModelError
from ostinato.importing import Settings, import_model

FLOAT = TensorProto.FLOAT
SOON = 5.0
"""Seconds, on a busy machine; by itself each takes a fraction of one."""


def model(
    nodes: Sequence[Any], constants: Sequence[Any] = (), *, inputs: Sequence[Any] | None = None, opset: int = 17
) -> onnx.ModelProto:
    x = [helper.make_tensor_value_info("x", FLOAT, [1, "time", 4])] if inputs is None else inputs
    y = [helper.make_tensor_value_info("y", FLOAT, None)]
    graph = helper.make_graph(list(nodes), "g", x, y, list(constants))
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.example", 1)]
    made = helper.make_model(graph, opset_imports=opsets)
    made.ir_version = 9
    return made


def constant(name: str, array: Any) -> Any:
    return numpy_helper.from_array(np.asarray(array), name)


def relu() -> onnx.ModelProto:
    return model([helper.make_node("Relu", ["x"], ["y"])])


def external() -> onnx.ModelProto:
    made = model([helper.make_node("Add", ["x", "w"], ["y"])], [constant("w", np.ones(4, np.float32))])
    tensor = made.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    return made


def declared() -> onnx.ModelProto:
    made = model([helper.make_node("Add", ["x", "w"], ["y"])], [constant("w", np.ones(4, np.float32))])
    made.graph.initializer[0].dims[:] = [1 << 29]  # 2 GiB
    return made


def negative() -> onnx.ModelProto:
    made = model([helper.make_node("Add", ["x", "w"], ["y"])], [constant("w", np.ones(4, np.float32))])
    made.graph.initializer[0].dims[:] = [-1, -4]
    return made


def expanded(operator: str, *arguments: Any) -> Callable[[], onnx.ModelProto]:
    """A few bytes that want to become gigabytes."""

    def make() -> onnx.ModelProto:
        constants = [constant(f"c{k}", each) for k, each in enumerate(arguments)]
        nodes = [
            helper.make_node(operator, [each.name for each in constants], ["big"]),
            helper.make_node("ReduceSum", ["big"], ["one"], keepdims=0),
            helper.make_node("Cast", ["one"], ["number"], to=FLOAT),
            helper.make_node("Add", ["x", "number"], ["y"]),
        ]
        return model(nodes, constants)

    return make


def moved(operator: str, *arguments: Any) -> Callable[[], onnx.ModelProto]:
    """The same of the input."""

    def make() -> onnx.ModelProto:
        constants = [constant(f"c{k}", each) for k, each in enumerate(arguments)]
        return model([helper.make_node(operator, ["x", *(each.name for each in constants)], ["y"])], constants)

    return make


def endless() -> onnx.ModelProto:
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["on"], ["on_out"]),
            helper.make_node("Tanh", ["s"], ["s_out"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("s", FLOAT, [1]),
        ],
        [
            helper.make_tensor_value_info("on_out", TensorProto.BOOL, []),
            helper.make_tensor_value_info("s_out", FLOAT, [1]),
        ],
    )
    nodes = [
        helper.make_node("Loop", ["", "always", "start"], ["end"], body=body),
        helper.make_node("Add", ["x", "end"], ["y"]),
    ]
    return model(nodes, [constant("always", True), constant("start", np.ones(1, np.float32))])


def nested() -> onnx.ModelProto:
    inner: Any = helper.make_graph([helper.make_node("Relu", ["x"], ["t0"])], "g", [], [_out("t0")])
    for depth in range(1, 40):
        node = helper.make_node("If", ["yes"], [f"t{depth}"], then_branch=inner, else_branch=inner)
        inner = helper.make_graph([node], "g", [], [_out(f"t{depth}")])
        if inner.ByteSize() > 1 << 20:
            break
    node = helper.make_node("If", ["yes"], ["y"], then_branch=inner, else_branch=inner)
    return model([node], [constant("yes", True)])


def _out(name: str) -> Any:
    return helper.make_tensor_value_info(name, FLOAT, None)


def circle() -> onnx.ModelProto:
    return model([helper.make_node("Add", ["x", "b"], ["a"]), helper.make_node("Relu", ["a"], ["b"]),
                  helper.make_node("Relu", ["b"], ["y"])])  # fmt: skip


def doubled() -> onnx.ModelProto:
    nodes = [helper.make_node("Concat", ["x", "x"], ["d0"], axis=2)]
    nodes += [helper.make_node("Concat", [f"d{k}"] * 2, [f"d{k + 1}"], axis=2) for k in range(40)]
    return model([*nodes, helper.make_node("Relu", ["d40"], ["y"])])


def convolved(operator: str, **attributes: Any) -> Callable[[], onnx.ModelProto]:
    """A convolution that looks far, or stretches."""

    def make() -> onnx.ModelProto:
        frames = [helper.make_tensor_value_info("x", FLOAT, [1, 4, "time"])]
        node = helper.make_node(operator, ["x", "w"], ["y"], **attributes)
        return model([node], [constant("w", np.ones((4, 4, 3), np.float32))], inputs=frames)

    return make


def foreign() -> onnx.ModelProto:
    return model([helper.make_node("Run", ["x"], ["y"], domain="com.example", code="import os")])


HOSTILE: dict[str, tuple[Callable[[], onnx.ModelProto], str]] = {
    "external data": (external, "'w' is kept in another file"),
    "more declared than there": (declared, "'w' of sizes .* should have 2147483648 bytes"),
    "negative sizes": (negative, "'w'"),
    "ConstantOfShape": (expanded("ConstantOfShape", np.array([1 << 40])), "at most"),
    "Expand": (expanded("Expand", np.ones(1, np.float32), np.array([1 << 20, 1 << 20])), "at most"),
    "Tile": (expanded("Tile", np.ones(8, np.float32), np.array([1 << 40])), "at most"),
    "Range": (expanded("Range", np.int64(0), np.int64(1 << 40), np.int64(1)), "at most"),
    "Pad": (expanded("Pad", np.ones(8, np.float32), np.array([0, 1 << 40])), "at most"),
    "Expand of the input": (moved("Expand", np.array([1 << 20, 1, 1 << 12])), "at most|fit"),
    "Tile of the input": (moved("Tile", np.array([1 << 20, 1, 1 << 12])), "at most|fit"),
    "Pad of the input": (moved("Pad", np.array([0, 0, 0, 0, 0, 1 << 40])), "at most|too large|fit"),
    "Concat of the input, forty times": (doubled, r"\(Concat\): gives \d+ values .*at most"),
    "Conv with gigabytes of padding": (convolved("Conv", dilations=[1 << 30], pads=[1 << 31, 0]), "at most"),
    "ConvTranspose with gigabytes between": (convolved("ConvTranspose", dilations=[1 << 40]), "at most|frames"),
    "an output of no values": (
        lambda: model([helper.make_node("MatMul", ["x", "w"], ["y"])], [constant("w", np.ones((4, 0), np.float32))]),
        "no output depends on the frames|fit",
    ),
    "a loop without end": (endless, r"\(Loop\): runs over 4096 times"),
    "branches within branches": (nested, "deep|nodes are over"),
    "a circle": (circle, "input 'b' is nowhere"),
    "somebody's own operator": (foreign, r"'y' \(Run\): .*'com.example'"),
    "an operator of none": (lambda: model([helper.make_node("Nonsense", ["x"], ["y"])]), "Nonsense"),
    "random numbers": (
        lambda: model([helper.make_node("RandomNormalLike", ["x"], ["y"])]),
        r"\(RandomNormalLike\): gives random values",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_by_name(name: str, tmp_path: Path) -> None:
    make, message = HOSTILE[name]
    path = tmp_path / "hostile.onnx"
    path.write_bytes(make().SerializeToString())
    began = time.monotonic()
    with pytest.raises(ForeignModelError, match=message):
        import_model(path)
    assert time.monotonic() - began < SOON


def test_what_no_output_needs_is_never_run(tmp_path: Path) -> None:
    made = expanded("ConstantOfShape", np.array([1 << 40]))()
    del made.graph.node[1:]
    made.graph.node.append(helper.make_node("Relu", ["x"], ["y"]))
    path = tmp_path / "dead.onnx"
    path.write_bytes(made.SerializeToString())
    assert import_model(path).parity.largest == 0


def test_without_the_package_it_is_told_what_to_install(tmp_path: Path) -> None:
    path = tmp_path / "relu.onnx"
    onnx.save(relu(), path)
    code = (
        "import sys; sys.modules['onnx'] = None\n"
        "from ostinato.importing import import_model\n"
        "from ostinato.errors import ForeignModelError\n"
        f"try: import_model({str(path)!r})\n"
        "except ForeignModelError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "reading ONNX needs the package onnx: pip install onnx onnxruntime" in done.stdout


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    whole = model(
        [helper.make_node("MatMul", ["x", "w"], ["y"])], [constant("w", np.eye(4, 8, dtype=np.float32))]
    ).SerializeToString()
    path = tmp_path / "cut.onnx"
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(ForeignModelError):
            import_model(path)


def test_a_file_with_any_byte_changed_is_refused_or_imported(tmp_path: Path) -> None:
    whole = bytearray(relu().SerializeToString())
    path = tmp_path / "changed.onnx"
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 0x15
        path.write_bytes(changed)
        try:
            import_model(path)
        except ForeignModelError:
            continue


def test_a_value_that_an_input_always_has_is_asked_for(tmp_path: Path) -> None:
    inputs = [
        helper.make_tensor_value_info("x", FLOAT, [1, "time", 4]),
        helper.make_tensor_value_info("sr", TensorProto.INT64, []),
    ]
    branches = [
        helper.make_graph([helper.make_node(name, ["x"], ["out"])], name, [], [_out("out")])
        for name in ("Tanh", "Relu")
    ]
    nodes = [
        helper.make_node("Equal", ["sr", "rate"], ["is"]),
        helper.make_node("If", ["is"], ["y"], then_branch=branches[0], else_branch=branches[1]),
    ]
    path = tmp_path / "rate.onnx"
    onnx.save(model(nodes, [constant("rate", np.int64(16000))], inputs=inputs), path)
    with pytest.raises(ForeignModelError, match="--set sr=VALUE"):
        import_model(path)
    for rate, name in ((16000, "tanh"), (8000, "relu")):
        (node,) = import_model(path, Settings(fixed={"sr": rate})).network.specification.nodes
        assert node.layer.activation.name == name  # type: ignore[attr-defined]
    with pytest.raises(ForeignModelError, match="no input is called 'rate': they are x, sr"):
        import_model(path, Settings(fixed={"rate": 1}))
