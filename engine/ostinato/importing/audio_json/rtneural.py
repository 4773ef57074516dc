"""RTNeural's and AIDA-X's layers, one behind the other, whose weights are as Keras has them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ostinato.errors import ForeignModelError
from ostinato.importing.audio_json import document, sound
from ostinato.importing.audio_json.document import Array, Document, as_array
from ostinato.importing.builder import Builder
from ostinato.importing.draft import Decision, Draft
from ostinato.importing.gates import reordered
from ostinato.importing.settings import Settings
from ostinato.importing.source import Recorded
from ostinato.model.activation import Activation
from ostinato.model.layers import (
    Activate,
    Add,
    BatchNorm,
    Convolution,
    Dense,
    Gru,
    Layer,
    Lstm,
    PRelu,
    Scale,
    Slice,
    Softmax,
)
from ostinato.model.specification import FRAMES

LARGEST_EPSILON = 1e6
ACTIVATIONS = {name: Activation(name) for name in ("tanh", "relu", "sigmoid", "elu")}


class Made(NamedTuple):
    """What a layer of the file becomes, before its activation."""

    layer: Layer
    weights: dict[str, Array]


def draft(path: Path, settings: Settings) -> Draft:
    """As `ostinato.importing.formats` wants it."""
    settings.known()
    file = document.read(path)
    shape = file.take("in_shape", list)
    inputs = _last(shape, file.at("in_shape"))
    said = Document(file.get("metadata", dict, {}), "metadata")
    rate, decisions = _rate(file, said)
    builder = Builder(sound.front_end(settings, inputs, rate or sound.USUAL_RATE))
    node = FRAMES
    in_gain, out_gain = (file.get(field, float, 0.0) for field in ("in_gain", "out_gain"))
    skip = file.get("in_skip", int, 0)
    if skip not in (0, 1):
        raise ForeignModelError(f"in_skip is {skip}: only 0 and 1 are read, as by AIDA-X")
    if in_gain:
        gains = np.ones(inputs, np.float32)
        gains[0] = 10 ** (in_gain / 20)
        node = builder.add(Scale(), [node], {"a": gains, "b": np.zeros(inputs)}, name="in-gain")
        decisions.append(Decision("in_gain", f"{in_gain:g} dB, before the first layer"))
    heard = node
    layers = file.documents("layers")
    for number, layer in enumerate(layers, 1):
        node = _add(builder, node, layer, number)
    if node == heard:
        raise ForeignModelError("layers is empty: there is no network in the file")
    if skip:
        dry = builder.add(Slice(0, 1), [heard], name="dry") if inputs > 1 else heard
        node = builder.add(Add(), [node, dry], name="skip")
        decisions.append(Decision("in_skip", "the input is added to the outputs"))
    if out_gain and skip:
        decisions.append(Decision("out_gain", f"{out_gain:g} dB is left out, as AIDA-X does beside in_skip"))
    elif out_gain:
        size = builder.wires[node].size
        a = np.full(size, 10 ** (out_gain / 20))
        node = builder.add(Scale(), [node], {"a": a, "b": np.zeros(size)}, name="out-gain")
        decisions.append(Decision("out_gain", f"{out_gain:g} dB, behind the last layer"))
    recorded = _recorded(file, inputs, in_gain or out_gain)
    file.end("take it out if it is no part of the network")
    made = sound.draft(builder, settings, node, path, sound.card(said), decisions)
    return dataclasses.replace(made, source=recorded, unseen="") if recorded else made


def _recorded(file: Document, inputs: int, gain: float) -> Recorded | None:
    """What AIDA-X's trainer recorded of the network, from its first state on: better to compare with than formulas.
    The gains of a file were not there yet."""
    if "input_batch" not in file or "output_batch" not in file:
        file.drop("input_batch", "output_batch")
        return None
    heard, played = (file.array(field).reshape(-1, 1) for field in ("input_batch", "output_batch"))
    usable = len(heard) == len(played) > 0 and inputs == 1 and not gain and np.isfinite(heard).all()
    return Recorded(heard, {"main": played}) if usable else None


def _rate(file: Document, said: Document) -> tuple[float, list[Decision]]:
    """Samples a second, 0.0 if the file has none: AIDA-X's trainer writes them as text beside its author."""
    rate, where = 0.0, ""
    for place, field in ((file, "samplerate"), (file, "sample_rate"), (said, "samplerate"), (said, "sample_rate")):
        if field in place and (value := place.value(field)) is not None:
            try:
                rate, where = float(value), place.at(field)
            except (TypeError, ValueError):
                raise ForeignModelError(f"{place.at(field)} is {value!r}, no rate of samples") from None
    how = f"as {where} says" if rate else "which the file does not say: name another front end if it is not so"
    return rate, [Decision("sample rate", f"{rate or sound.USUAL_RATE:g} Hz, {how}")]


