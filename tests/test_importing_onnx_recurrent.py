"""RNN, GRU and LSTM of ONNX's own backend suite, through the importer and the kernels."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from onnx.backend.test.case import node as suite

from ostinato.importing import import_model
from ostinato.streaming import Model

for operator in ("rnn", "gru", "lstm"):
    importlib.import_module(f"{suite.__name__}.{operator}")  # which appends them to the list below
CASES = [
    pytest.param(case, id=case.name)
    for case in suite._NodeTestCases
    if case.model.graph.node[0].op_type in ("RNN", "GRU", "LSTM")
]


def alone(case: Any, number: int) -> tuple[onnx.ModelProto, Any, Any, Any]:
    """A sequence of a case's batch: the graph with open time and all else constant, giving Y; its input [time, size];
    and what Y [time, directions, size] and Y_h [directions, size] must be, or None."""
    node = onnx.NodeProto()
    node.CopyFrom(case.model.graph.node[0])
    inputs, outputs = case.data_sets[0]
    batch_first = layout(case) == 1
    batch = 0 if batch_first else 1
    given = dict(zip([name for name in node.input if name], inputs, strict=True))
    made = dict(zip([name for name in node.output if name], outputs, strict=True))
    X = np.take(given.pop(node.input[0]), [number], batch)
    for place, name in enumerate(node.input):
        if name in given and place in (5, 6):  # initial_h, initial_c
            given[name] = np.take(given[name], [number], batch)
        if name in given and place == 4:  # sequence_lens: of an open time it is whatever comes
            assert given.pop(name)[number] == X.shape[1 - batch]
            node.input[place] = ""
    Y = made.get(node.output[0]) if node.output[0] else None
    Y_h = made.get(node.output[1]) if len(node.output) > 1 else None
    node.output[:] = ["Y"]
    sizes: list[Any] = list(X.shape)
    sizes[1 - batch] = "time"
    graph = helper.make_graph(
        [node],
        "case",
        [helper.make_tensor_value_info(node.input[0], onnx.TensorProto.FLOAT, sizes)],
        [helper.make_tensor_value_info("Y", onnx.TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in given.items()],
    )
    model = helper.make_model(graph, opset_imports=case.model.opset_import)
    model.ir_version = case.model.ir_version
    if Y is not None:
        Y = Y[number] if batch_first else Y[:, :, number]
    if Y_h is not None:
        Y_h = Y_h[number] if batch_first else Y_h[:, number]
    return model, X.reshape(-1, X.shape[-1]), Y, Y_h


def layout(case: Any) -> int:
    return next((each.i for each in case.model.graph.node[0].attribute if each.name == "layout"), 0)


def test_the_suite_has_such_cases() -> None:
    assert len(CASES) >= 12


@pytest.mark.parametrize("case", CASES)
def test_a_case_of_onnx_comes_out_of_a_stream(case: Any, tmp_path: Path) -> None:
    for number in range(case.data_sets[0][0][0].shape[1 - layout(case)]):
        model, X, Y, Y_h = alone(case, number)
        assert Y is not None or Y_h is not None
        path, recorded = tmp_path / f"{number}.onnx", tmp_path / f"{number}.npz"
        onnx.save(model, path)
        if layout(case) and Y is not None:  # ONNX Runtime has none but 0
            np.savez(recorded, inputs=X, outputs=Y.reshape(len(X), -1))
        imported = import_model(path, expect=recorded if recorded.exists() else None)
        assert imported.parity.largest < 1e-5
        stream = Model(imported.network).stream()
        events = [*stream.push(X), *stream.flush()]
        stream.close()
        layer: Any = imported.network.specification.nodes[0].layer
        found = np.array([event.values for event in events]).reshape(len(X), len(layer.directions), -1)
        if Y is not None:
            np.testing.assert_allclose(found, Y, atol=1e-5)
        if Y_h is not None:
            ends = [0 if way == "backward" else -1 for way in layer.directions]
            np.testing.assert_allclose([found[end, d] for d, end in enumerate(ends)], Y_h, atol=1e-5)
