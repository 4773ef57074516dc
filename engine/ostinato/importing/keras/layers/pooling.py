"""Pooling over time, and its opposite."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ostinato.importing.keras.layers.convolution import padding
from ostinato.importing.keras.place import Converter, Place, Value
from ostinato.model.layers import MaxPool, MeanPool, TransposedConvolution


def _pooled(place: Place) -> Value:
    place.check_channels_last()
    value, taps = place.over_time(), place.size("pool_size", 2)
    place.shaped()
    stride = place.size("strides", taps)
    left, right = padding(place, taps, stride, 1)
    if place.kind == "AveragePooling1D" and (left or right):
        raise place.refusal("has padding 'same', whose frames Keras leaves out of the mean: take padding 'valid'")
    kind = MaxPool if place.kind == "MaxPooling1D" else MeanPool
    return place.made(kind(taps, stride, left, right), value=value)


def _global_average(place: Place) -> Value:
    """The mean over the utterance, which only a decoder can take."""
    value = place.over_time()
    place.shaped()
    place.check_channels_last()
    if place.along:
        return _over_positions(place)
    place.tell(f"mean of {place.name}", "over the utterance's frames: taken by the decoder, when the utterance ends")
    return replace(value, time="mean")


def _over_positions(place: Place) -> Value:
    """The mean or the maximum of all positions of a frame."""
    value = place.over_time()
    kind = MeanPool if place.kind == "GlobalAveragePooling1D" else MaxPool
    return replace(place.made(kind(value.positions, value.positions, 0, 0), value=value), positions=0)


def _global_maximum(place: Place) -> Value:
    if not place.along:
        raise place.refusal(
            "needs the whole utterance before it says anything: take return_sequences=False, or the decoder's pooling"
        )
    place.shaped()
    place.check_channels_last()
    return _over_positions(place)


def _upsampled(place: Place) -> Value:
    """Each frame several times."""
    value, times, size = place.over_time(), place.size("size", 2), place.inputs_size
    place.shaped()
    if times == 1:
        return value
    W = np.tile(np.eye(size, dtype=np.float32), times)
    return place.made(TransposedConvolution(size, times, times), {"W": W, "b": np.zeros(size, np.float32)}, value)


CONVERTERS: dict[str, Converter] = {
    "MaxPooling1D": _pooled,
    "AveragePooling1D": _pooled,
    "GlobalAveragePooling1D": _global_average,
    "GlobalMaxPooling1D": _global_maximum,
    "UpSampling1D": _upsampled,
}
