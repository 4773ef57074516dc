"""A network of arrays, as the settings' tables say it:

    front_end = {kind = "frames", size = 12, frame_ms = 20}

    [[nodes]]
    name = "lstm"                  # a kind of layer with its settings, as in model files
    kind = "lstm"
    hidden = 64
    gates = "ifco"                 # how the arrays are stored: see `expressions`
    weights = {W = "w_x", R = {from = "w_h", transpose = true}, b = "bias"}

    [[nodes]]
    name = "scores"
    torch = "decoder.0"            # or a module of PyTorch, by what its arrays' names begin with

    [[heads]]
    name = "main"
    node = "scores"
    decoder = {kind = "labels", labels = ["rest", "left", "right"]}    # its weights, if it has any: weights = {…}

A node without ``inputs`` reads the one before it, the first the front end ("frames"). Without heads there is one,
"main", of the last node. ``unused`` names arrays that nobody needs, ``front_end_weights`` those of the front end.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ostinato.errors import BadModelFileError, ForeignModelError, did_you_mean
from ostinato.importing.arrays.contents import Arrays, Contents, Floats
from ostinato.importing.arrays.expressions import Layout, Wanted, both_biases, weight
from ostinato.importing.arrays.heads import heads_of, weights_of
from ostinato.importing.arrays.tables import tables
from ostinato.importing.builder import Builder
from ostinato.importing.draft import Decision, Draft
from ostinato.importing.pytorch.modules import layers_of
from ostinato.importing.pytorch.parameters import Parameters
from ostinato.importing.settings import Settings
from ostinato.importing.source import Float64
from ostinato.model.front_ends import FrontEnd
from ostinato.model.layers import LAYERS, Layer, Recurrent
from ostinato.model.limits import MAX_NODES
from ostinato.model.specification import FRAMES
from ostinato.model.strict_json import decode

TABLES = ("nodes", "heads", "unused", "front_end_weights", "state")
"""What these settings have besides those of all formats."""
_UNSEEN = "the formulas in float64, of the arrays as settings say them: if these mean it so, only --expect can see"
_LAYOUT = ("transpose", "axes", "gates")
_ACTIVATIONS = ("activation", "gate_activation", "output_activation")


def draft_of(contents: Contents, settings: Settings, path: Path) -> Draft:
    """The network that the settings make of the arrays. Raises ForeignModelError naming the node and weight, array
    or setting that does not fit."""
    settings.known(*TABLES)
    if settings.fixed:
        raise ForeignModelError("fixed inputs are for graphs (ONNX): arrays have none")
    nodes = tables(settings, "nodes", MAX_NODES)
    arrays = Arrays(contents.arrays)
    if not nodes:
        raise ForeignModelError(
            f"arrays alone ({arrays.listed()}) do not say what is computed: `ostinato import {path} --draft > "
            f"spec.toml` begins a settings file; then `ostinato import {path} --settings spec.toml`. With inputs and "
            "outputs that were recorded at home (--expect), a plain chain of PyTorch's modules needs no settings"
        )
    if settings.front_end is None:
        raise ForeignModelError('front_end is missing: for ready frames say front_end = {kind = "frames", size = …}')
    builder, decided, last = Builder(settings.front_end), list[Decision](), FRAMES
    for table in nodes:
        last = _Node(table, last, builder, arrays).add(decided)
    heads = heads_of(settings, last, builder, arrays)
    front_end_weights = _front_end_weights(settings, settings.front_end, arrays)
    settings = dataclasses.replace(settings, front_end_weights={**settings.front_end_weights, **front_end_weights})
    network = builder.network(settings, heads.raw, name=path.stem)
    for head, (name, *_) in zip(network.specification.heads, heads.raw, strict=True):
        if head.name != name:
            raise ForeignModelError(f"{name!r} is no name for a head: letters, digits, - and _, up to 64")
    made = {node.name for node in network.specification.nodes}
    if idle := [name for name in builder.wires if name not in made and name != FRAMES]:
        raise ForeignModelError(f"node {idle[0]!r} is read by no other and by no head: leave it out, or add a head")
    decided += arrays.finish(_unused(settings))
    told = (*contents.decided, *decided)
    return Draft(network, Float64(network), told, heads.decoders, heads.weights, unseen=_UNSEEN)


class _Node:
    """A table of [[nodes]], about to become nodes of the builder."""

    def __init__(self, table: Mapping[str, Any], before: str, builder: Builder, arrays: Arrays) -> None:
        self._builder, self._arrays = builder, arrays
        self._table = dict(table)
        name = self._table.pop("name", None)
        if not isinstance(name, str):
            raise ForeignModelError(f"nodes: {name!r} is no name: each node has a name of its own")
        self._name, self._what = name, f"node {name!r}"
        inputs = self._table.pop("inputs", [before])
        if not isinstance(inputs, list):
            raise ForeignModelError(f"{self._what}: inputs is {inputs!r}, not a list of nodes' names")
        for each in inputs:
            if each not in builder.wires:
                near = did_you_mean(str(each), builder.wires)
                raise ForeignModelError(f"{self._what} reads {each!r}, which does not stand before it{near}")
        self._inputs: list[str] = inputs

    def add(self, decided: list[Decision]) -> str:
        """Append it; its name."""
        if "torch" in self._table:
            return self._module(decided)
        layout = Layout.of(self._table, self._what, Layout())
        given = self._table.pop("weights", {})
        for key in _LAYOUT:
            self._table.pop(key, None)
        for key in _ACTIVATIONS:
            if isinstance(self._table.get(key), str):
                self._table[key] = {"name": self._table[key]}
        try:
            layer: Layer = decode(Layer, self._table, self._what, {Layer: LAYERS})
        except BadModelFileError as error:
            raise ForeignModelError(str(error)) from error
        try:
            wanted = layer.weights([self._builder.wires[each] for each in self._inputs])
        except BadModelFileError as error:
            raise ForeignModelError(f"{self._what} {error}") from error
        shapes = {part: each.shape for part, each in wanted.items()}
        return self._append(self._name, layer, self._inputs, self._weights(layer, shapes, given, layout))

    def _append(self, name: str, layer: Layer, inputs: Sequence[str], weights: Mapping[str, Floats]) -> str:
        """One node of the builder, whose name must be free."""
        label = self._builder.add(layer, inputs, weights, name=name, origin=self._name)
        if label != name:
            raise ForeignModelError(
                f"{name!r} is no name for a node: letters, digits, - and _, up to 64, and each name once"
            )
        return label

    def _weights(
        self, layer: Layer, shapes: Mapping[str, tuple[int, ...]], given: Any, layout: Layout
    ) -> dict[str, Floats]:
        """All weights of a layer."""
        said = self._by_part(layer, given)
        made: dict[str, Floats] = {}
        for key in [key for key in said if key.endswith(".b") and f"{key[:-1]}Wb" in shapes]:
            one, other = f"{key[:-1]}Wb", f"{key[:-1]}Rb"
            where = f"{self._what}: {_short(layer, key)}"
            wanted = Wanted.of(layer, "Wb", shapes[one])
            made[one], made[other] = both_biases(said.pop(key), wanted, self._arrays, where, layout)
        for key, raw in said.items():
            if key not in shapes or key in made:
                parts = sorted({_short(layer, part) for part in shapes})
                near = did_you_mean(_short(layer, key), parts)
                has = f"has {', '.join(parts)}{near}" if parts else "has no weights"
                raise ForeignModelError(f"{self._what}: {key!r} is no weight of it: kind {layer.kind} {has}")
            where, wanted = (
                f"{self._what}: {_short(layer, key)}",
                Wanted.of(layer, key.rpartition(".")[2], shapes[key]),
            )
            made[key] = weight(raw, wanted, self._arrays, where, layout)
        for key, shape in shapes.items():
            if key not in made:
                fits = [name for name in self._arrays if sorted(self._arrays.shape(name)) == sorted(shape)]
                might = f" ({self._arrays.listed(fits)} could be it)" if fits else ""
                short = _short(layer, key)
                raise ForeignModelError(
                    f"{self._what}: weight {short} {list(shape)} is not given: name its array{might}, or say "
                    f"{short} = 0 if it has none"
                )
        return made

    def _by_part(self, layer: Layer, given: Any) -> dict[str, Any]:
        """What is said of each weight, by its whole name: of a layer of one direction, that may be left out."""
        if not isinstance(given, dict):
            raise ForeignModelError(f"{self._what}: weights is {given!r}, not a table")
        flat: dict[str, Any] = {}
        for key, raw in given.items():
            if key in ("forward", "backward") and isinstance(raw, dict):
                flat |= {f"{key}.{part}": each for part, each in raw.items()}
            else:
                flat[key] = raw
        if not isinstance(layer, Recurrent):
            return flat
        if len(layer.directions) == 1:
            return {key if "." in key else f"{layer.directions[0]}.{key}": raw for key, raw in flat.items()}
        if short := [key for key in flat if "." not in key]:
            raise ForeignModelError(f"{self._what}: {short[0]} of which direction? Say forward.{short[0]} = …")
        return flat

    def _module(self, decided: list[Decision]) -> str:
        """A module of PyTorch: as many nodes as it has layers, the last of which has the name."""
        prefix = self._table.pop("torch")
        parameters = Parameters.of(self._arrays, prefix, self._what)
        below = self._builder.wires[self._inputs[0]] if self._inputs else self._builder.front_end.wire
        module, layers = layers_of(parameters, self._table, below)
        inputs: Sequence[str] = self._inputs
        for number, (layer, weights) in enumerate(layers, 1):
            name = self._name if number == len(layers) else f"{self._name}-{number}"
            inputs = [self._append(name, layer, inputs, weights)]
        decided.append(Decision(self._name, f"{prefix}: {module.said(layers)}"))
        return inputs[0]


def _short(layer: Layer, key: str) -> str:
    """A weight's name as it may be said: without a direction, if there is only one."""
    one = isinstance(layer, Recurrent) and len(layer.directions) == 1
    return key.rpartition(".")[2] if one else key


def _front_end_weights(settings: Settings, front_end: FrontEnd, arrays: Arrays) -> dict[str, Floats]:
    """Of a front end that has any: all of them that are not there already."""
    shapes = {
        part: each.shape for part, each in front_end.weights().items() if part not in settings.front_end_weights
    }
    return weights_of(settings.more.get("front_end_weights", {}), shapes, arrays, "front_end_weights")


def _unused(settings: Settings) -> list[str]:
    found = settings.more.get("unused", [])
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise ForeignModelError(f"settings: unused is {found!r}, not a list of names of arrays")
    return found
