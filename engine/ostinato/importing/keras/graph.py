"""A model's configuration as layers, and their calls in the order of computing, however a version of Keras writes
it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Any, NamedTuple

from ostinato.errors import ForeignModelError
from ostinato.model.limits import MAX_NODES

MAX_LAYERS = 4 * MAX_NODES
"""Of a model; some need no node."""
MODELS = ("Sequential", "Functional", "Model")
"""Classes of models that a configuration describes in full; the last is Keras 2's name of the second."""


class Tensor(NamedTuple):
    """An output: of a layer, of which of its calls, and which one if it has several."""

    layer: str
    call: int = 0
    output: int = 0


@dataclass(frozen=True)
class Layer:
    """``kind``: its class. ``module``: where that is from."""

    name: str
    kind: str
    config: dict[str, Any]
    module: str

    @property
    def is_model(self) -> bool:
        """Whether it is a model within the model."""
        return self.kind in MODELS


@dataclass(frozen=True)
class Call:
    """``layer``: its number among the graph's. ``makes``: its first output. ``constants``: arguments that are
    numbers; ``leads``: whether the first argument is one."""

    layer: int
    inputs: tuple[Tensor, ...]
    makes: Tensor
    constants: tuple[Any, ...] = ()
    leads: bool = False


@dataclass(frozen=True)
class Graph:
    """``inputs``: as many as the model has. ``outputs``: by their names, which are the layers' if they have none."""

    layers: list[Layer]
    calls: list[Call]
    inputs: list[Tensor]
    outputs: dict[str, Tensor] = field(default_factory=dict)


def graph(model: dict[str, Any], name: str) -> Graph:
    """That of a configuration. ``name``: the model's, for people.

    Raises ForeignModelError for what is no model, or is none that a configuration describes.
    """
    kind = model.get("class_name")
    if kind not in MODELS:
        raise ForeignModelError(
            f"{name} is of class {kind!r}, which is code that the file does not hold: build it as a Sequential or "
            "functional model, load its weights there, and save that"
        )
    config = _dict(model.get("config"), f"{name}: config") if not isinstance(model.get("config"), list) else {}
    raw = config.get("layers") if config else model["config"]  # a list alone: the first versions of Keras 2
    if not isinstance(raw, list) or not raw:
        raise ForeignModelError(f"{name} has no layers")
    if len(raw) > MAX_LAYERS:
        raise ForeignModelError(f"{name} has {len(raw)} layers, over the limit of {MAX_LAYERS}: use a smaller model")
    layers = [_layer(each, f"{name}: layers[{number}]") for number, each in enumerate(raw)]
    if len({layer.name for layer in layers}) != len(layers):
        raise ForeignModelError(f"{name} has two layers of one name")
    if kind == "Sequential":
        return _chain(layers)
    calls, inputs = _in_order(_calls(raw, layers), name), _tensors(config.get("input_layers"), f"{name}: inputs")
    if not inputs:
        raise ForeignModelError(f"{name} has no inputs")
    found = Graph(layers, calls, inputs)
    outputs = config.get("output_layers")
    if isinstance(outputs, dict):
        named = {key: _tensors(value, f"{name}: outputs")[0] for key, value in outputs.items()}
    else:
        named = {}
        for tensor in _tensors(outputs, f"{name}: outputs"):
            label = tensor.layer if tensor.layer not in named else f"{tensor.layer}-{len(named) + 1}"
            named[label] = tensor
    found.outputs.update(named)
    return found


def within(layer: Layer) -> Graph:
    """That of a layer that is a model."""
    return graph({"class_name": layer.kind, "config": layer.config}, f"model {layer.name!r}")


def _layer(raw: Any, where: str) -> Layer:
    raw = _dict(raw, where)
    config = _dict(raw.get("config"), f"{where}.config")
    name, kind = raw.get("name") or config.get("name"), raw.get("class_name")
    if not isinstance(name, str) or not isinstance(kind, str):
        raise ForeignModelError(f"{where} has no name and class: it is damaged")
    if isinstance(raw.get("registered_name"), str) and ">" in raw["registered_name"]:
        raise ForeignModelError(
            f"layer {name!r} is of class {raw['registered_name']!r}, which is code that the file does not hold: "
            "build it of Keras's own layers"
        )
    module = raw.get("module")
    return Layer(name, kind, config, module if isinstance(module, str) else "")


