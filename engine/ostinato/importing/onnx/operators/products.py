"""Products with constant matrices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ostinato.importing.onnx.call import Call, Convert
from ostinato.importing.onnx.elements import Array, Ids, Tensor, Traced
from ostinato.importing.onnx.operators.elementwise import add, scaled
from ostinato.importing.onnx.rows import frames_in


def _product(call: Call, left: Tensor, right: Tensor) -> Ids:
    """NumPy's matmul, one side of which is constant."""
    if isinstance(left, Traced) and isinstance(right, Traced):
        if len(frames_in(left.ids)) > 1 or len(frames_in(right.ids)) > 1:
            raise call.mixes_frames()
        raise call.refuse("multiplies two values that are both computed, as attention does: not supported")
    if isinstance(left, Traced):
        W = np.asarray(right, np.float64)
        if W.ndim > 2 and (np.prod(W.shape[:-2]) == 1):
            ids = call.affine(left.ids, W.reshape(W.shape[-2:]).T)
            return ids.reshape((1,) * (W.ndim - ids.ndim) + ids.shape) if W.ndim > ids.ndim else ids
        if W.ndim <= 2:
            made = call.affine(left.ids, np.atleast_2d(W.T) if W.ndim == 2 else W[None])
            return made if W.ndim == 2 else made[..., 0]
        return _stacked(call, left.ids, W)
    assert isinstance(right, Traced)
    W = np.asarray(left, np.float64)
    if right.ids.ndim == 1:
        made = call.affine(right.ids, np.atleast_2d(W))
        return made if W.ndim > 1 else made[..., 0]
    turned = np.swapaxes(right.ids, -1, -2)
    if W.ndim == 1:
        return call.affine(turned, W[None])[..., 0]
    if W.ndim > 2:
        return np.swapaxes(_stacked(call, turned, np.swapaxes(W, -1, -2)), -1, -2)
    return np.swapaxes(call.affine(turned, W), -1, -2)


def _stacked(call: Call, ids: Ids, W: Array) -> Ids:
    """[..., rows, K] times a matrix [K, M] of its own for each of the leading axes."""
    lead = np.broadcast_shapes(ids.shape[:-2], W.shape[:-2])
    ids, W = np.broadcast_to(ids, (*lead, *ids.shape[-2:])), np.broadcast_to(W, (*lead, *W.shape[-2:]))
    out = np.empty((*lead, ids.shape[-2], W.shape[-1]), np.int64)
    for place in np.ndindex(*lead):
        out[place] = call.affine(ids[place], W[place].T)
    return out


def _matmul(call: Call) -> Sequence[Tensor]:
    return [Traced(_product(call, call.input(0), call.input(1)))]


def _gemm(call: Call) -> Sequence[Tensor]:
    """Alpha A B + beta C, either transposed."""
    A, B = call.input(0), call.input(1)
    if call.attributes.get("transA"):
        A = Traced(A.ids.T) if isinstance(A, Traced) else A.T
    if call.attributes.get("transB"):
        B = Traced(B.ids.T) if isinstance(B, Traced) else B.T
    alpha, beta = float(call.attributes.get("alpha", 1.0)), float(call.attributes.get("beta", 1.0))
    C = call.optional(2)
    if isinstance(A, Traced) and not isinstance(B, Traced) and not isinstance(C, Traced):
        bias = None if C is None else beta * np.asarray(C, np.float64)
        if bias is None or bias.ndim < 2 or bias.shape[0] == 1:
            full = None if bias is None else np.broadcast_to(bias.reshape(-1), B.shape[1])
            return [Traced(call.affine(A.ids, alpha * np.asarray(B, np.float64).T, full))]
    made = _product(call, A, B)
    if alpha != 1.0:
        made = scaled(call, made, np.full(made.shape, alpha), np.zeros(made.shape))
    if C is not None:
        ids = np.broadcast_to(call.traced(2), made.shape).copy()
        if beta != 1.0:
            ids = scaled(call, ids, np.full(ids.shape, beta), np.zeros(ids.shape))
        made = add(call, made, ids)
    return [Traced(made)]


PRODUCTS: dict[str, Convert] = {"MatMul": _matmul, "Gemm": _gemm}
