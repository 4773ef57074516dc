"""ConvTranspose in ONNX: groups, strides, dilations and paddings, over time, a frame's positions, and both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from imported import streamed
from onnx import TensorProto, helper, numpy_helper

from ostinato.errors import ForeignModelError
from ostinato.importing import import_model

RNG = np.random.default_rng(4)
CASES: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "over time": ((3,), {"strides": [2]}),
    "over time, in groups": ((4,), {"strides": [2], "pads": [1, 1], "group": 2}),
    "over time, dilated": ((3,), {"strides": [2], "pads": [2, 2], "dilations": [2], "output_padding": [1]}),
    "over time, dilated and not strided": ((3,), {"dilations": [3], "group": 2}),
    "over time, further apart than the kernel is wide": ((2,), {"strides": [3]}),
    "over time, further apart, and padded": ((2,), {"strides": [4], "output_padding": [2], "pads": [1, 0]}),
    "over positions": ((1, 3), {"strides": [1, 2], "pads": [0, 1, 0, 1]}),
    "over positions, in groups": ((1, 4), {"strides": [1, 3], "group": 2, "output_padding": [0, 1]}),
    "over positions, dilated": ((1, 3), {"strides": [1, 2], "dilations": [1, 2]}),
    "over both": ((4, 4), {"strides": [2, 2], "pads": [1, 1, 1, 1]}),
    "over both, in groups": ((3, 2), {"strides": [3, 1], "group": 2, "pads": [0, 1, 1, 0]}),
    "over both, dilated": ((2, 3), {"strides": [2, 3], "dilations": [2, 2], "output_padding": [1, 1]}),
    "over time alone, of positions": ((2, 1), {"strides": [2, 1]}),
}  # fmt: skip


def saved(path: Path, kernel: tuple[int, ...], attributes: dict[str, Any], turned: bool, bias: bool = True) -> Path:
    """Frames of 4 channels, at 5 positions if the kernel has two axes; ``turned``: time behind these."""
    rank = len(kernel)
    if turned:
        kernel = kernel[::-1]
        attributes = {
            name: value if name == "group" else [*value[:rank][::-1], *value[rank:][::-1]]
            for name, value in attributes.items()
        }
    W = RNG.normal(0, 0.5, (4, 6 // attributes.get("group", 1), *kernel)).astype(np.float32)
    b = RNG.normal(size=6).astype(np.float32)
    order = {(1, False): [0, 2, 1], (2, False): [0, 2, 1, 3], (2, True): [0, 2, 3, 1]}[rank, turned]
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=order),
        helper.make_node("ConvTranspose", ["t", "W", "b"][: 2 + bias], ["u"], **attributes),
        helper.make_node("Transpose", ["u"], ["y"], perm=np.argsort(order).tolist()),
    ]
    sizes = [1, "time", 4] if rank == 1 else [1, "time", 4, 5]
    inputs, outputs = (helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (("x", sizes), ("y", None)))
    graph = helper.make_graph(
        nodes, "up", [inputs], [outputs], [numpy_helper.from_array(W, "W"), numpy_helper.from_array(b, "b")]
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


@pytest.mark.parametrize(
    ("case", "turned"),
    [(case, turned) for case, (kernel, _) in CASES.items() for turned in (False, True)[: len(kernel)]],
)
def test_what_streams_is_what_the_file_gives(case: str, turned: bool, tmp_path: Path) -> None:
    kernel, attributes = CASES[case]
    path = saved(tmp_path / "up.onnx", kernel, attributes, turned, bias=not turned)
    imported = import_model(path)
    assert imported.parity.largest < 1e-5
    frames = RNG.normal(size=(11, 4 if len(kernel) == 1 else 20)).astype(np.float32)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    theirs = session.run(None, {"x": frames.reshape(1, 11, *((4,) if len(kernel) == 1 else (4, 5)))})[0][0]
    np.testing.assert_allclose(streamed(imported.network, frames), theirs.reshape(len(theirs), -1), atol=1e-5)


def test_padding_that_is_to_be_found_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "up.onnx", (3,), {"strides": [2], "auto_pad": "SAME_UPPER"}, False)
    with pytest.raises(ForeignModelError, match=r"ConvTranspose.* leaves its padding to be found"):
        import_model(path)


def test_positions_that_would_make_a_huge_matrix_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "up.onnx", (3, 1 << 15), {"strides": [2, 1 << 15]}, False)
    with pytest.raises(ForeignModelError, match=r"ConvTranspose"):
        import_model(path)
