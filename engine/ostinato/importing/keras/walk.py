"""From a graph of layers to nodes, through models within the model."""

from __future__ import annotations

from collections.abc import Sequence

from ostinato.errors import ForeignModelError
from ostinato.importing.keras.graph import MAX_LAYERS, Graph, Layer, Tensor, within
from ostinato.importing.keras.layers import CONVERTERS, REASONS
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

    def model(self, model: Graph, weights: Weights, inputs: Sequence[Value], name: str) -> dict[str, Value]:
        """The outputs of a model of these inputs, by their names.

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
            if layer.is_model:
                outputs = list(self.model(self._inner(layer), own, values, f"model {layer.name!r}").values())
                found |= {call.makes._replace(output=number): each for number, each in enumerate(outputs)}
                continue
            arrays = own.arrays() or self._arrays.get((layer.kind, layer.name), [])
            self._arrays[layer.kind, layer.name] = arrays
            place = Place(self._making, layer.name, layer.kind, layer.config, values, arrays, call.constants)
            found[call.makes] = self._convert(place)
        return {label: self._value(found, tensor, "the model's outputs") for label, tensor in model.outputs.items()}

    def _inner(self, layer: Layer) -> Graph:
        """A layer that is a model, which may be called several times."""
        key = id(layer.config)
        if key not in self._graphs:
            self._graphs[key] = within(layer)
        return self._graphs[key]

    @staticmethod
    def _convert(place: Place) -> Value:
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
                f"{reader} reads a state of layer {tensor.layer!r}: a stream's states stay in it; begin from zeros"
            )
        raise ForeignModelError(f"{reader} reads layer {tensor.layer!r}, which is not there: the file is damaged")