def _last(shape: list[Any], where: str) -> int:
    """The size of a frame. Raises ForeignModelError for shapes that have more than frames of values."""
    if not shape or len(shape) > 3 or type(shape[-1]) is not int or shape[-1] < 1:
        raise ForeignModelError(
            f"{where} is {str(shape)[:60]}: only [batch, time, values] and [batch, values] are read here"
        )
    return int(shape[-1])


def _add(builder: Builder, node: str, raw: Document, number: int) -> str:
    """A layer, and its activation; the last node."""
    kind = raw.take("type", str)
    origin = f"layer {number} ({kind})"
    name = raw.get("name", str, f"{kind}-{number}")
    if kind not in KINDS:
        raise ForeignModelError(
            f"{origin} is not read here, and the network is another one without it: types are {', '.join(KINDS)}"
        )
    size = _last(raw.take("shape", list), raw.at("shape"))
    arrays = [as_array(each, f"{raw.at('weights')}[{i}]") for i, each in enumerate(raw.get("weights", list, []))]
    inputs, activation = builder.wires[node].size, raw.get("activation", str, "")
    if (make := KINDS[kind]) is not None:
        made = make(raw, inputs, size, arrays, origin)
        node = builder.add(made.layer, [node], made.weights, name=name, origin=origin)
    elif arrays:
        raise ForeignModelError(f"{origin} has weights, and needs none")
    elif not activation:
        raise ForeignModelError(f"{origin} has no activation")
    if kind in RECURRENT:
        if activation not in ("", "tanh"):
            raise ForeignModelError(f"{origin} has activation {activation!r}: recurrent layers here have tanh")
    elif activation == "softmax":
        node = builder.add(Softmax(), [node], name=f"{name}-softmax", origin=origin)
    elif activation and activation not in ACTIVATIONS:
        known = ", ".join((*ACTIVATIONS, "softmax"))
        raise ForeignModelError(f"{origin} has activation {activation!r}: only {known} are read")
    elif activation:
        node = builder.add(Activate(ACTIVATIONS[activation]), [node], name=f"{name}-{activation}", origin=origin)
    raw.end("it is no setting of that type")
    if builder.wires[node].size != size:
        raise ForeignModelError(f"{origin} makes {builder.wires[node].size} values, and its shape says {size}")
    return node


def _shaped(arrays: list[Array], shapes: list[tuple[int, ...]], origin: str) -> list[Array]:
    """The arrays, if they are exactly those."""
    found = [list(array.shape) for array in arrays]
    if found != [list(shape) for shape in shapes]:
        wanted = ", ".join(str(list(shape)) for shape in shapes)
        raise ForeignModelError(f"{origin} has weights {', '.join(map(str, found)) or 'none'}, and needs {wanted}")
    return arrays


def _dense(raw: Document, inputs: int, size: int, arrays: list[Array], origin: str) -> Made:
    shapes: list[tuple[int, ...]] = [(inputs, size), (size,)]
    W, *bias = _shaped(arrays, shapes[: max(1, len(arrays))], origin)
    return Made(Dense(size), {"W": W.T, "b": bias[0] if bias else np.zeros(size, np.float32)})


