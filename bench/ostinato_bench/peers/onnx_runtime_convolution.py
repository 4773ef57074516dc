"""Causal convolutions in ONNX Runtime, a frame at a time: Conv keeps nothing between calls, so that whoever streams
passes the last frames, its cache, by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.model import Network
from ostinato.model.layers import Convolution
from ostinato_bench.peers import onnx_runtime

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Steps:
    """A stream's steps: each ``call`` takes the frame in ``x`` [B, inputs], hands the cache on to the next call, and
    returns the outputs, B * outputs values, which the next call may overwrite."""

    x: Floats
    call: Callable[[], Any]

    def over(self, frames: Floats) -> Floats:
        """Outputs [T, B, outputs] of frames [T, B, inputs]; from zeros, if these are the first calls."""
        found = []
        for frame in frames:
            self.x[:] = frame
            found.append(np.array(self.call()).reshape(len(frame), -1))
        return np.stack(found)


def steps(network: Network, batch: int) -> Steps | None:
    """A network of one causal convolution by `InferenceSession.run`, its cache an array that goes out and in again;
    on one thread. None if onnx or onnxruntime is not installed."""
    session = _session(build(network, batch))
    if session is None:
        return None
    feed = {each.name: np.zeros(each.shape, np.float32) for each in session.get_inputs()}

    def call() -> Any:
        y, feed["cache"] = session.run(None, feed)
        return y

    return Steps(feed["x"].reshape(batch, -1), call)


def bound_steps(network: Network, batch: int) -> Steps | None:
    """`steps` whose inputs and outputs are bound once to memory, the cheapest call."""
    return _bound(_session(build(network, batch)), batch)


def bound_steps_without_conv(network: Network, batch: int) -> Steps | None:
    """`bound_steps` of the same network without Conv, which takes long for windows of one frame. None also if there
    are several groups and it is not depthwise."""
    return _bound(_session(build_without_conv(network, batch)), batch)


def _bound(session: Any | None, batch: int) -> Steps | None:
    """The new cache is written over the old one, which has been copied by then."""
    if session is None:
        return None
    binding, buffers = session.io_binding(), dict[str, Floats]()
    for bind, arguments in ((binding.bind_input, session.get_inputs()), (binding.bind_output, session.get_outputs())):
        for each in arguments:
            buffer = buffers.setdefault(each.name.removeprefix("next_"), np.zeros(each.shape, np.float32))
            bind(each.name, "cpu", 0, np.float32, each.shape, buffer.ctypes.data)

    def call() -> Any:
        session.run_with_iobinding(binding)
        return buffers["y"]

    return Steps(buffers["x"].reshape(batch, -1), call)


def build(network: Network, batch: int) -> bytes | None:
    """Inputs "x" [batch, inputs, 1] and "cache" [batch, inputs, taps - 1]; outputs "y" [batch, outputs, 1] and
    "next_cache". None if onnx is not installed."""
    layer, inputs, W, b = _convolution(network)
    kernel = W.reshape(layer.size, layer.taps, -1).transpose(0, 2, 1)
    conv = ("Conv", ["window", "W", "b"], ["y"], {"group": layer.groups, "kernel_shape": [layer.taps]})
    x, cache = [batch, inputs, 1], [batch, inputs, layer.taps - 1]
    return _windowed(x, cache, 2, [batch, layer.size, 1], [conv], {"W": kernel, "b": b})


def build_without_conv(network: Network, batch: int) -> bytes | None:
    """`build` by the product of all windows, "x" [batch, inputs] and "cache" [batch, (taps - 1) * inputs]; depthwise
    by products of values, "x" [batch, 1, inputs] and "cache" [batch, taps - 1, inputs]; "y" [batch, outputs]. None
    also for other groups."""
    layer, inputs, W, b = _convolution(network)
    kept, y = layer.taps - 1, [batch, layer.size]
    if layer.groups == 1:
        gemm: _Node = ("Gemm", ["window", "W", "b"], ["y"], {})
        return _windowed([batch, inputs], [batch, kept * inputs], 1, y, [gemm], {"W": W.T, "b": b})
    if layer.groups != inputs or layer.groups != layer.size:
        return None
    nodes: list[_Node] = [
        ("Mul", ["window", "W"], ["weighted"], {}),
        ("ReduceSum", ["weighted", "axis"], ["sum"], {"keepdims": 0}),
        ("Add", ["sum", "b"], ["y"], {}),
    ]
    return _windowed([batch, 1, inputs], [batch, kept, inputs], 1, y, nodes, {"W": W.T, "b": b})


_Node = tuple[str, list[str], list[str], dict[str, Any]]
"""Operator, inputs, outputs and attributes."""


def _windowed(
    x: list[int], cache: list[int], axis: int, y: list[int], nodes: list[_Node], weights: dict[str, Floats]
) -> bytes | None:
    """``nodes`` that make "y" of "window", the cache and behind it x along ``axis``; of these shapes."""
    try:
        from onnx import TensorProto, helper, numpy_helper
    except ImportError:
        return None
    frame = x[axis]
    constants = {name: np.ascontiguousarray(array) for name, array in weights.items()} | {
        "from": np.array([frame], np.int64), "to": np.array([frame + cache[axis]], np.int64),
        "axis": np.array([axis], np.int64),
    }  # fmt: skip
    made = [
        helper.make_node("Concat", ["cache", "x"], ["window"], axis=axis),
        *(helper.make_node(kind, inputs, outputs, **attributes) for kind, inputs, outputs, attributes in nodes),
        helper.make_node("Slice", ["window", "from", "to", "axis"], ["next_cache"]),
    ]
    shapes = {"x": x, "cache": cache, "y": y, "next_cache": cache}
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]
    initial = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    return onnx_runtime.model_of(made, values[:2], values[2:], initial)


def _convolution(network: Network) -> tuple[Convolution, int, Floats, Floats]:
    """The network's only layer, its inputs, W and b."""
    (node,) = network.specification.nodes
    layer = node.layer
    if not isinstance(layer, Convolution) or layer.dilation != 1 or not all(each.causal for each in layer.framings):
        raise ValueError(f"node {node.name!r} is not a causal convolution without dilation: only those are compared")
    W, b = network.weights[f"{node.name}.W"], network.weights[f"{node.name}.b"]
    return layer, network.specification.front_end.frame_size, W, b


def _session(model: bytes | None) -> Any | None:
    return None if model is None else onnx_runtime.new_session(model, 1)
