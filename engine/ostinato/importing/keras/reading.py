"""From a Keras file to a draft."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

from ostinato.errors import ForeignModelError
from ostinato.importing.builder import Builder
from ostinato.importing.draft import Decision, Draft
from ostinato.importing.keras import files
from ostinato.importing.keras.graph import Graph, Layer, Tensor, graph, within
from ostinato.importing.keras.place import Making, Value
from ostinato.importing.keras.walk import Walk
from ostinato.importing.settings import Settings
from ostinato.importing.source import Float64
from ostinato.model.decoders import Decoder, Outputs, SequenceClass
from ostinato.model.front_ends import Frames, FrontEnd, Tokens
from ostinato.model.layers import Slice
from ostinato.model.specification import FRAMES

_FIRST_SIGN = 0x4E00
MAX_WORDS = 0xD800 - _FIRST_SIGN
"""Tokens that can be named by single signs."""


class Input(NamedTuple):
    """``size``: values of a frame, or words if it is of ``tokens``. ``frames``: whether Keras has an axis of time;
    ``positions``: how many each frame has, 0 where it is a plain vector."""

    size: int
    tokens: bool
    frames: bool
    positions: int = 0


def draft(path: Path, settings: Settings) -> Draft:
    """As `ostinato.importing.formats` wants it."""
    settings.known()
    file = files.read(path)
    model = graph(file.model, "the model")
    inputs = [_input(model, number, file.model) for number in range(len(model.inputs))]
    making = Making(Builder(_front_end(settings, inputs)), file.version)
    making.told[Decision("Keras", file.version or "a version that the file does not say")] = None
    outputs = Walk(making).model(model, file.weights, _values(making, inputs, settings), "the model")
    for left in file.weights.left():
        raise ForeignModelError(f"array {left!r} is used by no layer, and would be lost: the file is damaged")
    heads = [_head(making, name, value, settings) for name, value in outputs.items()]
    if len(heads) == 1:
        heads = [("main", *heads[0][1:])]
    network = making.builder.network(settings, heads, name=_name(file.model, path))
    return Draft(network, Float64(network), tuple(making.told), unseen=Float64.unseen)


def _name(model: dict[str, Any], path: Path) -> str:
    """The file's, unless somebody named the model."""
    config = model.get("config")
    name = config.get("name") if isinstance(config, dict) else None
    usual = not isinstance(name, str) or name.startswith(("sequential", "functional", "model"))
    return path.stem if usual else str(name)


# --- inputs ---------------------------------------------------------------------------------------------------------


def _input(model: Graph, number: int, raw: dict[str, Any]) -> Input:
    """What an input is, by its shape and by who reads it."""
    tensor = model.inputs[number]
    layer = next((each for each in model.layers if each.name == tensor.layer), None)
    words = _words(model, tensor)
    shape = _shape(layer or model.layers[0], raw)
    if words:
        return Input(words, True, True)
    inner = shape[2 if len(shape) > 3 else -1 :] if shape else []
    if shape is None or len(shape) not in (2, 3, 4) or any(type(each) is not int or each < 1 for each in inner):
        readers = [model.layers[call.layer] for call in model.calls if tensor in call.inputs]
        reader = f", and goes to layer {readers[0].name!r} ({readers[0].kind})" if readers else ""
        raise ForeignModelError(
            f"input {tensor.layer or number!r} has shape {shape}{reader}: [batch, time, values], [batch, values] and "
            "[batch, time, positions, values] are read"
        )
    return Input(math.prod(inner), False, len(shape) > 2, inner[0] if len(inner) > 1 else 0)


def _shape(layer: Layer, raw: dict[str, Any]) -> list[Any] | None:
    """An input's, wherever a version of Keras writes it."""
    config = raw.get("config")
    sources = [layer.config.get(key) for key in ("batch_shape", "batch_input_shape")]
    sources += [config.get("build_input_shape")] if isinstance(config, dict) else []
    build = raw.get("build_config")
    sources += [build.get("input_shape")] if isinstance(build, dict) else []
    return next((each for each in sources if isinstance(each, list) and each and not isinstance(each[0], list)), None)


