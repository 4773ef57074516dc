"""Activations that are layers, and those of Keras 3 that are operations."""

from __future__ import annotations

import numpy as np

from ostinato.importing.keras.activations import FUNCTIONS, activated
from ostinato.importing.keras.place import Converter, Place, Value
from ostinato.model.activation import Activation
from ostinato.model.layers import Activate, PRelu, Softmax


def _activation(place: Place) -> Value:
    place.shaped()
    return activated(place, place.one())


def _relu(place: Place) -> Value:
    """X above a threshold, up to a largest value; below, a slope. Two of these together are not ours."""
    place.shaped()
    slope, threshold = place.number("negative_slope", 0.0), place.number("threshold", 0.0)
    most = place.number("max_value", np.inf)
    if threshold == 0 and most == np.inf:
        function = Activation("leaky-relu", slope) if slope else Activation("relu")
    elif threshold == 0 and slope == 0:
        function = Activation("clip", 0.0, most)
    elif slope == 0 and most == np.inf:
        function = Activation("thresholded-relu", threshold)
    else:
        raise place.refusal("has two of negative_slope, threshold and max_value: one is read here")
    return place.made(Activate(function))


def _leaky(place: Place) -> Value:
    """Its slope is "alpha" in Keras 2."""
    place.shaped()
    slope = place.number("negative_slope", place.number("alpha", 0.3))
    return place.made(Activate(Activation("leaky-relu", slope)))


def _elu(place: Place) -> Value:
    place.shaped()
    return place.made(Activate(Activation("elu", place.number("alpha", 1.0))))


def _thresholded(place: Place) -> Value:
    place.shaped()
    return place.made(Activate(Activation("thresholded-relu", place.number("theta", 1.0))))


def _prelu(place: Place) -> Value:
    """A slope for each value; one for each frame, which Keras has unless time is shared, cannot stream."""
    size = place.inputs_size
    shape = (1, size) if place.one().frames else (size,)
    if [array.shape for array in place.arrays] != [shape] and place.one().frames:
        raise place.refusal("has a slope for each frame of one length: take shared_axes=[1], one for all frames")
    (slope,) = place.shaped(shape)
    return place.made(PRelu(), {"slope": slope.reshape(-1)})


def _softmax(place: Place) -> Value:
    place.shaped()
    place.check_last_axis()
    return place.made(Softmax())


def _operation(name: str) -> Converter:
    def convert(place: Place) -> Value:
        place.shaped()
        return place.made(Activate(FUNCTIONS[name]))

    return convert


CONVERTERS: dict[str, Converter] = {
    "Activation": _activation,
    "ReLU": _relu,
    "LeakyReLU": _leaky,
    "ELU": _elu,
    "ThresholdedReLU": _thresholded,
    "PReLU": _prelu,
    "Softmax": _softmax,
    **{name.title().replace("_", ""): _operation(name) for name in ("relu", "relu6", "tanh", "sigmoid", "silu")},
}
