"""Convolutions over time. Weights of Keras: kernel [taps, inputs / groups, outputs]."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ostinato.importing.keras.activations import activation, is_softmax, softened
from ostinato.importing.keras.place import Array, Converter, Place, Value
from ostinato.model.activation import IDENTITY
from ostinato.model.layers import Convolution, TransposedConvolution


def padding(place: Place, taps: int, stride: int, dilation: int) -> tuple[int, int]:
    """Frames of zeros at the ends. Keras's "same" with a stride depends on how long the utterance is, but for strides
    that leave nothing to depend on; of positions it is known how many there are."""
    mode, span = place.setting("padding", "valid"), (taps - 1) * dilation
    if mode == "same" and (positions := place.inputs[0].positions):
        both = max(0, -(-positions // stride) * stride - stride + span + 1 - positions)
        return both // 2, both - both // 2
    if mode == "valid":
        return 0, 0
    if mode == "causal":
        return span, 0
    if mode == "same" and stride == 1:
        return span // 2, span - span // 2
    if mode == "same" and span == 0:
        return 0, 0
    if mode == "same":
        raise place.refusal(
            "has a stride and padding 'same', which depends on the utterance's length: take padding 'causal'"
        )
    raise place.refusal(f"has padding {mode!r}")


def _unpadded(place: Place) -> tuple[Place, tuple[int, int]]:
    """The same place without padding below it, and that."""
    if len(place.inputs) == 1 and (below := place.inputs[0].padding) != (0, 0):
        if place.setting("padding", "valid") != "valid":
            raise place.refusal("pads what is padded already: only one of them is read here")
        return replace(place, inputs=[replace(place.inputs[0], padding=(0, 0))]), below
    return place, (0, 0)


def _convolved(place: Place, W: Array, b: Array, groups: int, *, last: bool = True) -> Value:
    """``W``: [taps, inputs / groups, outputs]. ``last``: with the layer's activation."""
    place, more = _unpadded(place)
    place.check_channels_last()
    value, (taps, _, size) = place.over_time(), W.shape
    stride, dilation = place.size("strides", 1), place.size("dilation_rate", 1)
    left, right = (sum(each) for each in zip(padding(place, taps, stride, dilation), more, strict=True))
    soft = is_softmax(place)
    function = IDENTITY if soft or not last else activation(place)
    layer = Convolution(size, taps, stride, dilation, groups, left, right, activation=function)
    made = place.made(layer, {"W": W.transpose(2, 0, 1).reshape(size, -1), "b": b}, value)
    return softened(place, made) if soft and last else made


def _conv1d(place: Place) -> Value:
    size, taps, groups = place.size("filters"), place.size("kernel_size"), place.size("groups", 1)
    W, b = place.with_bias((taps, place.inputs_size // groups, size), bias=(size,))
    return _convolved(place, W, b, groups)


def _across(W: Array) -> Array:
    """A depthwise kernel [taps, inputs, multiplier] as one of groups: [taps, 1, inputs * multiplier]."""
    return W.reshape(len(W), 1, -1)


def _depthwise(place: Place) -> Value:
    taps, inputs, times = place.size("kernel_size"), place.inputs_size, place.size("depth_multiplier", 1)
    W, b = place.with_bias((taps, inputs, times), bias=(inputs * times,))
    return _convolved(place, _across(W), b, inputs)


def _separable(place: Place) -> Value:
    """Depthwise over time, then a product of each frame."""
    size, taps, times = place.size("filters"), place.size("kernel_size"), place.size("depth_multiplier", 1)
    inputs = place.inputs_size
    D, P, b = place.with_bias((taps, inputs, times), (1, inputs * times, size), bias=(size,))
    below = _convolved(place, _across(D), np.zeros(inputs * times, np.float32), inputs, last=False)
    plain = {"strides": 1, "dilation_rate": 1, "padding": "valid"}
    return _convolved(replace(place, inputs=[below], config=place.config | plain), P, b, 1)


def _transposed(place: Place) -> Value:
    """Kernel [taps, outputs, inputs]. "same" gives exactly ``strides`` frames for each: what is more is cut."""
    place.check_channels_last()
    size, taps, stride = place.size("filters"), place.size("kernel_size"), place.size("strides", 1)
    value = place.over_time()
    if stride == 1 or taps < stride or place.size("dilation_rate", 1) != 1 or place.setting("output_padding"):
        raise place.refusal("has a stride of 1, above its kernel_size, a dilation or output_padding: not read here")
    W, b = place.with_bias((taps, size, place.inputs_size), bias=(size,))
    mode = place.setting("padding", "valid")
    if mode not in ("same", "valid"):
        raise place.refusal(f"has padding {mode!r}")
    cut = taps - stride if mode == "same" else 0
    start, end = cut // 2, cut - cut // 2
    soft = is_softmax(place)
    function = IDENTITY if soft else activation(place)
    layer = TransposedConvolution(size, taps, stride, start, end, function)
    made = place.made(layer, {"W": W.transpose(1, 0, 2).reshape(size, -1), "b": b}, value)
    return softened(place, made) if soft else made


CONVERTERS: dict[str, Converter] = {
    "Conv1D": _conv1d,
    "DepthwiseConv1D": _depthwise,
    "SeparableConv1D": _separable,
    "Conv1DTranspose": _transposed,
}
