"""LSTM networks in ONNX Runtime's int8: com.microsoft DynamicQuantizeLSTM.

Weights have 7 bits and a scale per output; ONNX Runtime quantizes inputs and hidden states itself as they come. With
8 bits its 16-bit sums would saturate on processors without VNNI (outputs 15 % off), and it advises 7 there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.model import Network
from ostinato.model.layers import Lstm
from ostinato_bench.peers import onnx_runtime

_LARGEST = 63  # 7 bits and a sign would be 127


def caller(network: Network, frames: npt.NDArray[np.float32], threads: int = 1) -> Callable[[], Any] | None:
    """As `onnx_runtime.caller`; None also if there are layers other than LSTMs, which the operator is only for."""
    if not all(isinstance(node.layer, Lstm) for node in network.specification.nodes):
        return None
    model = onnx_runtime.build(network.specification, network.weights, frames.shape[0], frames.shape[1])
    return None if model is None else onnx_runtime.session_of(quantized(model), frames, threads)


def quantized(model: bytes) -> bytes:
    """A model of LSTMs as `onnx_runtime.build` makes it, with DynamicQuantizeLSTM in their place."""
    import onnx
    from onnx import helper, numpy_helper

    made = onnx.load_from_string(model)
    graph = made.graph
    constants = {constant.name: constant for constant in graph.initializer}
    for node in [node for node in graph.node if node.op_type == "LSTM"]:
        operands = [*node.input, *[""] * (8 - len(node.input))]
        for name in operands[1:3]:
            whole = constants[name]
            weights, scales = _per_output(numpy_helper.to_array(whole))
            whole.CopyFrom(numpy_helper.from_array(weights, name))
            graph.initializer.append(numpy_helper.from_array(scales, f"{name}_scale"))
            graph.initializer.append(numpy_helper.from_array(np.zeros(scales.shape, np.int8), f"{name}_zero"))
            operands += [f"{name}_scale", f"{name}_zero"]
        node.op_type, node.domain = "DynamicQuantizeLSTM", "com.microsoft"
        node.ClearField("input")
        node.input.extend(operands)
    made.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    serialised: bytes = made.SerializeToString()
    return serialised


def _per_output(weights: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """Weights [directions, outputs, inputs] as int8 [directions, inputs, outputs]; scales [directions, outputs]."""
    scales = np.maximum(np.abs(weights).max(2), 1e-12) / _LARGEST
    turned = np.rint(weights / scales[:, :, None]).transpose(0, 2, 1)
    return np.ascontiguousarray(turned, np.int8), scales.astype(np.float32)
