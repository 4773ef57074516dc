"""int8 operators in float32: integers become what they stand for, and rounding is left out.

A tensor that is quantized as it comes stays what it was, with scale 1 and zero point 0, so that whatever multiplies
the scales later multiplies by 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ostinato.importing.onnx.call import Call, Convert
from ostinato.importing.onnx.elements import Array, Tensor, Traced
from ostinato.importing.onnx.operators.recurrent import LSTM, Weights, recurrent


def _noted(call: Call) -> None:
    call.notes.setdefault("int8", []).append(call.name)


def _dynamic(call: Call) -> Sequence[Tensor]:
    _noted(call)
    return [call.input(0), np.float32(1), np.uint8(0)]  # type: ignore[list-item]


def _quantize(call: Call) -> Sequence[Tensor]:
    _noted(call)
    return [call.input(0)]


def _restored(call: Call, number: int, zero: int) -> Array:
    """Constant integers less their zero point, one for all or one for each column."""
    whole = call.constant(number, "its matrix").astype(np.float64)
    return (
        whole if call.optional(zero) is None else whole - np.asarray(call.constant(zero, "a zero point"), np.float64)
    )


def _matmul(call: Call) -> Sequence[Tensor]:
    """Integers times integers."""
    _noted(call)
    return [Traced(call.affine(call.traced(0), _restored(call, 1, 3).T))]


def _matmul_to_float(call: Call) -> Sequence[Tensor]:
    """A, B, a_scale, b_scale, a_zero, b_zero, bias: of a float32 A where it was quantized as it came."""
    _noted(call)
    scale = call.constant(2, "a scale") * np.asarray(call.constant(3, "a scale"), np.float64)
    bias = None if call.optional(6) is None else call.constant(6, "its bias")
    return [Traced(call.affine(call.traced(0), (_restored(call, 1, 5) * scale).T, bias))]


def _dynamic_matmul(call: Call) -> Sequence[Tensor]:
    """A, B, b_scale, b_zero, bias."""
    _noted(call)
    scale = np.asarray(call.constant(2, "a scale"), np.float64)
    bias = None if call.optional(4) is None else call.constant(4, "its bias")
    return [Traced(call.affine(call.traced(0), (_restored(call, 1, 3) * scale).T, bias))]


def _lstm(call: Call) -> Sequence[Tensor]:
    """W [directions, inputs, 4 hidden] and R [directions, hidden, 4 hidden] in int8, their scales and zero points
    behind the inputs that an LSTM has."""
    _noted(call)

    def matrices(number: int, scale: int) -> Array:
        whole = call.constant(number, "its weights").astype(np.float64)
        by, zero = (np.asarray(call.constant(scale + k, "a scale"), np.float64) for k in (0, 1))
        by, zero = (each.reshape(len(whole), 1, -1) for each in (by, zero))
        return np.swapaxes((whole - zero) * by, 1, 2).astype(np.float32)

    W, R = matrices(1, 8), matrices(2, 10)
    B = [None] * len(W) if call.optional(3) is None else list(call.constant(3, "B"))
    P = [None] * len(W) if call.optional(7) is None else list(call.constant(7, "P"))
    return recurrent(call, LSTM, [Weights(*each) for each in zip(W, R, B, P, strict=True)])


QUANTIZED: dict[str, Convert] = {
    "DynamicQuantizeLinear": _dynamic,
    "QuantizeLinear": _quantize,
    "DequantizeLinear": _quantize,
    "MatMulInteger": _matmul,
    "MatMulIntegerToFloat": _matmul_to_float,
    "DynamicQuantizeMatMul": _dynamic_matmul,
    "DynamicQuantizeLSTM": _lstm,
}
