"""RNN, GRU and LSTM with all attributes of ONNX's operators (opset 22), against ONNX Runtime."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest
from kinds import KINDS
from onnx import TensorProto, helper, numpy_helper
from test_kernels_cells import random_weights, whole

from ostinato.activations import FUNCTIONS
from ostinato.model.activation import Activation
from ostinato.model.compile import compile_network
from ostinato.model.decoders import Outputs
from ostinato.model.front_ends import Frames
from ostinato.model.layers import Gru, Lstm, Rnn
from ostinato.model.specification import Sequential

Floats = npt.NDArray[np.float32]

NAMES = {
    "relu": "Relu", "tanh": "Tanh", "sigmoid": "Sigmoid", "affine": "Affine", "leaky-relu": "LeakyRelu",
    "thresholded-relu": "ThresholdedRelu", "scaled-tanh": "ScaledTanh", "hard-sigmoid": "HardSigmoid", "elu": "Elu",
    "softsign": "Softsign", "softplus": "Softplus",
}  # fmt: skip
WITH_ALPHA = {"affine", "leaky-relu", "thresholded-relu", "scaled-tanh", "hard-sigmoid", "elu"}
WITH_BETA = {"affine", "scaled-tanh", "hard-sigmoid"}


def layers() -> Iterator[Any]:
    """What tests know of each kind that ONNX has, in all directions, and each activation in each place."""
    for kind in ("rnn", "gru", "lstm"):
        for number, example in enumerate(KINDS[kind].examples):
            if not example.inputs[0].token and getattr(example.layer, "projection", None) is None:
                for way in ("forward", "backward", "bidirectional"):
                    made = dataclasses.replace(example.layer, direction=way)  # type: ignore[call-arg]
                    yield pytest.param(made, id=f"{kind} {number} {way}")
    for name in NAMES:
        alpha = 0.1 if name == "thresholded-relu" else 0.6
        f = Activation(name, alpha if name in WITH_ALPHA else None, 0.25 if name in WITH_BETA else None)
        yield pytest.param(Gru(9, gate_activation=f, clip=0.7), id=f"gru f {name}")
        yield pytest.param(Gru(9, activation=f), id=f"gru g {name}")
        yield pytest.param(Lstm(9, gate_activation=f, clip=0.7), id=f"lstm f {name}")
        yield pytest.param(Lstm(9, activation=f, direction="bidirectional"), id=f"lstm g {name}")
        yield pytest.param(Lstm(9, output_activation=f, clip=0.5), id=f"lstm h {name}")


def activations_of(layer: Any) -> list[Activation]:
    if isinstance(layer, Rnn):
        return [layer.activation]
    if isinstance(layer, Gru):
        return [layer.gate_activation, layer.activation]
    return [layer.gate_activation, layer.activation, layer.output_activation]


def in_onnx_runtime(layer: Any, weights: dict[str, Floats], frames: Floats) -> Floats:
    """Outputs [T, size] of one sequence."""
    ways, constants, operands = layer.directions, [], ["x"]

    def operand(name: str, *parts: str) -> None:
        """Weights of both directions, one behind the other."""
        own = [np.concatenate([weights[f"{layer.kind}.{way}.{part}"] for part in parts]) for way in ways]
        array = np.stack(own)
        constants.append(numpy_helper.from_array(array[:, None] if "initial" in parts[0] else array, name))
        operands.append(name)

    operand("W", "W")
    operand("R", "R")
    operand("B", "Wb", "Rb")
    operands.append("")  # all sequences have all frames
    for state in sorted(layer.states, reverse=True):  # h, then c
        if layer.initial:
            operand(state, f"initial_{state}")
        else:
            operands.append("")
    if isinstance(layer, Lstm) and layer.peepholes:
        operand("P", "P")
    functions = activations_of(layer) * len(ways)
    attributes: dict[str, Any] = {
        "hidden_size": layer.hidden,
        "direction": "reverse" if layer.direction == "backward" else layer.direction,
        "activations": [NAMES[f.name] for f in functions],
    }
    for place, names in (("alpha", WITH_ALPHA), ("beta", WITH_BETA)):
        given = [(getattr(f, place), getattr(FUNCTIONS[f.name], place)) for f in functions if f.name in names]
        if given:
            attributes[f"activation_{place}"] = [default if value is None else value for value, default in given]
    if layer.clip is not None:
        attributes["clip"] = layer.clip
    if isinstance(layer, Gru):
        attributes["linear_before_reset"] = int(layer.reset == "after")
    if isinstance(layer, Lstm):
        attributes["input_forget"] = int(layer.input_forget)
    node = helper.make_node(layer.kind.upper(), operands, ["y"], **attributes)
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [len(frames), 1, frames.shape[1]])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [len(frames), len(ways), 1, layer.hidden])
    model = helper.make_model(
        helper.make_graph([node], "layer", [x], [y], constants),
        opset_imports=[helper.make_opsetid("", 22)],
        ir_version=10,
    )
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    outputs: Floats = session.run(["y"], {"x": frames[:, None]})[0]
    return outputs[:, :, 0].reshape(len(frames), -1)


@pytest.mark.parametrize("layer", list(layers()))
def test_attributes_mean_what_onnx_runtime_makes_of_them(layer: Any) -> None:
    if isinstance(layer, Rnn) and layer.activation.name == "identity":
        pytest.skip("ONNX has no such function: it is Affine's default here")
    specification = Sequential("x", Frames(7), (layer,), Outputs())
    weights = random_weights(specification, 1)
    frames = np.random.default_rng(2).standard_normal((25, 7)).astype(np.float32)
    found = whole(compile_network(specification, weights), frames)
    peer = in_onnx_runtime(layer, weights, frames)
    assert np.abs(peer).max() > 0.005, "the comparison must mean something"
    np.testing.assert_allclose(found, peer, atol=1e-5, rtol=1e-5)
