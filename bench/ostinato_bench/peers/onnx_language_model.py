"""A language model of embeddings, GRUs and a dense layer in ONNX Runtime, called a token at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.model import Network
from ostinato.model.layers import Gru
from ostinato_bench.peers import onnx_runtime

Floats = npt.NDArray[np.float32]
Int64 = npt.NDArray[np.int64]


class OnnxSteps:
    """Texts that a session goes on with, a row each. Inputs and outputs are memory that is bound once, two sets of
    it: the states that come out of one go into the other. The logits are the same array each time."""

    def __init__(self, session: Any, batch: int) -> None:
        self._session = session
        self._tokens = np.zeros(batch, np.int64)
        self._logits = np.empty((batch, session.get_outputs()[-1].shape[1]), np.float32)
        sizes = [(1, batch, each.shape[2]) for each in session.get_inputs()[1:]]
        self._states = [[np.zeros(size, np.float32) for size in sizes] for _ in range(2)]
        self._bindings = [self._bind(*self._states), self._bind(*self._states[::-1])]
        self._turn = 0

    def _bind(self, given: list[Floats], made: list[Floats]) -> Any:
        binding = self._session.io_binding()
        inputs: list[npt.NDArray[Any]] = [self._tokens, *given]
        for argument, array in zip(self._session.get_inputs(), inputs, strict=True):
            binding.bind_input(argument.name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)
        for argument, array in zip(self._session.get_outputs(), [*made, self._logits], strict=True):
            binding.bind_output(argument.name, "cpu", 0, np.float32, array.shape, array.ctypes.data)
        return binding

    def begin(self) -> None:
        """All texts are new."""
        for states in self._states:
            for state in states:
                state[...] = 0

    def step(self, tokens: Int64) -> Floats:
        """The logits [batch, vocabulary] behind one more token of each."""
        self._tokens[...] = tokens
        self._session.run_with_iobinding(self._bindings[self._turn])
        self._turn = 1 - self._turn
        return self._logits

    def choose(self, rows: Int64) -> None:
        """Text i goes on from the states of text rows[i]."""
        for state in self._states[self._turn]:
            state[...] = state[:, rows]


def steps(network: Network, threads: int = 1) -> Callable[[int], OnnxSteps] | None:
    """A function that makes so many texts go on together; all share a session. None if onnx or onnxruntime is not
    installed."""
    try:
        model = _build(network)
    except ImportError:
        return None
    session = onnx_runtime.new_session(model, threads)
    return None if session is None else lambda batch: OnnxSteps(session, batch)


def _build(network: Network) -> bytes:
    """Inputs "tokens" [batch] and each layer's states [1, batch, hidden]; outputs the states, and "logits"."""
    from onnx import TensorProto, helper, numpy_helper

    embedding, *layers, dense = network.specification.nodes
    constants, nodes, outputs = [], [], []
    inputs = [helper.make_tensor_value_info("tokens", TensorProto.INT64, ["batch"])]

    def constant(name: str, array: Any) -> str:
        constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def weight(*names: str) -> Floats:
        return np.concatenate([network.weights[name] for name in names])

    first, second = constant("first", np.array([0], np.int64)), constant("second", np.array([1], np.int64))
    nodes.append(helper.make_node("Gather", [constant("E", weight(f"{embedding.name}.E")), "tokens"], ["rows"]))
    nodes.append(helper.make_node("Unsqueeze", ["rows", first], ["x0"]))
    for index, node in enumerate(layers):
        layer, own = node.layer, f"{node.name}.forward"
        assert isinstance(layer, Gru)
        operands = [
            f"x{index}",
            constant(f"W{index}", weight(f"{own}.W")[None]),
            constant(f"R{index}", weight(f"{own}.R")[None]),
            constant(f"B{index}", weight(f"{own}.Wb", f"{own}.Rb")[None]),
            "",
            f"h{index}",
        ]
        reset = int(layer.reset == "after")
        results = [f"all{index}", f"next{index}"]
        nodes.append(helper.make_node("GRU", operands, results, hidden_size=layer.hidden, linear_before_reset=reset))
        nodes.append(helper.make_node("Squeeze", [f"all{index}", second], [f"x{index + 1}"]))
        shape: list[str | int | None] = [1, "batch", layer.hidden]
        inputs.append(helper.make_tensor_value_info(f"h{index}", TensorProto.FLOAT, shape))
        outputs.append(helper.make_tensor_value_info(f"next{index}", TensorProto.FLOAT, shape))
    W, b = constant("W", weight(f"{dense.name}.W")), constant("b", weight(f"{dense.name}.b"))
    nodes.append(helper.make_node("Squeeze", [f"x{len(layers)}", first], ["last"]))
    nodes.append(helper.make_node("Gemm", ["last", W, b], ["logits"], transB=1))
    size = network.weights[f"{dense.name}.b"].shape[0]
    outputs.append(helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", size]))
    return onnx_runtime.model_of(nodes, inputs, outputs, constants)