def _convolution(raw: Document, inputs: int, size: int, arrays: list[Array], origin: str) -> Made:
    """Causal, as RTNeural runs it whatever the padding was when it was trained."""
    taps, dilation = (_one(raw, field) for field in ("kernel_size", "dilation"))
    groups = raw.size("groups", 1)
    if raw.get("strides", list, [1])[-1:] != [1]:
        raise ForeignModelError(f"{origin} has strides: RTNeural's models have none")
    shapes: list[tuple[int, ...]] = [(taps, inputs // groups, size), (size,)]
    W, b = _shaped(arrays, shapes, origin)
    layer = Convolution(size, taps, dilation=dilation, groups=groups)
    return Made(layer, {"W": W.transpose(2, 0, 1).reshape(size, -1), "b": b})


def _one(raw: Document, field: str) -> int:
    """A setting that is a list of one size, or that size."""
    value = raw.value(field)
    value = value[-1] if isinstance(value, list) and len(value) == 1 else value
    if type(value) is not int or value < 1:
        raise ForeignModelError(f"{raw.at(field)} is {value!r}, not a whole number from 1")
    return value


def _gru(raw: Document, inputs: int, size: int, arrays: list[Array], origin: str) -> Made:
    W, R, b = _shaped(arrays, [(inputs, 3 * size), (size, 3 * size), (2, 3 * size)], origin)
    return Made(Gru(size), _forward(W=W.T, R=R.T, Wb=b[0], Rb=b[1]))


def _lstm(raw: Document, inputs: int, size: int, arrays: list[Array], origin: str) -> Made:
    arrays = _shaped(arrays, [(inputs, 4 * size), (size, 4 * size), (4 * size,)], origin)
    W, R, b = (reordered(array.T, "ifco", "iofc") for array in arrays)
    return Made(Lstm(size), _forward(W=W, R=R, Wb=b, Rb=np.zeros_like(b)))


def _forward(**parts: Array) -> dict[str, Array]:
    return {f"forward.{part}": value for part, value in parts.items()}


def _prelu(raw: Document, inputs: int, size: int, arrays: list[Array], origin: str) -> Made:
    """A slope for each value, or one for all; a time axis of its own makes no sense in a stream."""
    slopes = arrays[0].reshape(-1) if len(arrays) == 1 else np.zeros(0)
    if len(slopes) not in (1, inputs):
        raise ForeignModelError(f"{origin} has no weights of one slope, or one for each of {inputs} values")
    return Made(PRelu(), {"slope": np.broadcast_to(slopes, inputs)})


def _batch_norm(raw: Document, inputs: int, size: int, arrays: list[Array], origin: str) -> Made:
    """Gamma and beta may be left out."""
    epsilon = raw.take("epsilon", float)
    if epsilon > LARGEST_EPSILON:
        raise ForeignModelError(f"{origin} has epsilon {epsilon:g}: it keeps a variance from being zero")
    arrays = _shaped(arrays, [(inputs,)] * (2 if len(arrays) == 2 else 4), origin)
    if len(arrays) == 2:
        arrays = [np.ones(inputs, np.float32), np.zeros(inputs, np.float32), *arrays]
    weights = dict(zip(("gamma", "beta", "mean", "variance"), arrays, strict=True))
    most = min(epsilon, 1.0)  # what is above it goes to the variance, to which it is added anyway
    weights["variance"] = weights["variance"] + np.float32(epsilon - most)
    return Made(BatchNorm(most), weights)


RECURRENT = ("gru", "lstm")
KINDS: dict[str, Callable[[Document, int, int, list[Array], str], Made] | None] = {
    "dense": _dense,
    "time-distributed-dense": _dense,
    "conv1d": _convolution,
    "gru": _gru,
    "lstm": _lstm,
    "prelu": _prelu,
    "batchnorm": _batch_norm,
    "activation": None,
}
"""By their type in a file: what makes a layer of its settings, its inputs and outputs, its weights and its name for
people. None: an activation alone."""
