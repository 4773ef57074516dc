"""Networks of recurrent layers in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.model import Network
from ostinato.model.activation import Activation
from ostinato.model.layers import Gru, Lstm, Recurrent, Rnn
from ostinato.model.specification import Specification

_ACTIVATIONS = {
    "identity": "Affine", "relu": "Relu", "tanh": "Tanh", "sigmoid": "Sigmoid", "affine": "Affine",
    "leaky-relu": "LeakyRelu", "thresholded-relu": "ThresholdedRelu", "scaled-tanh": "ScaledTanh",
    "hard-sigmoid": "HardSigmoid", "elu": "Elu", "softsign": "Softsign", "softplus": "Softplus",
}  # fmt: skip
_OPSET, _IR_VERSION = 17, 8

Weights = Mapping[str, npt.NDArray[np.float32]]


def caller(network: Network, frames: npt.NDArray[np.float32], threads: int = 1) -> Callable[[], Any] | None:
    """Runs the network's layers over ``frames`` [T, B, input] from zero states, which it is given and returns, as a
    stream would; a call returns the last layer's outputs [T, B, output]. None if onnx or onnxruntime is not
    installed."""
    model = build(network.specification, network.weights, frames.shape[0], frames.shape[1])
    return None if model is None else session_of(model, frames, threads)


def bound_caller(network: Network, frames: npt.NDArray[np.float32], threads: int = 1) -> Callable[[], Any] | None:
    """`caller` whose inputs and outputs are bound once to memory: its cheapest call, as `bind` is ours."""
    model = build(network.specification, network.weights, frames.shape[0], frames.shape[1])
    session = None if model is None else new_session(model, threads)
    if session is None:
        return None
    binding, buffers = session.io_binding(), []
    for bind, arguments in ((binding.bind_input, session.get_inputs()), (binding.bind_output, session.get_outputs())):
        for each in arguments:
            buffers.append(frames if each.name == "x" else np.zeros(each.shape, np.float32))
            bind(each.name, "cpu", 0, np.float32, each.shape, buffers[-1].ctypes.data)

    def call() -> Any:
        session.run_with_iobinding(binding)
        return buffers[-1]  # y, the last output

    return call


def session_of(model: bytes, frames: npt.NDArray[np.float32], threads: int) -> Callable[[], Any] | None:
    """`caller` of a model as `build` makes it."""
    session = new_session(model, threads)
    if session is None:
        return None
    feed = {i.name: np.zeros(i.shape, np.float32) for i in session.get_inputs()} | {"x": frames}
    return lambda: session.run(None, feed)[-1]


def new_session(model: bytes, threads: int) -> Any | None:
    """A session on the processor. None if onnxruntime is not installed."""
    try:
        import onnxruntime
    except ImportError:
        return None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def build(specification: Specification, weights: Weights, steps: int, batch: int) -> bytes | None:
    """The recurrent layers as an ONNX model: input "x" [steps, batch, input] and each layer's states; outputs each
    layer's states, and last "y" [steps, batch, output]. None if onnx is not installed."""
    try:
        from onnx import TensorProto, helper, numpy_helper
    except ImportError:
        return None
    nodes, constants, inputs, outputs = [], [], [], []
    below = "x"
    size = specification.front_end.frame_size
    inputs.append(helper.make_tensor_value_info("x", TensorProto.FLOAT, [steps, batch, size]))
    for index, node in enumerate(specification.nodes):
        layer = node.layer
        if not isinstance(layer, Rnn | Gru | Lstm):
            raise ValueError(f"node {node.name!r} is a {layer.kind}: only recurrent layers are compared")
        ways = layer.directions

        def constant(name: str, array: npt.NDArray[Any]) -> str:
            constants.append(numpy_helper.from_array(array, name))
            return name

        def stacked(*parts: str, name: str = node.name, ways: tuple[str, ...] = ways) -> npt.NDArray[np.float32]:
            return np.stack([np.concatenate([weights[f"{name}.{way}.{part}"] for part in parts]) for way in ways])

        operands = [
            below,
            constant(f"W{index}", stacked("W")),
            constant(f"R{index}", stacked("R")),
            constant(f"B{index}", stacked("Wb", "Rb")),
            "",
        ]
        results = [f"raw{index}"]
        for state in "hc" if isinstance(layer, Lstm) else "h":
            shape = [len(ways), batch, layer.hidden]
            inputs.append(helper.make_tensor_value_info(f"{state}{index}", TensorProto.FLOAT, shape))
            outputs.append(helper.make_tensor_value_info(f"next_{state}{index}", TensorProto.FLOAT, shape))
            operands.append(f"{state}{index}")
            results.append(f"next_{state}{index}")
        if isinstance(layer, Lstm) and layer.peepholes:
            operands.append(constant(f"P{index}", stacked("P")))
        nodes.append(helper.make_node(type(layer).__name__.upper(), operands, results, **_attributes(layer)))
        above = "y" if index + 1 == len(specification.nodes) else f"x{index + 1}"
        size = len(ways) * layer.hidden
        if len(ways) == 1:
            axes = constant(f"axes{index}", np.array([1], np.int64))
            nodes.append(helper.make_node("Squeeze", [f"raw{index}", axes], [above]))
        else:
            nodes.append(helper.make_node("Transpose", [f"raw{index}"], [f"wide{index}"], perm=[0, 2, 1, 3]))
            shape_name = constant(f"shape{index}", np.array([steps, batch, size], np.int64))
            nodes.append(helper.make_node("Reshape", [f"wide{index}", shape_name], [above]))
        below = above
    outputs.append(helper.make_tensor_value_info("y", TensorProto.FLOAT, [steps, batch, size]))
    return model_of(nodes, inputs, outputs, constants)


def model_of(nodes: Sequence[Any], inputs: Sequence[Any], outputs: Sequence[Any], constants: Sequence[Any]) -> bytes:
    """A graph of onnx's nodes, values and initializers, as `new_session` takes it."""
    from onnx import helper

    model = helper.make_model(
        helper.make_graph(nodes, "layers", inputs, outputs, constants),
        opset_imports=[helper.make_opsetid("", _OPSET)],
        ir_version=_IR_VERSION,
    )
    serialised: bytes = model.SerializeToString()
    return serialised


def _attributes(layer: Recurrent) -> dict[str, Any]:
    found: dict[str, Any] = {
        "hidden_size": layer.hidden,
        "direction": "reverse" if layer.direction == "backward" else layer.direction,
    }
    if isinstance(layer, Gru):
        found["linear_before_reset"] = int(layer.reset == "after")
    if isinstance(layer, Rnn) and layer.activation != Activation("tanh"):
        count = len(layer.directions)
        found["activations"] = [_ACTIVATIONS[layer.activation.name]] * count
        if layer.activation.alpha is not None:
            found["activation_alpha"] = [layer.activation.alpha] * count
        if layer.activation.beta is not None:
            found["activation_beta"] = [layer.activation.beta] * count
    return found
