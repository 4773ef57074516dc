"""Convolutions and means of neighbours: over time, over the positions of each frame, or both."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

import numpy as np

from ostinato.importing.onnx.call import Call, Convert
from ostinato.importing.onnx.elements import ZERO, Array, Ids, Tensor, Traced, constant, element, frame_of, term_of
from ostinato.importing.onnx.operators.elementwise import greater
from ostinato.importing.onnx.rows import Rows, along, time_axis
from ostinato.importing.onnx.terms import SAME, Applied, View
from ostinato.model.framing import Framing
from ostinato.model.layers import MaxPool, MeanPool, TransposedConvolution, Within

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
        last, right = rows.length + int(frames[0]), self.pads[self.time - 2][1]
        for number in np.unique(term_of(rows.ids[rows.ids >= 0])):
            if right and last < self.call.terms.frames(int(number)):  # cut off, then padded
                self.call.terms.cuts[int(number)] = last
        return last + right

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

    def positions(self, sizes: Sequence[int]) -> int | None:
        """The spatial axis of a frame's positions, if it is the only one beside time that windows move along."""
        found = []
        for axis, (size, span, stride, pads) in enumerate(
            zip(sizes[2:], self.spans, self.strides, self.pads, strict=True)
        ):
            if axis + 2 != self.time and (size + sum(pads) - span) // stride > 0:
                found.append(axis)
        return found[0] if len(found) == 1 else None

    def line(self, axis: int) -> tuple[Framing, Window]:
        """How windows slide along an axis, and they without that."""
        framing = Framing(self.kernel[axis], self.strides[axis], self.dilations[axis], *self.pads[axis])
        rest = copy.copy(self)
        one, nothing = {"kernel": 1, "strides": 1, "dilations": 1, "spans": 1}, (0, 0)
        for name, each in one.items():
            setattr(rest, name, [each if k == axis else size for k, size in enumerate(getattr(self, name))])
        rest.pads = [nothing if k == axis else pads for k, pads in enumerate(self.pads)]
        return framing, rest

    def of(self, ids: Ids, pad: int = ZERO) -> Ids:
        """[batch, places…, channels, kernel…]."""
        rank = ids.ndim - 2
        _check_room(
            self.call, *ids.shape[:2], *(n + sum(pads) for n, pads in zip(ids.shape[2:], self.pads, strict=True))
        )
        ids = np.pad(ids, [(0, 0), (0, 0), *self.pads], constant_values=pad)
        for axis, span in enumerate(self.spans):
            if ids.shape[axis + 2] < span:
                raise self.call.refuse(f"looks at {span} neighbours, and {ids.shape[axis + 2]} are there")
        seen = np.lib.stride_tricks.sliding_window_view(ids, self.spans, tuple(range(2, 2 + rank)))
        places = tuple(slice(None, None, stride) for stride in self.strides)
        taps = tuple(slice(None, None, dilation) for dilation in self.dilations)
        seen = np.moveaxis(seen[(slice(None), slice(None), *places, *taps)], 1, 1 + rank)
        _check_room(self.call, seen.size)
        return seen


def _check_room(call: Call, *sizes: int) -> None:
    """Refuse a convolution that takes more values than can be while it is read."""
    if (count := math.prod(map(int, sizes))) > _MOST:
        raise call.refuse(f"has {count} values in windows or weights while it is read: at most {_MOST} can be")


