"""Normalisations, softmax, and sums or means over a frame's own values."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ostinato.importing.onnx.call import Call, Convert
from ostinato.importing.onnx.elements import Ids, Tensor, Traced
from ostinato.importing.onnx.operators.convolution import mean
from ostinato.importing.onnx.operators.elementwise import activated, add, greater, scaled
from ostinato.model.activation import Activation
from ostinato.model.layers import LayerNorm, MaxPool, Softmax, Within

_FEW = 4
"""Positions of a frame at which the greatest is taken by a layer of its own."""


def _batch_norm(call: Call) -> Sequence[Tensor]:
    """By its statistics: a x + b for each channel."""
    if call.attributes.get("training_mode", 0):
        raise call.refuse("normalises by each batch, as while training: export the model in evaluation mode")
    ids = call.traced(0)
    gamma, beta, mean, variance = (call.constant(1 + k, "a weight").astype(np.float64) for k in range(4))
    a = gamma / np.sqrt(variance + float(call.attributes.get("epsilon", 1e-5)))
    b = beta - a * mean
    shape = (1, -1, *[1] * (ids.ndim - 2))
    return [Traced(scaled(call, ids, *(np.broadcast_to(each.reshape(shape), ids.shape) for each in (a, b))))]


def _layer_norm(call: Call) -> Sequence[Tensor]:
    """Over the last axes, from ``axis`` on."""
    if len(call.node.output) > 1 and any(call.node.output[1:]):
        raise call.refuse("also gives its mean or deviation: leave these outputs out")
    ids = call.traced(0)
    axis = int(call.attributes.get("axis", -1)) % ids.ndim
    inner = ids.shape[axis:]
    size = int(np.prod(inner))
    gamma = np.broadcast_to(call.constant(1, "its scale"), inner).reshape(-1)
    beta = np.zeros(size) if call.optional(2) is None else np.broadcast_to(call.constant(2, "its bias"), inner)
    layer = LayerNorm(float(call.attributes.get("epsilon", 1e-5)))
    flat = ids.reshape(*ids.shape[:axis], size)
    made = call.per_vector(flat, size, layer, {"gamma": gamma, "beta": beta.reshape(-1)})
    return [Traced(made.reshape(ids.shape))]


def _along_axis(make: Callable[[Call, Ids], Ids]) -> Convert:
    """Over the vectors [..., K] of one axis; before opset 13, of all from that on."""

    def convert(call: Call) -> Sequence[Tensor]:
        ids = call.traced(0)
        axis = int(call.attributes.get("axis", -1 if call.opset >= 13 else 1)) % ids.ndim
        if call.opset < 13:
            return [Traced(make(call, ids.reshape(*ids.shape[:axis], -1)).reshape(ids.shape))]
        return [Traced(np.moveaxis(make(call, np.moveaxis(ids, axis, -1)), -1, axis))]

    return convert


def _softmax(call: Call, ids: Ids) -> Ids:
    return call.per_vector(ids, ids.shape[-1], Softmax())


def _log_softmax(call: Call, ids: Ids) -> Ids:
    """By x - max x, and the sum of its exponentials: however small a probability is, its logarithm is a number."""
    less = add(call, ids, _all(_greatest(call, ids), ids), -1.0)
    total = _sum(call, activated(call, less, Activation("exp"), np.exp))
    return add(call, less, _all(activated(call, total, Activation("log"), np.log), ids), -1.0)


def _all(ids: Ids, like: Ids) -> Ids:
    """One value for each vector of ``like``, as often as that has values."""
    return np.broadcast_to(ids[..., None], like.shape).copy()


def _reduced(make: Callable[[Call, Ids], Ids]) -> Convert:
    """``make``: of vectors [..., K] one value each."""

    def convert(call: Call) -> Sequence[Tensor]:
        ids = call.traced(0)
        axes = call.attributes.get("axes")
        if axes is None and call.optional(1) is not None:
            axes = [int(axis) for axis in call.constant(1, "its axes").reshape(-1)]
        if not axes:
            if call.attributes.get("noop_with_empty_axes", 0):
                return [call.input(0)]
            axes = range(ids.ndim)
        axes = sorted(axis % ids.ndim for axis in axes)
        kept = [axis for axis in range(ids.ndim) if axis not in axes]
        flat = ids.transpose(*kept, *axes).reshape(*(ids.shape[axis] for axis in kept), -1)
        made = make(call, flat)
        if call.attributes.get("keepdims", 1):
            made = np.expand_dims(made, tuple(axes))
        return [Traced(made)]

    return convert


def _sum(call: Call, ids: Ids) -> Ids:
    return call.affine(ids, np.ones((1, ids.shape[-1])))[..., 0]


def _sum_square(call: Call, ids: Ids) -> Ids:
    return _sum(call, activated(call, ids, Activation("square"), np.square))


def _length(call: Call, ids: Ids) -> Ids:
    return activated(call, _sum_square(call, ids), Activation("sqrt"), np.sqrt)


def _sum_abs(call: Call, ids: Ids) -> Ids:
    return _sum(call, activated(call, ids, Activation("abs"), np.abs))


def _greatest(call: Call, ids: Ids) -> Ids:
    found, K = call.vectors(ids), ids.shape[-1]  # raises if it is over time
    if K > 1 and len(found.kinds) <= _FEW:
        return call.per_vector(ids, 1, Within(K, MaxPool(K, 1, 0, 0)))[..., 0]
    made = ids[..., 0]
    for number in range(1, ids.shape[-1]):
        made = greater(call, made, ids[..., number])
    return made


def negated(call: Call, ids: Ids) -> Ids:
    """-x."""
    return scaled(call, ids, np.full(ids.shape, -1.0), np.zeros(ids.shape))


def _least(call: Call, ids: Ids) -> Ids:
    return negated(call, _greatest(call, negated(call, ids)))


NORMALISATION: dict[str, Convert] = {
    "BatchNormalization": _batch_norm,
    "LayerNormalization": _layer_norm,
    "Softmax": _along_axis(_softmax),
    "LogSoftmax": _along_axis(_log_softmax),
    "ReduceMean": _reduced(mean),
    "ReduceSum": _reduced(_sum),
    "ReduceSumSquare": _reduced(_sum_square),
    "ReduceL1": _reduced(_sum_abs),
    "ReduceL2": _reduced(_length),
    "ReduceMax": _reduced(_greatest),
    "ReduceMin": _reduced(_least),
}