def _words(model: Graph, tensor: Tensor) -> int:
    """Of how many words an input's tokens are; 0 if it is not of tokens, which embeddings read."""
    found = set[int]()
    readers = {(call.layer, call.inputs.index(tensor)) for call in model.calls if tensor in call.inputs}
    for number, argument in readers:
        layer = model.layers[number]
        if layer.kind == "Embedding":
            size = layer.config.get("input_dim")
            found.add(size if type(size) is int and size > 0 else 0)
        elif layer.is_model:
            inner = within(layer)
            found.add(_words(inner, inner.inputs[argument]) if argument < len(inner.inputs) else 0)
        else:
            found.add(0)
    if len(found) > 1:
        raise ForeignModelError(f"input {tensor.layer!r} is read as tokens of {found} words: one number is read here")
    return found.pop() if found else 0


def _front_end(settings: Settings, inputs: list[Input]) -> FrontEnd:
    """Ready frames of all inputs, side by side; or tokens."""
    if any(each.tokens for each in inputs) and len(inputs) > 1:
        raise ForeignModelError("it has several inputs, and one of tokens: a stream has one input")
    if len({each.frames for each in inputs}) > 1:
        raise ForeignModelError("it has inputs with and without an axis of time: a stream has frames only")
    if settings.front_end is not None:
        return settings.front_end
    if inputs[0].tokens:
        if (words := inputs[0].size) > MAX_WORDS:
            raise ForeignModelError(f"it reads tokens of {words} words: give them as front_end in --settings")
        return Tokens(tuple(chr(_FIRST_SIGN + number) for number in range(words)))
    return Frames(sum(each.size for each in inputs), settings.frame_ms)


def _values(making: Making, inputs: list[Input], settings: Settings) -> list[Value]:
    """The inputs as nodes."""
    if inputs[0].tokens:
        if settings.front_end is None:
            text = f"{inputs[0].size} tokens without names: give them as front_end in --settings"
            making.told[Decision("input", text)] = None
        return [Value(FRAMES)]
    time: Any = "all" if inputs[0].frames else "none"
    if not inputs[0].frames:
        making.told[Decision("input", "without an axis of time: each frame is an input of its own")] = None
    if len(inputs) == 1:
        return [Value(FRAMES, time, positions=inputs[0].positions)]
    making.told[Decision("inputs", f"side by side: {', '.join(str(each.size) for each in inputs)} values")] = None
    values, start = [], 0
    for number, each in enumerate(inputs, 1):
        node = making.builder.add(Slice(start, each.size), [FRAMES], name=f"input-{number}")
        values.append(Value(node, time, positions=each.positions))
        start += each.size
    return values


# --- outputs --------------------------------------------------------------------------------------------------------


def _head(making: Making, name: str, value: Value, settings: Settings) -> tuple[str, str, Decoder]:
    """Raw outputs of each frame; of probabilities of which Keras has one for the utterance, the class."""
    if value.padding != (0, 0):
        raise ForeignModelError("it ends in padding, which no layer reads")
    wire = making.builder.wires[value.node]
    classes = wire.probabilities and wire.size > 1
    if value.time in ("last", "mean") and classes:
        labels = tuple(str(number) for number in range(wire.size))
        if settings.decoder is None:
            text = "a class for the utterance, numbered from 0: name them by decoder in --settings"
            making.told[Decision(f"output {name}", text)] = None
        return name, value.node, SequenceClass(labels, "mean" if value.time == "mean" else "last")
    if value.time == "mean":
        raise ForeignModelError(
            f"output {name!r} is a mean over the utterance of what are no probabilities: no decoder takes it"
        )
    return name, value.node, Outputs()
