"""Normalisations, softmax, and sums or means over a frame's own values."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ostinato.importing.onnx.call import Call, Convert
from ostinato.importing.onnx.elements import Ids, Tensor, Traced
from ostinato.importing.onnx.operators.elementwise import activated, greater, scaled
from ostinato.model.activation import Activation
from ostinato.model.layers import Layer, LayerNorm, Softmax


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


def _along_axis(call: Call, ids: Ids, layer: Layer) -> Ids:
    """A layer over the vectors of one axis; before opset 13, over all from that on."""
    axis = int(call.attributes.get("axis", -1 if call.opset >= 13 else 1)) % ids.ndim
    if call.opset < 13:
        flat = ids.reshape(*ids.shape[:axis], -1)
        return call.per_vector(flat, flat.shape[-1], layer).reshape(ids.shape)
    moved = np.moveaxis(ids, axis, -1)
    return np.moveaxis(call.per_vector(moved, moved.shape[-1], layer), -1, axis)


def _softmax(call: Call) -> Sequence[Tensor]:
    return [Traced(_along_axis(call, call.traced(0), Softmax()))]


def _log_softmax(call: Call) -> Sequence[Tensor]:
    made = _along_axis(call, call.traced(0), Softmax())
    return [Traced(activated(call, made, Activation("log"), np.log))]


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


def _mean(call: Call, ids: Ids) -> Ids:
    return call.affine(ids, np.full((1, ids.shape[-1]), 1 / ids.shape[-1]))[..., 0]


def _sum_square(call: Call, ids: Ids) -> Ids:
    return _sum(call, activated(call, ids, Activation("square"), np.square))


def _length(call: Call, ids: Ids) -> Ids:
    return activated(call, _sum_square(call, ids), Activation("sqrt"), np.sqrt)


def _sum_abs(call: Call, ids: Ids) -> Ids:
    return _sum(call, activated(call, ids, Activation("abs"), np.abs))


def _greatest(call: Call, ids: Ids) -> Ids:
    call.vectors(ids)  # raises if it is over time
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
    "Softmax": _softmax,
    "LogSoftmax": _log_softmax,
    "ReduceMean": _reduced(_mean),
    "ReduceSum": _reduced(_sum),
    "ReduceSumSquare": _reduced(_sum_square),
    "ReduceL1": _reduced(_sum_abs),
    "ReduceL2": _reduced(_length),
    "ReduceMax": _reduced(_greatest),
    "ReduceMin": _reduced(_least),
}
