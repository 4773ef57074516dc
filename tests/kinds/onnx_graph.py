"""Networks as ONNX models, written node by node: what each kind of layer is there, its file says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from ostinato.activations import parameters
from ostinato.model.activation import Activation

Floats = npt.NDArray[np.float32]

RECURRENT = {
    "identity": "Affine", "relu": "Relu", "tanh": "Tanh", "sigmoid": "Sigmoid", "affine": "Affine",
    "leaky-relu": "LeakyRelu", "thresholded-relu": "ThresholdedRelu", "scaled-tanh": "ScaledTanh",
    "hard-sigmoid": "HardSigmoid", "elu": "Elu", "softsign": "Softsign", "softplus": "Softplus",
}  # fmt: skip
"""Activation functions as attributes of ONNX's RNN, GRU and LSTM."""
ALPHA = {"Affine", "LeakyRelu", "ThresholdedRelu", "ScaledTanh", "HardSigmoid", "Elu"}
BETA = {"Affine", "ScaledTanh", "HardSigmoid"}
PLAIN = {
    "identity": "Identity", "relu": "Relu", "tanh": "Tanh", "sigmoid": "Sigmoid", "softsign": "Softsign",
    "softplus": "Softplus", "abs": "Abs", "sqrt": "Sqrt", "reciprocal": "Reciprocal", "exp": "Exp", "log": "Log",
    "erf": "Erf", "gelu": "Gelu",
}  # fmt: skip
"""Functions that are an operator without attributes."""
WITH_ALPHA = {"leaky-relu": "LeakyRelu", "thresholded-relu": "ThresholdedRelu", "elu": "Elu", "celu": "Celu"}


class OnnxGraph:
    """Collects nodes and constants. Values are float32 [T, size], or token ids, int64 [T]. ``prefix``: what names
    begin with, those of a graph within another being others."""

    def __init__(self, prefix: str = "") -> None:
        self.prefix = prefix
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, array: npt.ArrayLike) -> str:
        """Its name."""
        name = f"{self.prefix}c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Append a node; the name of what it gives."""
        name = f"{self.prefix}v{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def scan(self, body: OnnxGraph, inputs: Sequence[str], y: str) -> str:
        """Frame by frame: ``body`` makes its value ``y`` of its values x0, x1, …, a frame of each of the inputs."""
        named = [f"{body.prefix}x{number}" for number in range(len(inputs))]
        graph = helper.make_graph(
            body.nodes,
            f"{body.prefix}body",
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None]) for name in named],
            [helper.make_tensor_value_info(y, TensorProto.FLOAT, [None])],
            body.constants,
        )
        return self.add("Scan", *inputs, body=graph, num_scan_inputs=len(inputs))

    def activated(self, activation: Activation, x: str) -> str:
        """f(x), in as few nodes as ONNX has for it."""
        name = activation.name
        _, alpha, beta = parameters(name, activation.alpha, activation.beta)
        if name in PLAIN:
            return self.add(PLAIN[name], x)
        if name in WITH_ALPHA:
            return self.add(WITH_ALPHA[name], x, alpha=alpha)
        match name:
            case "affine":
                return self.add("Add", self.add("Mul", x, self.number(alpha)), self.number(beta))
            case "scaled-tanh":
                inner = self.add("Tanh", self.add("Mul", x, self.number(beta)))
                return self.add("Mul", inner, self.number(alpha))
            case "hard-sigmoid":
                return self.add("HardSigmoid", x, alpha=alpha, beta=beta)
            case "hard-swish":
                return self.add("Mul", x, self.add("HardSigmoid", x, alpha=alpha, beta=beta))
            case "clip":
                return self.add("Clip", x, self.number(alpha), self.number(beta))
            case "square":
                return self.add("Mul", x, x)
            case "silu":
                return self.add("Mul", x, self.add("Sigmoid", self.add("Mul", x, self.number(alpha))))
            case "gelu-tanh":
                return self.add("Gelu", x, approximate="tanh")
            case "selu":
                return self.add("Selu", x, alpha=alpha, gamma=beta)
        raise AssertionError(name)

    def number(self, value: float) -> str:
        """A constant of one value."""
        return self.constant(np.float32(value))

    def run(self, x: str, frames: Floats, y: str) -> Floats:
        """What ONNX Runtime makes of frames [T, size], or of token ids [T], as the value ``x``: the value ``y``."""
        element = TensorProto.INT64 if frames.ndim == 1 else TensorProto.FLOAT
        made = helper.make_graph(
            self.nodes,
            "network",
            [helper.make_tensor_value_info(x, element, frames.shape)],
            [helper.make_tensor_value_info(y, TensorProto.FLOAT, [None, None])],
            self.constants,
        )
        model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)
        onnx.checker.check_model(model)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        (outputs,) = session.run([y], {x: frames})
        return np.asarray(outputs)


def recurrent(
    to: OnnxGraph,
    layer: Any,
    weights: Mapping[str, Any],
    x: str,
    functions: Sequence[Activation],
    peepholes: bool = False,
    **attributes: Any,
) -> str | None:
    """ONNX's RNN, GRU or LSTM with the activation ``functions`` of a direction; None if it has not all of them."""
    if any(f.name not in RECURRENT for f in functions):
        return None
    ways = layer.directions

    def operand(*parts: str) -> str:
        """Weights of both directions, one behind the other."""
        own = np.stack([np.concatenate([weights[f"{way}.{part}"] for part in parts]) for way in ways])
        return to.constant(own[:, None] if "initial" in parts[0] else own)

    operands = [to.add("Unsqueeze", x, to.constant(np.array([1]))), operand("W"), operand("R"), operand("Wb", "Rb")]
    operands.append("")  # all sequences have all frames
    operands += [operand(f"initial_{state}") if layer.initial else "" for state in sorted(layer.states, reverse=True)]
    operands += [operand("P")] if peepholes else []
    attributes |= {
        "hidden_size": layer.hidden,
        "direction": "reverse" if layer.direction == "backward" else layer.direction,
        "activations": [RECURRENT[f.name] for f in functions] * len(ways),
    }
    values = [(RECURRENT[f.name], parameters(f.name, f.alpha, f.beta)) for f in functions] * len(ways)
    affine = [(name, (1.0, 0.0) if number == 0 else (alpha, beta)) for name, (number, alpha, beta) in values]
    if alphas := [alpha for name, (alpha, _) in affine if name in ALPHA]:
        attributes["activation_alpha"] = alphas
    if betas := [beta for name, (_, beta) in affine if name in BETA]:
        attributes["activation_beta"] = betas
    if layer.clip is not None:
        attributes["clip"] = layer.clip
    y = to.add(layer.kind.upper(), *operands, **attributes)
    return to.add("Reshape", y, to.constant(np.array([-1, len(ways) * layer.hidden])))
