"""Convolutions over the positions of a frame in ONNX Runtime: its Conv over all of them at once."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.model import Network
from ostinato.model.layers import Convolution
from ostinato_bench.peers import onnx_runtime

Floats = npt.NDArray[np.float32]


def callers(network: Network, positions: Floats, wanted: Collection[str]) -> dict[str, Callable[[], Any]]:
    """Calls of a network of one convolution over ``positions`` [P, B, inputs], on one thread, with and without
    IOBinding; a call returns [B, outputs, P']. Nothing if onnx or onnxruntime is not installed."""
    made: dict[str, Callable[[], Any]] = {}
    x = np.ascontiguousarray(positions.transpose(1, 2, 0))
    model = build(network, x.shape)
    session = None if model is None else onnx_runtime.new_session(model, 1)
    if session is None:
        return made
    if "onnxruntime" in wanted:
        made["onnxruntime"] = lambda: session.run(None, {"x": x})[0]
    if "onnxruntime-bound" in wanted:
        binding = session.io_binding()
        y = np.zeros(session.get_outputs()[0].shape, np.float32)
        binding.bind_input("x", "cpu", 0, np.float32, x.shape, x.ctypes.data)
        binding.bind_output("y", "cpu", 0, np.float32, y.shape, y.ctypes.data)

        def call() -> Any:
            session.run_with_iobinding(binding)
            return y

        made["onnxruntime-bound"] = call
    return made


def build(network: Network, shape: tuple[int, ...]) -> bytes | None:
    """Input "x" of ``shape`` [B, inputs, P], output "y" [B, outputs, P']. None if onnx is not installed."""
    try:
        from onnx import TensorProto, helper, numpy_helper
    except ImportError:
        return None
    (node,) = network.specification.nodes
    layer = node.layer
    assert isinstance(layer, Convolution)
    (framing,) = layer.framings
    W, b = network.weights[f"{node.name}.W"], network.weights[f"{node.name}.b"]
    kernel = np.ascontiguousarray(W.reshape(layer.size, layer.taps, -1).transpose(0, 2, 1))
    conv = helper.make_node(
        "Conv", ["x", "W", "b"], ["y"], group=layer.groups, kernel_shape=[layer.taps], strides=[layer.stride],
        dilations=[layer.dilation], pads=[framing.left, framing.right],
    )  # fmt: skip
    out = shape[0], layer.size, int(framing.length(np.int64(shape[2])))
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, each) for name, each in (("x", shape), ("y", out))
    ]
    constants = [numpy_helper.from_array(kernel, "W"), numpy_helper.from_array(b, "b")]
    return onnx_runtime.model_of([conv], values[:1], values[1:], constants)
