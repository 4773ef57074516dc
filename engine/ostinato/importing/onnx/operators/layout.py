"""Operators that move values about, and compute nothing: they are run on the elements themselves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ostinato.importing.onnx.call import Call, Convert
from ostinato.importing.onnx.elements import Array, Tensor, Traced, constant, elements, term_of
from ostinato.importing.onnx.evaluation import MOST
from ostinato.importing.onnx.rows import frames_in, time_axis
from ostinato.importing.onnx.terms import Input
from ostinato.model.layers import Embedding


def _moved(call: Call) -> Sequence[Tensor]:
    """The first input is moved, others say how."""
    first = call.input(0)
    if not isinstance(first, Traced):
        return _all_moved(call)
    others = [
        None if each is None else call.constant(k, "where values go") for k, each in enumerate(call.inputs) if k
    ]
    if call.node.op_type == "Reshape" and others and not _fits(call, first.shape, others[0]):
        raise call.refuse(
            f"takes {list(first.shape)} to {np.asarray(others[0]).tolist()}, as it was when the model was exported: "
            "the number of frames is frozen; export it with a dynamic time axis"
        )
    return [Traced(each, first.token) for each in call.run([first.ids, *others])]


def _fits(call: Call, shape: Sequence[int], wanted: Array | None) -> bool:
    """Whether a tensor can be brought to these sizes."""
    sizes = [int(size) for size in np.asarray(wanted).reshape(-1)]
    if not call.attributes.get("allowzero", 0):
        sizes = [shape[k] if size == 0 and k < len(shape) else size for k, size in enumerate(sizes)]
    known, total = math.prod(size for size in sizes if size != -1), math.prod(shape)
    return known == total if -1 not in sizes else bool(known) and total % known == 0


def _all_moved(call: Call) -> Sequence[Tensor]:
    """All inputs are values."""
    traced = [each for each in call.inputs if isinstance(each, Traced)]
    token = any(each.token for each in traced)
    if token and len(traced) < len(call.inputs):
        raise call.refuse("puts constants beside token ids")
    return [Traced(each, token) for each in call.run([None if x is None else elements(x) for x in call.inputs])]


def _concat(call: Call) -> Sequence[Tensor]:
    """Where some count frames and others parts of them, all count frames."""
    (made,) = _all_moved(call)
    if not isinstance(made, Traced) or made.token or len(frames_in(made.ids)) < 2:
        return [made]
    if time_axis(made.ids, call.terms) is None:
        anew = [Traced(call.framed(k)) if isinstance(x, Traced) else x for k, x in enumerate(call.inputs)]
        if any(isinstance(x, Traced) and (x.ids != call.traced(k)).any() for k, x in enumerate(anew)):
            return _all_moved(replace(call, inputs=anew))
    return [made]


def _gather(call: Call) -> Sequence[Tensor]:
    """Of values; or of a table's rows by token ids: an embedding."""
    table, indices = call.input(0), call.input(1)
    if isinstance(table, Traced) or not isinstance(indices, Traced):
        return _moved(call)
    axis = int(call.attributes.get("axis", 0)) % max(1, table.ndim)
    inputs = {type(call.terms[int(number)].operation) for number in np.unique(term_of(indices.ids))}
    if not indices.token or axis or table.ndim < 1 or inputs != {Input}:
        raise call.refuse("picks values by numbers that are computed: only token ids can pick rows of a table")
    E = np.asarray(table, np.float32).reshape(len(table), -1)
    made = call.per_vector(indices.ids[..., None], E.shape[1], Embedding(E.shape[1]), {"E": E})
    return [Traced(made.reshape(*indices.shape, *table.shape[1:]))]


def _scatter(call: Call) -> Sequence[Tensor]:
    """To constant places."""
    made = call.run([call.traced(0), call.constant(1, "where values go"), call.traced(2)])
    return [Traced(each) for each in made]