def _chain(layers: list[Layer]) -> Graph:
    """Of a Sequential model, whose input may be no layer."""
    first = layers[0].kind == "InputLayer"
    before = Tensor(layers[0].name) if first else Tensor("")
    found = Graph(layers, [], [before])
    for number, layer in enumerate(layers):
        if number or not first:
            found.calls.append(Call(number, (before,), Tensor(layer.name)))
            before = Tensor(layer.name)
    found.outputs["main"] = before
    return found


def _calls(raw: list[Any], layers: list[Layer]) -> Iterator[Call]:
    """All calls of a functional model's layers."""
    for number, (each, layer) in enumerate(zip(raw, layers, strict=True)):
        nodes = each.get("inbound_nodes", [])
        if not isinstance(nodes, list):
            raise ForeignModelError(f"layer {layer.name!r}: inbound_nodes is no list")
        for index, node in enumerate(nodes):
            tensors: list[Tensor] = []
            constants: list[Any] = []
            leads = False
            if isinstance(node, dict):
                arguments = node.get("args")
                leads = isinstance(arguments, list) and type(arguments[:1][0] if arguments else None) in (int, float)
                _gather(arguments, layer.name, tensors, constants)
                options = node.get("kwargs")
            else:
                options = _gather_listed(node, layer.name, tensors)
            _check_options(options, layer.name)
            first = isinstance(node, list) and _counts_inputs(layer)
            if layer.kind != "InputLayer":
                yield Call(number, tuple(tensors), Tensor(layer.name, index + first), tuple(constants), leads)


def _counts_inputs(layer: Layer) -> bool:
    """Whether Keras 2 counts a model's own inputs as its first call."""
    layers = layer.config.get("layers")
    inner = layers[0] if layer.is_model and isinstance(layers, list) and layers else None
    return isinstance(inner, dict) and inner.get("class_name") == "InputLayer"


def _gather(value: Any, name: str, tensors: list[Tensor], constants: list[Any]) -> None:
    """Of Keras 3's arguments, the tensors and the numbers."""
    if isinstance(value, list):
        for each in value:
            _gather(each, name, tensors, constants)
    elif isinstance(value, dict) and value.get("class_name") == "__keras_tensor__":
        tensors += _tensors(_dict(value.get("config"), name).get("keras_history"), f"layer {name!r}")
    elif value is not None:
        constants.append(value)


def _gather_listed(node: Any, name: str, tensors: list[Tensor]) -> dict[str, Any]:
    """Of a call as Keras 2 writes it: [layer, call, output, options] for each input."""
    options: dict[str, Any] = {}
    entries = node if isinstance(node, list) else [node]
    if entries and isinstance(entries[0], str):
        entries = [entries]
    for entry in entries:
        tensors += _tensors(entry[:3] if isinstance(entry, list) else entry, f"layer {name!r}")
        if isinstance(entry, list) and len(entry) > 3:
            options |= _dict(entry[3], f"layer {name!r}: options of a call")
    return options


def _check_options(options: Any, name: str) -> None:
    """Calls say nothing but whether they learn, and masks."""
    for key, value in (options or {}).items() if isinstance(options, dict | None) else ():
        if value is not None and key not in ("training", "mask"):
            raise ForeignModelError(
                f"layer {name!r} is called with {key!r}, which is not read here: streams begin from zeros, or from "
                "states that are weights"
            )


def _tensors(value: Any, where: str) -> list[Tensor]:
    """[layer, call, output], or a list of these."""
    entries = value if isinstance(value, list) and (not value or isinstance(value[0], list)) else [value]
    found = []
    for entry in entries:
        good = isinstance(entry, list) and len(entry) == 3 and isinstance(entry[0], str)
        if not good or not all(type(each) is int and each >= 0 for each in entry[1:]):
            raise ForeignModelError(f"{where}: {str(entry)[:60]} names no layer's output: the file is damaged")
        found.append(Tensor(*entry))
    return found


def _in_order(calls: Iterator[Call], name: str) -> list[Call]:
    """Each behind those whose outputs it takes."""
    by_output = {call.makes: call for call in calls}
    needs = {key: [Tensor(*each[:2]) for each in call.inputs] for key, call in by_output.items()}
    try:
        order = list(TopologicalSorter(needs).static_order())
    except CycleError as error:
        circle = " -> ".join(tensor.layer for tensor in error.args[1])
        raise ForeignModelError(f"{name}: layers {circle} read each other in a circle") from error
    return [by_output[each] for each in order if each in by_output]


def _dict(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ForeignModelError(f"{where} is {str(value)[:40]!r}, not an object: the file is damaged")
    return value