def convolved(call: Call, ids: Ids, W: Array, b: Array | None) -> Ids:
    """W [outputs, inputs / groups, kernel…]."""
    groups, (M, each) = int(call.attributes.get("group", 1)), W.shape[:2]
    if ids.shape[1] != each * groups or M % groups:
        raise call.refuse(f"takes {each * groups} channels in {groups} groups, and {ids.shape[1]} come in")
    _check_room(call, M, groups, each, *W.shape[2:])
    full = np.zeros((M, groups, each, *W.shape[2:]), np.float32)
    for g in range(groups):
        rows = slice(g * M // groups, (g + 1) * M // groups)
        full[rows, g] = W[rows]
    return _product(Window(call, ids, W.shape[2:]), ids, full.reshape(M, groups * each, *W.shape[2:]), b)


def _product(window: Window, ids: Ids, W: Array, b: Array | None) -> Ids:
    """W [outputs, inputs, kernel…] at each window."""
    call, rank = window.call, ids.ndim - 2
    if (axis := window.positions(ids.shape)) is not None:
        return _along_positions(window, ids, W, b, axis)
    seen = window.of(ids)
    vectors = seen.reshape(*seen.shape[: 1 + rank], -1)
    return np.moveaxis(call.affine(vectors, W.reshape(len(W), -1), b, window.end), -1, 1)


def _along_positions(window: Window, ids: Ids, W: Array, b: Array | None, axis: int) -> Ids:
    """The windows of one spatial axis as they slide over a frame's positions, whose values are the channels in the
    windows of the other axes."""
    rank, M = ids.ndim - 2, len(W)
    framing, line = window.line(axis)
    seen = np.moveaxis(line.of(ids), 1 + axis, rank)
    seen = seen.reshape(*seen.shape[: 1 + rank], -1)  # [batch, other places…, positions, values]
    taps = np.moveaxis(W, 2 + axis, 1).reshape(M, framing.taps, -1)
    if framing == SAME:
        made = window.call.affine(seen, taps[:, 0], b, window.end)
    elif not _depthwise(taps):
        made = window.call.slid(seen, taps, b, framing, window.end)
    else:  # each tap of each output as a position of its own, so that all outputs are made side by side
        count, each = int(framing.length(np.int64(seen.shape[-2]))), seen.shape[-1] // M
        _check_room(window.call, seen.size // seen.shape[-2], seen.shape[-2] + framing.left + framing.right)
        around = np.pad(seen, [(0, 0)] * rank + [(framing.left, framing.right), (0, 0)], constant_values=ZERO)
        at = np.arange(count)[:, None] * framing.stride + np.arange(framing.taps) * framing.dilation
        parted = around[..., at, :].reshape(*seen.shape[:-2], count * framing.taps, M, each)
        parted = np.moveaxis(parted, -1, -2).reshape(*seen.shape[:-2], count * framing.taps * each, M)
        own = np.stack([taps[m, :, m * each : (m + 1) * each].reshape(-1) for m in range(M)])
        diagonal = own[:, :, None] * np.eye(M, dtype=np.float32)[:, None, :]
        n = own.shape[1]
        made = window.call.slid(parted, diagonal, b, Framing(n, n), window.end)
    return np.moveaxis(np.moveaxis(made, -1, 1), -1, 2 + axis)


def _depthwise(taps: Array) -> bool:
    """Whether each of several outputs reads some inputs of its own, of [outputs, taps, inputs]."""
    M, _, inputs = taps.shape
    if M == 1 or inputs <= M or inputs % M:
        return False
    others = taps.reshape(M, -1, M, inputs // M).any(axis=(1, 3)) & ~np.eye(M, dtype=bool)
    return not others.any()


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
    count = int(np.prod(window.kernel))
    if window.positions(ids.shape) is not None:
        own = np.eye(ids.shape[1], dtype=np.float32).reshape(*2 * ids.shape[1:2], *[1] * (ids.ndim - 2))
        return [Traced(_product(window, ids, np.broadcast_to(own / count, (*own.shape[:2], *window.kernel)), None))]
    seen = window.of(ids)
    flat = seen.reshape(*seen.shape[: ids.ndim], count)  # a channel is a place of its own
    made = call.affine(flat, np.full((1, count), 1 / count), None, window.end)[..., 0]
    return [Traced(np.moveaxis(made, -1, 1))]


def _global_average(call: Call) -> Sequence[Tensor]:
    ids = call.traced(0)
    return [Traced(mean(call, ids.reshape(*ids.shape[:2], -1)).reshape(*ids.shape[:2], *[1] * (ids.ndim - 2)))]


def mean(call: Call, ids: Ids) -> Ids:
    """Of vectors [..., K] one value each; where these are the channels of a frame, over its K positions."""
    K = ids.shape[-1]
    found = call.vectors(ids)
    P = len(found.kinds)
    if P == 1 or (found.which < 0).any() or (np.diff(found.kinds, axis=1) == 1).all():
        return call.affine(ids, np.full((1, K), 1 / K))[..., 0]
    layer = Within(K, MeanPool(K, left=0))
    term = call.apply(layer, [found.kinds.T.reshape(-1)], P, found=found)
    return element(term.number, found.frame, found.which).reshape(ids.shape[:-1])


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
    _check_room(call, groups * each, ids.shape[1], *W.shape[2:])
    full = np.zeros((groups * each, ids.shape[1], *W.shape[2:]), np.float32)
    for g in range(groups):
        inputs = slice(g * ids.shape[1] // groups, (g + 1) * ids.shape[1] // groups)
        full[g * each : (g + 1) * each, inputs] = np.swapaxes(W[inputs], 0, 1)
    time = time_along(call, ids)
    if time is not None and time >= 2 and strides[time - 2] > 1:
        return [Traced(_upsampled(call, ids, full, b, time, strides, dilations, pads, more))]
    window = Window(call, ids, W.shape[2:])
    if (made := _strided(window, ids, full, b, pads, more)) is not None:
        return [Traced(made)]
    shape = *ids.shape[:2], *((n - 1) * s + 1 for n, s in zip(ids.shape[2:], strides, strict=True))
    _check_room(call, *shape)
    spread = np.full(shape, ZERO)
    spread[(slice(None), slice(None), *(slice(None, None, s) for s in strides))] = ids
    widths = []
    for axis in range(rank):
        span = (W.shape[axis + 2] - 1) * dilations[axis]
        widths.append((span - pads[axis], span - pads[rank + axis] + more[axis]))
    cut = tuple(slice(max(0, -a), n - max(0, -z)) for (a, z), n in zip(widths, spread.shape[2:], strict=True))
    spread = spread[(slice(None), slice(None), *cut)]
    flipped = np.flip(full, tuple(range(2, 2 + rank)))
    window.strides, window.pads, window.end = [1] * rank, [(max(0, a), max(0, z)) for a, z in widths], None
    return [Traced(_product(window, spread, flipped, b))]


def _strided(
    window: Window, ids: Ids, W: Array, b: Array | None, pads: Sequence[int], more: Sequence[int]
) -> Ids | None:
    """Upsampling along one axis of a frame's positions: W [outputs, inputs, kernel…]."""
    rank, M = ids.ndim - 2, len(W)
    axes = [axis for axis, stride in enumerate(window.strides) if stride > 1]
    if len(axes) != 1 or any(k > 1 for axis, k in enumerate(window.kernel) if axis not in axes):
        return None
    (axis,) = axes
    others = [pads[k] or pads[rank + k] or more[k] for k in range(rank) if k != axis]
    taps, stride = window.kernel[axis], window.strides[axis]
    start, end, Q = pads[axis], pads[rank + axis] - more[axis], ids.shape[2 + axis]
    if any(others) or window.dilations[axis] > 1 or stride > taps or not 0 <= end < taps or start >= taps:
        return None
    lead = [size for k, size in enumerate(ids.shape[2:]) if k != axis]
    if int(np.prod(lead)) > 1 and window.time is None:
        return None
    layer = TransposedConvolution(M, taps, stride, start, end)
    weights = {
        "W": np.moveaxis(W.reshape(M, -1, taps), 2, 1).reshape(M, -1),
        "b": np.zeros(M) if b is None else b,
    }
    moved = np.moveaxis(np.moveaxis(ids, 1, -1), 1 + axis, -2)  # [batch, other places…, positions, channels]
    flat = moved.reshape(*moved.shape[:-2], -1)
    count = (Q - 1) * stride + taps - start - end
    made = window.call.per_vector(flat, count * M, Within(Q, layer), weights).reshape(*flat.shape[:-1], count, M)
    return np.moveaxis(np.moveaxis(made, -1, 1), -1, 2 + axis)


def _upsampled(
    call: Call,
    ids: Ids,
    W: Array,
    b: Array | None,
    time: int,
    strides: Sequence[int],
    dilations: Sequence[int],
    pads: Sequence[int],
    more: Sequence[int],
) -> Ids:
    """W [outputs, inputs, kernel…]: more frames come out than go in. Where a frame has positions, one matrix makes
    all of the one of all of the other."""
    rows, axis, rank = along(ids, time, call.terms), time - 2, ids.ndim - 2
    assert rows is not None
    if rows.stride < 1 or len(ids) > 1:
        raise call.refuse("upsamples over time from the end, or several sequences: not supported")
    W = np.moveaxis(W, 2 + axis, -1)
    for place, other in reversed(list(enumerate(each for each in range(rank) if each != axis))):
        ends = pads[other], pads[rank + other] - more[other]
        W = _over_positions(call, W, 2 + place, ids.shape[2 + other], strides[other], dilations[other], ends)
    places = W.shape[2 : 2 + 2 * (rank - 1) : 2]  # that come out, of each axis but time's
    order = [0, *range(2, 2 * rank, 2), 1, *range(3, 2 * rank + 1, 2), 2 * rank]
    M, W = len(W), W.transpose(order).reshape(len(W) * math.prod(places), -1, W.shape[-1])
    stride, spread = strides[axis], np.zeros((*W.shape[:2], (W.shape[2] - 1) * dilations[axis] + 1), np.float32)
    spread[..., :: dilations[axis]] = W
    cut, taps = [pads[axis], pads[rank + axis] - more[axis]], spread.shape[2]
    wider = max(0, -cut[1], stride - taps)  # frames of the bias alone
    W, taps, cut[1] = np.pad(spread, [(0, 0), (0, 0), (0, wider)]), taps + wider, cut[1] + wider
    layer = TransposedConvolution(len(W), taps, stride, cut[0], cut[1])
    count = (rows.length - 1) * stride + taps - sum(cut)
    bias = np.zeros(len(W)) if b is None else np.repeat(b, len(W) // M)
    weights = {"W": np.moveaxis(W, 2, 1).reshape(len(W), -1), "b": bias}
    term = call.terms.add(Applied(layer, weights), [_all(rows)], len(W), count, call.name)
    return np.moveaxis(term.at(np.arange(count)).reshape(count, 1, M, *places), 0, time)


def _over_positions(
    call: Call, W: Array, axis: int, count: int, stride: int, dilation: int, ends: tuple[int, int]
) -> Array:
    """W with what its kernel along ``axis`` does to ``count`` positions written out: in its place stand the positions
    that come out, of which ``ends`` are cut off, and those that go in."""
    taps = W.shape[axis]
    span = (count - 1) * stride + (taps - 1) * dilation + 1
    _check_room(call, W.size // taps, span + max(0, -ends[1]), count)
    moved = np.moveaxis(W, axis, -1)
    whole = np.zeros((*moved.shape[:-1], span + max(0, -ends[1]), count), np.float32)
    for tap in range(taps):
        for position in range(count):
            whole[..., position * stride + tap * dilation, position] += moved[..., tap]
    return np.moveaxis(whole[..., ends[0] : span - ends[1], :], (-2, -1), (axis, axis + 1))


CONVOLUTION: dict[str, Convert] = {
    "Conv": _conv,
    "ConvTranspose": _transposed,
    "AveragePool": _average,
    "GlobalAveragePool": _global_average,
    "MaxPool": _max_pool,
}
