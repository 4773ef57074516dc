"""Graphs with several inputs: which of them are frames, side by side, which are states, and which are refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from imported import streamed
from onnx import TensorProto, helper, numpy_helper

from ostinato.errors import ForeignModelError
from ostinato.importing import Imported, Settings, import_model

RNG = np.random.default_rng(8)
Sizes = Sequence[int | str]


def normal(*shape: int) -> Any:
    return (0.5 * RNG.normal(size=shape)).astype(np.float32)


CONSTANTS = {"W": normal(1, 18, 9), "R": normal(1, 18, 6), "V": normal(6, 2), "one": np.array([1])}
GRU = {"hidden_size": 6, "linear_before_reset": 1}


def save(
    path: Path, nodes: Sequence[Any], inputs: Mapping[str, Sizes], outputs: Mapping[str, Sizes], **types: int
) -> Path:
    def told(names: Mapping[str, Sizes]) -> list[Any]:
        return [
            helper.make_tensor_value_info(name, types.get(name, TensorProto.FLOAT), sizes)
            for name, sizes in names.items()
        ]

    constants = [numpy_helper.from_array(array, name) for name, array in CONSTANTS.items()]
    made = [helper.make_node(kind, *[each.split() for each in ends], **more) for kind, *ends, more in nodes]
    for node in made:
        node.input[:] = ["" if name == "-" else name for name in node.input]
    graph = helper.make_graph(made, "inputs", told(inputs), told(outputs), constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


SEQUENCE = [
    ("Tanh", "b", "t", {}),
    ("Concat", "a t", "x", {"axis": 2}),
    ("GRU", "x W R - - s", "y h", GRU),
    ("Squeeze", "y one", "z", {}),
    ("MatMul", "z V", "out", {}),
]
WITHOUT_STATE = [*SEQUENCE[:2], ("GRU", "x W R", "y h", GRU), *SEQUENCE[3:]]


def told(imported: Imported, subject: str) -> list[str]:
    return [decision.text for decision in imported.decisions if decision.subject == subject]


def runs(path: Path, given: Mapping[str, Any]) -> Any:
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, given)


@pytest.mark.parametrize("time", ["time", None])
def test_frames_of_two_inputs_are_side_by_side(time: str | None, tmp_path: Path) -> None:
    """Their time has the same name, or stands at the same axis."""
    inputs: dict[str, Any] = {"a": [time, 1, 5], "b": [time, 1, 4]}
    path = save(tmp_path / "two.onnx", WITHOUT_STATE, inputs, {"out": [time, 1, 2]})
    imported = import_model(path)
    assert imported.parity.largest < 1e-6 and imported.parity.frames > 300
    assert told(imported, "inputs") == ["side by side in each frame: 'a' values 0 to 4, 'b' values 5 to 8"]
    assert told(imported, "time axis") == ["axis 0 of input 'a' and axis 0 of input 'b'"]
    frames = RNG.normal(size=(40, 9)).astype(np.float32)
    theirs = runs(path, {"a": frames[:, None, :5], "b": frames[:, None, 5:]})[0][:, 0]
    assert np.abs(streamed(imported.network, frames) - theirs).max() < 1e-6


def test_time_may_be_another_axis_of_each(tmp_path: Path) -> None:
    nodes = [("Transpose", "c", "b", {"perm": [1, 0, 2]}), *WITHOUT_STATE]
    inputs: dict[str, Any] = {"a": ["frames", 1, 5], "c": [1, "frames", 4]}
    path = save(tmp_path / "axes.onnx", nodes, inputs, {"out": ["frames", 1, 2]})
    imported = import_model(path)
    assert told(imported, "time axis") == ["axis 0 of input 'a' and axis 1 of input 'c'"]
    frames = RNG.normal(size=(17, 9)).astype(np.float32)
    theirs = runs(path, {"a": frames[:, None, :5], "c": frames[None, :, 5:]})[0][:, 0]
    assert np.abs(streamed(imported.network, frames) - theirs).max() < 1e-6


def test_states_beside_two_inputs_go_on(tmp_path: Path) -> None:
    for time in ("time", 1):  # a whole sequence a run; one frame
        inputs: dict[str, Any] = {"a": [time, 1, 5], "b": [time, 1, 4], "s": [1, 1, 6]}
        outputs: dict[str, Any] = {"out": [time, 1, 2], "h": [1, 1, 6]}
        path = save(tmp_path / f"{time}.onnx", SEQUENCE, inputs, outputs)
        imported = import_model(path)
        assert imported.parity.largest < 1e-6
        assert told(imported, "state") == ["input 's' begins from zeros, goes on as output 'h'"]
        frames = RNG.normal(size=(12, 9)).astype(np.float32)
        state, theirs = np.zeros((1, 1, 6), np.float32), []
        for frame in frames:
            out, state = runs(path, {"a": frame[None, None, :5], "b": frame[None, None, 5:], "s": state})
            theirs.append(out[0, 0])
        assert np.abs(streamed(imported.network, frames) - theirs).max() < 1e-6


def test_a_window_of_two_inputs(tmp_path: Path) -> None:
    nodes = [*SEQUENCE[:2], ("GRU", "x W R", "y h", GRU), ("Squeeze", "h one", "z", {}), ("MatMul", "z V", "out", {})]
    path = save(tmp_path / "window.onnx", nodes, {"a": [8, 1, 5], "b": [8, 1, 4]}, {"out": [1, 2]})
    imported = import_model(path, Settings(more={"hop": 3}))
    assert imported.parity.largest < 1e-6
    frames = RNG.normal(size=(23, 9)).astype(np.float32)
    theirs = [
        runs(path, {"a": frames[at : at + 8, None, :5], "b": frames[at : at + 8, None, 5:]})[0][0]
        for at in range(0, 16, 3)
    ]
    assert np.abs(streamed(imported.network, frames) - theirs).max() < 1e-6


def test_tokens_beside_frames_are_refused(tmp_path: Path) -> None:
    nodes = [("Gather", "table ids", "e", {"axis": 0}), ("Concat", "a e", "x", {"axis": 2}), *WITHOUT_STATE[2:]]
    CONSTANTS["table"] = normal(11, 4)
    inputs: dict[str, Any] = {"ids": ["time", 1], "a": ["time", 1, 5]}
    path = save(tmp_path / "both.onnx", nodes, inputs, {"out": ["time", 1, 2]}, ids=TensorProto.INT64)
    with pytest.raises(
        ForeignModelError, match=r"'ids' holds token ids, and 'a' frames beside them: a stream has one"
    ):
        import_model(path)


def test_what_has_no_time_is_named_and_may_be_fixed(tmp_path: Path) -> None:
    """A speaker's vector, which is the same for all frames."""
    nodes = [("Add", "a speaker", "m", {}), ("Concat", "m b", "x", {"axis": 2}), *WITHOUT_STATE[2:]]
    inputs: dict[str, Any] = {"a": ["time", 1, 5], "b": ["time", 1, 4], "speaker": [1, 5]}
    path = save(tmp_path / "speaker.onnx", nodes, inputs, {"out": ["time", 1, 2]})
    with pytest.raises(ForeignModelError, match=r"input .speaker. has no axis of time, .*--set speaker=VALUE"):
        import_model(path)
    speaker = normal(1, 5)
    imported = import_model(path, Settings(fixed={"speaker": speaker.tolist()}))
    frames = RNG.normal(size=(9, 9)).astype(np.float32)
    theirs = runs(path, {"a": frames[:, None, :5], "b": frames[:, None, 5:], "speaker": speaker})[0][:, 0]
    assert np.abs(streamed(imported.network, frames) - theirs).max() < 1e-6
