"""Convolutions and means of neighbours: over time, over the positions of each frame, or both."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ostinato.importing.onnx.call import Call, Convert
from ostinato.importing.onnx.elements import ZERO, Array, Ids, Tensor, Traced, constant, frame_of
from ostinato.importing.onnx.operators.elementwise import greater
from ostinato.importing.onnx.rows import Rows, along, time_axis
from ostinato.importing.onnx.terms import Applied, View
from ostinato.model.layers import MaxPool, TransposedConvolution

_MOST = 1 << 25
"""Elements of all windows while a graph is read."""


def time_along(call: Call, ids: Ids) -> int | None:
    """The axis of time, if a whole axis is that."""
    found = time_axis(ids, call.terms)
    return None if found is None or found[0].ndim != ids.ndim else found[1]


class Window:
    """The windows of a node over its spatial axes."""

    def __init__(self, call: Call, ids: Ids, kernel: Sequence[int]) -> None:
        rank, attributes = ids.ndim - 2, call.attributes
        self.call, self.kernel = call, [int(each) for each in kernel]
        self.strides = list(attributes.get("strides") or [1] * rank)
        self.dilations = list(attributes.get("dilations") or [1] * rank)
        self.spans = [(k - 1) * d + 1 for k, d in zip(self.kernel, self.dilations, strict=True)]
        self.time = time_along(call, ids)
        self.pads = self._pads(ids.shape[2:])
        self.end = self._end(ids)

    def _end(self, ids: Ids) -> int | None:
        """As `View.end`."""
        if self.time is None or self.time < 2 or (rows := along(ids, self.time, self.call.terms)) is None:
            return None
        frames = np.unique(frame_of(rows.ids[rows.ids >= 0]))
        if rows.stride != 1 or len(frames) > 1:
            return None
        return rows.length + int(frames[0]) + self.pads[self.time - 2][1]

    def _pads(self, sizes: Sequence[int]) -> list[tuple[int, int]]:
        attributes, rank = self.call.attributes, len(sizes)
        how = attributes.get("auto_pad", "NOTSET")
        if how in ("NOTSET", "VALID", ""):
            pads = list(attributes.get("pads") or [0] * 2 * rank) if how != "VALID" else [0] * 2 * rank
            return list(zip(pads[:rank], pads[rank:], strict=True))
        found = []
        for axis, (size, span, stride) in enumerate(zip(sizes, self.spans, self.strides, strict=True)):
            if self.time == axis + 2 and stride > 1 and span > 1:
                raise self.call.refuse(
                    f"auto_pad {how} with a stride of {stride} over time pads by how long the utterance is, which a "
                    "stream cannot know: export it with fixed padding"
                )
            total = max((-(-size // stride) - 1) * stride + span - size, 0)
            less, more = total // 2, total - total // 2
            found.append((less, more) if how == "SAME_UPPER" else (more, less))
        return found

    def of(self, ids: Ids, pad: int = ZERO) -> Ids:
        """[batch, places…, channels, kernel…]."""
        rank = ids.ndim - 2
        ids = np.pad(ids, [(0, 0), (0, 0), *self.pads], constant_values=pad)
        for axis, span in enumerate(self.spans):
            if ids.shape[axis + 2] < span:
                raise self.call.refuse(f"looks at {span} neighbours, and {ids.shape[axis + 2]} are there")
        seen = np.lib.stride_tricks.sliding_window_view(ids, self.spans, tuple(range(2, 2 + rank)))
        places = tuple(slice(None, None, stride) for stride in self.strides)
        taps = tuple(slice(None, None, dilation) for dilation in self.dilations)
        seen = np.moveaxis(seen[(slice(None), slice(None), *places, *taps)], 1, 1 + rank)
        if seen.size > _MOST:
            raise self.call.refuse(f"has windows of {seen.size} values in all while it is read: too large")
        return seen


def convolved(call: Call, ids: Ids, W: Array, b: Array | None) -> Ids:
    """W [outputs, inputs / groups, kernel…]."""
    groups, (M, each) = int(call.attributes.get("group", 1)), W.shape[:2]
    if ids.shape[1] != each * groups or M % groups:
        raise call.refuse(f"takes {each * groups} channels in {groups} groups, and {ids.shape[1]} come in")
    window = Window(call, ids, W.shape[2:])
    seen = window.of(ids)
    rank = ids.ndim - 2
    full = np.zeros((M, groups, each, int(np.prod(W.shape[2:]))), np.float32)
    for g in range(groups):
        rows = slice(g * M // groups, (g + 1) * M // groups)
        full[rows, g] = W[rows].reshape(M // groups, each, -1)
    vectors = seen.reshape(*seen.shape[: 1 + rank], -1)
    return np.moveaxis(call.affine(vectors, full.reshape(M, -1), b, window.end), -1, 1)


def _conv(call: Call) -> Sequence[Tensor]:
    b = None if call.optional(2) is None else call.constant(2, "its bias")
    return [Traced(convolved(call, call.framed(0), call.constant(1, "its weights"), b))]


def _average(call: Call) -> Sequence[Tensor]:
    """Of each channel: a convolution with equal weights."""
    ids = call.framed(0)
    window = Window(call, ids, call.attributes["kernel_shape"])
    if any(map(any, window.pads)) and not call.attributes.get("count_include_pad", 0):
        raise call.refuse("leaves its padding out of the mean: use count_include_pad = 1, or no padding")
    if call.attributes.get("ceil_mode", 0) and max(window.strides) > 1:
        raise call.refuse("makes a mean of fewer values at the end (ceil_mode): use ceil_mode = 0")
    seen = window.of(ids)
    count = int(np.prod(window.kernel))
    flat = seen.reshape(*seen.shape[: ids.ndim], count)  # a channel is a place of its own
    made = call.affine(flat, np.full((1, count), 1 / count), None, window.end)[..., 0]
    return [Traced(np.moveaxis(made, -1, 1))]


def _global_average(call: Call) -> Sequence[Tensor]:
    ids = call.traced(0)
    flat = ids.reshape(*ids.shape[:2], -1)
    made = call.affine(flat, np.full((1, flat.shape[-1]), 1 / flat.shape[-1]))
    return [Traced(made.reshape(*ids.shape[:2], *[1] * (ids.ndim - 2)))]


def _max_pool(call: Call) -> Sequence[Tensor]:
    """Over time by a window, over positions within a frame by pairs."""
    ids = call.framed(0)
    window = Window(call, ids, call.attributes["kernel_shape"])
    if call.attributes.get("storage_order", 0) or len(call.node.output) > 1:
        raise call.refuse("also tells where the greatest was: leave that output out")
    time = window.time
    if time is None or time < 2 or window.kernel[time - 2] == 1:
        return [Traced(_greatest(call, window, ids))]
    axis = time - 2
    others = [k for a, k in enumerate(window.kernel) if a != axis]
    rows = along(ids, time, call.terms)
    assert rows is not None
    if any(k > 1 for k in others) or window.dilations[axis] > 1:
        raise call.refuse("takes the greatest over time and positions at once: pool one after the other")
    if rows.stride < 1:
        raise call.refuse("pools a sequence from its end")
    (left, right), stride, taps = window.pads[axis], window.strides[axis], window.kernel[axis]
    if call.attributes.get("ceil_mode", 0):
        right += stride - 1
    layer = MaxPool(taps, stride, left, right)
    count = int(layer.framings[0].length(np.int64(rows.length)))
    term = call.terms.add(Applied(layer), [_all(rows)], rows.ids.size, count, call.name)
    return [Traced(_rows_back(term.at(np.arange(count)), rows, time))]


def _all(rows: Rows) -> View:
    """A view of all rows."""
    return View(rows.ids, rows.stride, rows.length, True)


def _rows_back(ids: Ids, rows: Rows, axis: int) -> Ids:
    """[frames, values] in the shape that it was read from."""
    return np.moveaxis(ids.reshape(len(ids), *rows.rest), 0, axis)


def _greatest(call: Call, window: Window, ids: Ids) -> Ids:
    """Of the positions of a frame, pair by pair."""
    seen = window.of(ids, int(constant(-np.inf)))
    flat = seen.reshape(*seen.shape[: ids.ndim], -1)
    made = flat[..., 0]
    for number in range(1, flat.shape[-1]):
        made = greater(call, made, flat[..., number])
    return np.moveaxis(made, -1, 1)


def _transposed(call: Call) -> Sequence[Tensor]:
    """Within a frame, a convolution between whose inputs zeros stand; over time, upsampling."""
    ids, W = call.framed(0), call.constant(1, "its weights")
    b = None if call.optional(2) is None else call.constant(2, "its bias")
    rank, attributes = ids.ndim - 2, call.attributes
    groups = int(attributes.get("group", 1))
    strides = list(attributes.get("strides") or [1] * rank)
    dilations = list(attributes.get("dilations") or [1] * rank)
    more = list(attributes.get("output_padding") or [0] * rank)
    pads = list(attributes.get("pads") or [0] * 2 * rank)
    if attributes.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID") or attributes.get("output_shape"):
        raise call.refuse("leaves its padding to be found (auto_pad, output_shape): export it with pads")
    each = W.shape[1]
    full = np.zeros((groups * each, ids.shape[1], *W.shape[2:]), np.float32)
    for g in range(groups):
        inputs = slice(g * ids.shape[1] // groups, (g + 1) * ids.shape[1] // groups)
        full[g * each : (g + 1) * each, inputs] = np.swapaxes(W[inputs], 0, 1)
    time = time_along(call, ids)
    if time is not None and time >= 2 and strides[time - 2] > 1:
        if rank != 1:
            raise call.refuse("upsamples time, and positions within frames beside it: use two nodes")
        return [Traced(_upsampled(call, ids, full, b, strides[0], dilations[0], (pads[0], pads[1] - more[0])))]
    spread = np.full((*ids.shape[:2], *((n - 1) * s + 1 for n, s in zip(ids.shape[2:], strides, strict=True))), ZERO)
    spread[(slice(None), slice(None), *(slice(None, None, s) for s in strides))] = ids
    widths = []
    for axis in range(rank):
        span = (W.shape[axis + 2] - 1) * dilations[axis]
        widths.append((span - pads[axis], span - pads[rank + axis] + more[axis]))
    cut = tuple(slice(max(0, -a), n - max(0, -z)) for (a, z), n in zip(widths, spread.shape[2:], strict=True))
    around = [(0, 0), (0, 0), *((max(0, a), max(0, z)) for a, z in widths)]
    spread = np.pad(spread[(slice(None), slice(None), *cut)], around, constant_values=ZERO)
    flipped = np.flip(full, tuple(range(2, 2 + rank)))
    window = Window(call, ids, W.shape[2:])
    window.strides, window.pads = [1] * rank, [(0, 0)] * rank
    seen = window.of(spread)
    vectors = seen.reshape(*seen.shape[: 1 + rank], -1)
    return [Traced(np.moveaxis(call.affine(vectors, flipped.reshape(len(flipped), -1), b), -1, 1))]


def _upsampled(
    call: Call, ids: Ids, W: Array, b: Array | None, stride: int, dilation: int, cut: tuple[int, int]
) -> Ids:
    """W [outputs, inputs, taps]: more frames come out than go in."""
    rows, taps = along(ids, 2, call.terms), W.shape[2]
    assert rows is not None
    if dilation > 1 or rows.stride < 1 or len(ids) > 1:
        raise call.refuse("upsamples over time with a dilation, from the end, or several sequences: not supported")
    if cut[1] < 0:
        W, cut = np.pad(W, [(0, 0), (0, 0), (0, -cut[1])]), (cut[0], 0)
        taps = W.shape[2]
    if stride > taps:
        W, taps = np.pad(W, [(0, 0), (0, 0), (0, stride - taps)]), stride
        cut = cut[0], cut[1] + stride - W.shape[2]
    layer = TransposedConvolution(len(W), taps, stride, *cut)
    count = (rows.length - 1) * stride + taps - sum(cut)
    weights = {"W": np.moveaxis(W, 2, 1).reshape(len(W), -1), "b": np.zeros(len(W)) if b is None else b}
    term = call.terms.add(Applied(layer, weights), [_all(rows)], len(W), count, call.name)
    return term.at(np.arange(count)).T[None]


CONVOLUTION: dict[str, Convert] = {
    "Conv": _conv,
    "ConvTranspose": _transposed,
    "AveragePool": _average,
    "GlobalAveragePool": _global_average,
    "MaxPool": _max_pool,
}
