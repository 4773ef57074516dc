"""From a graph of layers to nodes, through models within the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ostinato.errors import ForeignModelError
from ostinato.importing.keras.graph import MAX_LAYERS, MODELS, Graph, Layer, Tensor, within
from ostinato.importing.keras.layers import CONVERTERS, REASONS
from ostinato.importing.keras.layers.recurrent import cells
from ostinato.importing.keras.layers.wrapping import distributed, in_frame
from ostinato.importing.keras.place import Array, Making, Place, Value
from ostinato.importing.keras.weights import Named, Weights

MAX_CALLS = MAX_LAYERS
"""Of layers, all together: a model within a model that is used twice counts twice."""


class Walk:
    """Through a file's model."""

    def __init__(self, making: Making) -> None:
        self._making = making
        self._calls = 0
        self._graphs: dict[int, Graph] = {}
        self._arrays: dict[tuple[str, str], list[Array]] = {}
        """By class and name: a layer that stands in two models has its weights in the file once."""

    def model(
        self, model: Graph, weights: Weights, inputs: Sequence[Value], name: str, *, in_frame: bool = False
    ) -> dict[str, Value]:
        """The outputs of a model of these inputs, by their names. ``in_frame``: it works within each frame.

        Raises ForeignModelError, naming the layer, for what is not read here."""
        if len(inputs) != len(model.inputs):
            raise ForeignModelError(f"{name} has {len(model.inputs)} inputs, and is called with {len(inputs)}")
        found = dict(zip(model.inputs, inputs, strict=True))
        weights_of = weights.of([Named(layer.kind, layer.name, layer.is_model) for layer in model.layers])
        for call in model.calls:
            layer = model.layers[call.layer]
            self._calls += 1
            if self._calls > MAX_CALLS:
                raise ForeignModelError(f"it calls over {MAX_CALLS} layers: use a smaller model")
            values = [self._value(found, tensor, layer.name) for tensor in call.inputs]
            if not values:
                raise ForeignModelError(f"layer {layer.name!r} ({layer.kind}) reads nothing")
            own = weights_of[call.layer]
            wrapped = _wrapped(layer)
            if layer.is_model or wrapped is not None:
                inner = wrapped or layer
                made = self._inner_model(layer, inner, own, values, in_frame)
                found |= {call.makes._replace(output=number): each for number, each in enumerate(made)}
                continue
            arrays = self._arrays_of(layer, own) or self._arrays.get((layer.kind, layer.name), [])
            self._arrays[layer.kind, layer.name] = arrays
            place = Place(
                self._making, layer.name, layer.kind, layer.config, values, arrays, call.constants, call.leads
            )
            found[call.makes] = self._convert(place, in_frame)
        return {label: self._value(found, tensor, "the model's outputs") for label, tensor in model.outputs.items()}

    def _inner_model(
        self, layer: Layer, inner: Layer, weights: Weights, values: Sequence[Value], in_frame: bool
    ) -> list[Value]:
        """The outputs of a model within the model; if ``inner`` is not ``layer`` itself, of one for each frame."""
        name = f"model {inner.name!r}"
        if inner is layer:
            return list(self.model(self._inner(inner), weights, values, name, in_frame=in_frame).values())
        place = Place(self._making, layer.name, layer.kind, layer.config, values, [])
        if in_frame:
            raise place.refusal("is within another: one is read here")
        given = [distributed(place)]
        made = self.model(self._inner(inner), weights.inside("layer"), given, name, in_frame=True)
        return [replace(value, time="all") for value in made.values()]

    @staticmethod
    def _arrays_of(layer: Layer, own: Weights) -> list[Array]:
        """In Keras's order; of stacked cells in theirs."""
        named = [Named(str(cell.get("class_name")), _name(cell), False) for cell in cells(layer.config)]
        if len(named) < 2:
            return own.arrays()
        return [array for each in own.inside("cell").of(named) for array in each.arrays()]

    def _inner(self, layer: Layer) -> Graph:
        """A layer that is a model, which may be called several times."""
        key = id(layer.config)
        if key not in self._graphs:
            self._graphs[key] = within(layer)
        return self._graphs[key]

    @staticmethod
    def _convert(place: Place, inside: bool) -> Value:
        if inside and place.kind in CONVERTERS:
            return in_frame(place)
        convert = CONVERTERS.get(place.kind)
        if convert is None:
            known = ", ".join(sorted(CONVERTERS))
            raise place.refusal(REASONS.get(place.kind, f"is not read here: read are {known}"))
        return convert(place)

    @staticmethod
    def _value(found: dict[Tensor, Value], tensor: Tensor, reader: str) -> Value:
        if tensor in found:
            return found[tensor]
        if tensor.output and tensor._replace(output=0) in found:
            raise ForeignModelError(
                f"a state of layer {tensor.layer!r} goes to {reader}: a stream's states stay in it; leave it out, "
                "and begin from zeros"
            )
        raise ForeignModelError(f"{reader} reads layer {tensor.layer!r}, which is not there: the file is damaged")


def _wrapped(layer: Layer) -> Layer | None:
    """The model that a layer applies to each frame, if it is such a layer."""
    raw = layer.config.get("layer") if layer.kind == "TimeDistributed" else None
    if not isinstance(raw, dict) or raw.get("class_name") not in MODELS or not isinstance(raw.get("config"), dict):
        return None
    return Layer(f"{layer.name} of {_name(raw)}", str(raw["class_name"]), raw["config"], "")


def _name(raw: dict[str, Any]) -> str:
    """Of a layer as a configuration has it."""
    config = raw.get("config")
    return str(config.get("name")) if isinstance(config, dict) else ""