def _pad(call: Call) -> Sequence[Tensor]:
    """With a constant, whose element is what is put around, or with the tensor's own."""
    first = call.input(0)
    assert isinstance(first, Traced)
    if first.token:
        raise call.refuse("pads token ids")
    mode = call.attributes.get("mode", "constant")
    if call.opset < 11:
        pads, with_ = np.asarray(call.attributes["pads"], np.int64), call.attributes.get("value", 0.0)
        axes = None
    else:
        pads = call.constant(1, "the padding")
        given = call.optional(2)
        with_ = 0.0 if given is None else float(np.asarray(call.constant(2, "the padding's value")).reshape(-1)[0])
        axes = None if call.optional(3) is None else call.constant(3, "axes")
    rank = first.ids.ndim
    where = list(range(rank)) if axes is None else [int(axis) % rank for axis in axes]
    widths = np.zeros((rank, 2), np.int64)
    widths[where] = np.asarray(pads, np.int64).reshape(2, -1).T
    whole = call.framed(0) if widths.any() else first.ids
    ids = whole[tuple(slice(max(0, -a), size - max(0, -b)) for (a, b), size in zip(widths, first.shape, strict=True))]
    around = np.maximum(widths, 0)
    if math.prod(int(size + sum(more)) for size, more in zip(ids.shape, around.tolist(), strict=True)) > MOST:
        raise call.refuse(f"pads by up to {around.max()}: at most {MOST} values can be while a graph is read")
    if mode == "constant":
        return [Traced(np.pad(ids, around, constant_values=int(constant(with_))))]
    return [Traced(np.pad(ids, around, mode=mode))]  # reflect, edge or wrap: NumPy's words are ONNX's


def _resized(call: Call) -> Sequence[Tensor]:
    """By whole numbers, to the nearest: each value stands there so many times."""
    ids, attributes = call.traced(0), call.attributes
    mode, where = attributes.get("mode", "nearest"), attributes.get("coordinate_transformation_mode", "half_pixel")
    rounding = attributes.get("nearest_mode", "round_prefer_floor")
    if call.node.op_type == "Upsample" or call.opset < 11:
        where, rounding = "asymmetric", "floor"
    repeats = {"asymmetric": ("floor",), "half_pixel": ("round_prefer_floor", "round_prefer_ceil")}
    if mode != "nearest" or rounding not in repeats.get(where, ()):
        raise call.refuse(f"resizes by mode {mode!r} ({where}, {rounding}): only what repeats each value can be")
    if "scales" in attributes:
        scales = np.asarray(attributes["scales"])
    elif call.opset < 11:
        scales = call.constant(1, "its scales")
    elif call.optional(3) is not None:
        scales = call.constant(3, "its sizes") / np.array(ids.shape)
    else:
        scales = call.constant(2, "its scales")
    times = np.rint(scales).astype(int)
    if len(times) != ids.ndim or (times != scales).any() or (times < 1).any():
        raise call.refuse(f"resizes by {np.asarray(scales).tolist()}: only by whole numbers can be")
    if math.prod(ids.shape) * math.prod(int(count) for count in times) > MOST:
        raise call.refuse(f"gives more than {MOST} values while a graph is read")
    for axis, count in enumerate(times):
        ids = np.repeat(ids, count, axis)
    return [Traced(ids)]


def _cast(call: Call) -> Sequence[Tensor]:
    """Between floating-point types, or between integer ones, nothing changes."""
    from onnx import TensorProto

    first = call.input(0)
    assert isinstance(first, Traced)
    to = call.attributes.get("to")
    floats = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16)
    whole = (TensorProto.INT32, TensorProto.INT64)
    if to not in ((*whole, *floats) if first.token else floats):
        raise call.refuse(f"makes {TensorProto.DataType.Name(to)} of what comes in: not supported")
    return [first]


def _where(call: Call) -> Sequence[Tensor]:
    """By a constant condition."""
    chosen: Array = np.where(call.constant(0, "the condition"), call.traced(1), call.traced(2))
    return [Traced(chosen)]


def _same(call: Call) -> Sequence[Tensor]:
    return [call.input(0)]


def _cast_like(call: Call) -> Sequence[Tensor]:
    return [call.input(0)]


def _dropout(call: Call) -> Sequence[Tensor]:
    """Of a trained model, nothing."""
    training = call.optional(2)
    if training is not None and bool(np.asarray(call.constant(2, "training_mode")).any()):
        raise call.refuse("drops values at random, as while training: export the model in evaluation mode")
    return [call.input(0), np.ones(call.traced(0).shape, np.bool_)]


LAYOUT: dict[str, Convert] = {
    "Identity": _same,
    "Cast": _cast,
    "CastLike": _cast_like,
    "Dropout": _dropout,
    "Pad": _pad,
    "Resize": _resized,
    "Upsample": _resized,
    "Where": _where,
    "Concat": _concat,
    "Gather": _gather,
    "ScatterND": _scatter,
    "ScatterElements": _scatter,
    **dict.fromkeys(
        (
            "Transpose", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Slice", "Split", "Expand", "Tile",
            "GatherND", "GatherElements", "DepthToSpace", "SpaceToDepth", "ReverseSequence",
        ),
        _moved,
    ),
}  # fmt: skip
