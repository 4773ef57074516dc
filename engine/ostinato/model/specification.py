"""What a model is, as data: a graph of nodes between a front end and heads, read from and written to JSON, strictly.
Whatever cannot be served is refused as it is made, in Python as from JSON, by a BadModelFileError that names it.

    front end ── "frames" ──> node ──> node ──> head: a node's outputs, and what decodes them

Each node names the nodes that it reads; ``frames`` is what the front end makes. Sizes follow from that. Weights are
named ``<node>.<part>`` and described by `Specification.weights`.

A language model may have an *encoder*, which is a specification too. What its heads give of all frames of a source is
the memory of a stream, which some layers of the language model look up: they read ``encoder.<head>``.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Literal

from ostinato.bounded import check_json
from ostinato.errors import BadModelFileError, did_you_mean
from ostinato.lanes import LANES, padded
from ostinato.model.decoders import DECODERS, Decoder, Generation, Outputs
from ostinato.model.front_ends import FRONT_ENDS, FrontEnd
from ostinato.model.layers import LAYERS, Concatenate, Layer, Precision
from ostinato.model.limits import MAX_CONTAINERS, MAX_HEADS, MAX_NODES, MAX_ROW, MAX_VALUES, MOST
from ostinato.model.staging import Staging
from ostinato.model.strict_json import LATER, Strict, decode, encode
from ostinato.model.wire import Weight, Wire, ones

VERSION = 2
FRAMES = "frames"
"""What the front end makes, as nodes and heads name it."""
FRONT_END = "front_end"
"""What the names of the front end's weights begin with."""
ENCODER = "encoder"
"""What the names of the encoder's weights begin with, and of its heads, where nodes read them."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True)
class Node(Strict):
    """A layer in its place: ``inputs`` are the names of the nodes that it reads, in the layer's order."""

    name: str
    layer: Layer
    inputs: tuple[str, ...]


@dataclass(frozen=True)
class Head(Strict):
    """A way out: the outputs of ``node``, and what makes events of them."""

    name: str
    node: str
    decoder: Decoder


@dataclass(frozen=True)
class Specification(Strict):
    """A whole pipeline: front end -> nodes -> heads, with a name and where it comes from.

    Each node stands behind those that it reads. The first head is the one that a client gets unless it asks for
    another. ``card`` is free text about the model by heading (data, accuracy, licence). ``encoder``: what makes the
    memory of what the model generates from.
    """

    name: str
    front_end: FrontEnd
    nodes: tuple[Node, ...]
    heads: tuple[Head, ...]
    description: str = ""
    licence: str = ""
    card: dict[str, str] = dataclasses.field(default_factory=dict)
    encoder: Specification | None = dataclasses.field(default=None, kw_only=True, metadata=LATER)

    @property
    def direction(self) -> Literal["unidirectional", "bidirectional"]:
        """Whether outputs depend on the whole utterance, of any head, or of the encoder."""
        nodes = (*self.nodes, *(self.encoder.nodes if self.encoder else ()))
        return "bidirectional" if any(node.layer.backward for node in nodes) else "unidirectional"

    def direction_of(self, head: Head) -> Literal["unidirectional", "bidirectional"]:
        """Whether that head's outputs do: a backward layer is at its node, or at one that it reads, at however many
        removes."""
        return "bidirectional" if any(node.layer.backward for node in self.below(head)) else "unidirectional"

    def delay_cause(self, head: Head) -> str:
        """The node because of which that head's outputs wait: the first that runs backward, or the one that looks
        ahead most; empty if none does."""
        backward = [node.name for node in self.below(head) if node.layer.backward]
        return backward[0] if backward else self.staging.cause(len(self.staging.stages) - 1)

    def below(self, head: Head) -> list[Node]:
        """The nodes that a head reads, at however many removes, in their order."""
        read = {head.node}
        for node in reversed(self.nodes):
            if node.name in read:
                read.update(node.inputs)
        return [node for node in self.nodes if node.name in read]

    @property
    def precision(self) -> Precision:
        """int8 if any layer is, be it the encoder's."""
        nodes = (*self.nodes, *(self.encoder.nodes if self.encoder else ()))
        return "int8" if any(getattr(node.layer, "precision", None) == "int8" for node in nodes) else "float32"

    @property
    def output_size(self) -> int:
        """Values in one frame of the first head's outputs."""
        return self.wires[self.heads[0].node].size

    @cached_property
    def wires(self) -> Mapping[str, Wire]:
        """What each node gives, by its name, and what the front end gives, as "frames".

        Raises BadModelFileError naming the node for a name that is used twice or is none, inputs that are not there
        or come later, and what a layer cannot take.
        """
        found = {FRAMES: self.front_end.wire}
        for node in self.nodes:
            self._check_name_of_node(node.name)
            if node.name in found:
                raise BadModelFileError(f"node {node.name!r} is there twice: each needs a name of its own")
            for name in node.inputs:
                if name not in found and name not in self.memories:
                    raise BadModelFileError(self._why_missing(node, name))
            inputs = [self.memories[name] if name in self.memories else found[name] for name in node.inputs]
            try:
                node.layer.check_memories(inputs)
                found[node.name] = node.layer.output(inputs)
            except BadModelFileError as error:
                raise BadModelFileError(f"node {node.name!r} ({node.layer.kind}) {error}") from error.__cause__
        return MappingProxyType(found)

    @cached_property
    def memories(self) -> Mapping[str, Wire]:
        """What nodes can read of the encoder, by the names that they have for it."""
        if self.encoder is None:
            return MappingProxyType({})
        if self.encoder.encoder is not None:
            raise BadModelFileError("the encoder has an encoder: only what generates has one")
        wires = {head.name: self.encoder.wires[head.node] for head in self.encoder.heads}
        return MappingProxyType(
            {f"{ENCODER}.{name}": dataclasses.replace(wire, memory=True) for name, wire in wires.items()}
        )

    @cached_property
    def encoding(self) -> Specification | None:
        """The encoder with one head, which has what all its heads give side by side, in their order."""
        if self.encoder is None:
            return None
        nodes, heads = self.encoder.nodes, self.encoder.heads
        name = heads[0].node
        if len(heads) > 1:
            name = "memory"
            while name in self.encoder.wires:
                name += "-"
            nodes = (*nodes, Node(name, Concatenate(), tuple(head.node for head in heads)))
        return dataclasses.replace(self.encoder, nodes=nodes, heads=(Head("memory", name, Outputs()),))

    @cached_property
    def staging(self) -> Staging:
        """Which nodes run in step, and how far ahead they look. Raises BadModelFileError naming the node for joins of
        different rates, and for what re-frames the outputs of backward layers."""
        staging = Staging()
        staging.of[FRAMES] = 0
        waiting: dict[str, str] = {}  # nodes that wait for the utterance's end, and the backward one that is why
        for node in self.nodes:
            try:
                read = [name for name in node.inputs if name not in self.memories]
                stage = staging.joined([staging.of[name] for name in read] or [0], node.name, read)
                for framing in node.layer.framings:
                    stage = staging.after(stage, framing, node.name)
            except BadModelFileError as error:
                raise BadModelFileError(f"node {node.name!r} ({node.layer.kind}) {error}") from None
            staging.of[node.name] = stage
            late = next((waiting[name] for name in node.inputs if name in waiting), None)
            if late and any(staging.of[name] != stage for name in read):
                raise BadModelFileError(
                    f"node {node.name!r} ({node.layer.kind}) re-frames what backward node {late!r} gives: only "
                    "layers that are in step with a backward one can stand above it; re-frame below it"
                )
            if node.layer.backward or late:
                waiting[node.name] = late or node.name
        above = list(dict.fromkeys(head.node for head in self.heads if head.node in staging.of))
        last = [staging.of[name] for name in above]
        if len(set(last)) > 1:
            try:
                staging.joined(last, above[-1], above)
            except BadModelFileError as error:
                raise BadModelFileError(f"the heads' nodes {error}".replace("joins nodes", "are", 1)) from None
            if waiting:
                raise BadModelFileError(
                    "heads of a bidirectional model must read nodes that are in step with each other"
                )
        return staging

    def inputs(self, node: Node) -> list[Wire]:
        """What a node reads."""
        return [self.memories[name] if name in self.memories else self.wires[name] for name in node.inputs]

    def weights(self) -> dict[str, Weight]:
        """Every weight that a model file of this specification holds, by name, in the order of the nodes.

        Beside an int8 matrix M [outputs, inputs] stand ``M_scale`` [outputs] and ``M_input_scale`` [1]: what one unit
        of a row's weights and of its inputs is worth.
        """
        found: dict[str, Weight] = {}
        parts = [(FRONT_END, self.front_end.weights())]
        parts += [(node.name, node.layer.weights(self.inputs(node))) for node in self.nodes]
        parts += [(head_owner(head.name), head.decoder.weights(self.wires[head.node])) for head in self.heads]
        for owner, weights in parts:
            for part, weight in weights.items():
                found[f"{owner}.{part}"] = weight
                if weight.int8:
                    found[f"{owner}.{part}_scale"] = Weight(weight.shape[:1], ones)
                    found[f"{owner}.{part}_input_scale"] = Weight((1,), ones)
        if self.encoder is not None:
            found |= {f"{ENCODER}.{name}": weight for name, weight in self.encoder.weights().items()}
        return found

    def readers(self, name: str) -> list[Node]:
        """The nodes that read a node, or "frames"."""
        return [node for node in self.nodes if name in node.inputs]

    def to_json(self) -> str:
        """As JSON text, with the format's version."""
        return json.dumps({"version": VERSION} | encode(self), ensure_ascii=False, sort_keys=True)

    @staticmethod
    def from_json(text: str) -> Specification:
        """The specification of a JSON text.

        Raises BadModelFileError naming the place for anything unknown, missing, of the wrong type, or inconsistent.
        """
        try:
            check_json(text, MAX_VALUES, MAX_CONTAINERS)
        except ValueError as error:
            raise BadModelFileError(f"the specification is too large: {error}") from error
        try:
            raw = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise BadModelFileError(f"the specification is not JSON: {error}") from error
        if not isinstance(raw, dict):
            raise BadModelFileError("the specification is not a JSON object")
        version = raw.pop("version", None)
        if version != VERSION:
            raise BadModelFileError(
                f"specification version {version!r} is unknown here (this Ostinato reads {VERSION}): "
                "use the Ostinato that wrote the file, or write it again"
            )
        families: dict[type, Mapping[str, type]] = {FrontEnd: FRONT_ENDS, Layer: LAYERS, Decoder: DECODERS}
        try:
            made: Specification = decode(Specification, raw, "specification", families)
        except RecursionError as error:
            raise BadModelFileError("the specification is nested too deeply") from error
        return made

    def check(self) -> None:
        """Raise BadModelFileError, naming the place, if anything does not fit together or is out of range.

        Nothing is allocated for it that grows with the sizes in it."""
        if len(self.nodes) > MAX_NODES:
            raise BadModelFileError(f"{len(self.nodes)} nodes are over the limit of {MAX_NODES}")
        for name, wire in self.wires.items():
            if wire.size > MOST and not wire.token:
                raise BadModelFileError(f"node {name!r} gives {wire.size} values: at most {MOST} may be")
        row = sum(padded(wire.size + LANES - 1) for wire in self.wires.values() if not wire.token)
        if row > MAX_ROW:
            raise BadModelFileError(
                f"all nodes together give {row} values a frame, over the limit of {MAX_ROW}: use smaller layers"
            )
        self._check_heads()
        self.staging.reach()
        for head in self.heads:
            if head.decoder.feeds_back:
                self._check_feedback(head)
        if self.encoder is not None:
            self._check_encoder(self.encoder)

    def _check_heads(self) -> None:
        if not self.heads:
            raise BadModelFileError("there is no head: name the node whose outputs are wanted, and their decoder")
        if len(self.heads) > MAX_HEADS:
            raise BadModelFileError(f"{len(self.heads)} heads are over the limit of {MAX_HEADS}")
        for name, count in Counter(head.name for head in self.heads).items():
            self._check_name("head", name)
            if count > 1:
                raise BadModelFileError(f"head {name!r} is there twice: each needs a name of its own")
        for head in self.heads:
            wire = self.wires.get(head.node)
            if wire is None:
                raise BadModelFileError(
                    f"head {head.name!r} reads node {head.node!r}, which is not there: name one of the nodes"
                    f"{did_you_mean(head.node, self.wires)}"
                )
            if wire.token:
                raise BadModelFileError(
                    f"head {head.name!r} reads token ids: a tokens front end needs an embedding, recurrent or dense "
                    "layer above it"
                )
            try:
                head.decoder.check_outputs(wire)
            except BadModelFileError as error:
                raise BadModelFileError(
                    str(error) if len(self.heads) == 1 else f"head {head.name!r}, {error}"
                ) from None
        read = {name for node in self.nodes for name in node.inputs} | {head.node for head in self.heads}
        for node in self.nodes:
            if node.name not in read:
                raise BadModelFileError(f"node {node.name!r} is read by no other and by no head: leave it out")

    def _check_feedback(self, head: Head) -> None:
        """That a token can be fed in as soon as it is drawn."""
        frames, outputs = self.wires[FRAMES], self.wires[head.node]
        if frames.form != "id":
            why = "the front end makes no tokens: let it be a tokens front end"
        elif frames.size != outputs.size:
            why = f"{outputs.size} outputs are not one for each of the {frames.size} entries of its vocabulary"
        elif self.direction_of(head) == "bidirectional":
            why = f"node {self.delay_cause(head)!r} runs backward, from an end that is still to come"
        elif len(self.staging.stages) > 1:
            why = "layers re-frame (strides or look-ahead), so that a token does not give the next at once"
        else:
            return
        raise BadModelFileError(f"head {head.name!r} feeds its tokens back, and {why}")

    def _check_encoder(self, encoder: Specification) -> None:
        """That what the encoder makes is looked up by a model that generates."""
        for head in encoder.heads:
            if not isinstance(head.decoder, Outputs):
                raise BadModelFileError(
                    f"head {head.name!r} of the encoder has the decoder {head.decoder.kind!r}: what it gives is "
                    f"remembered as it is, so let it be {Outputs.kind!r}"
                )
        read = {name for node in self.nodes for name in node.inputs}
        if idle := [name for name in self.memories if name not in read]:
            raise BadModelFileError(f"{idle[0]} is read by no node: leave that head out")
        for head in self.heads:
            if not isinstance(head.decoder, Generation):
                raise BadModelFileError(
                    f"head {head.name!r} has the decoder {head.decoder.kind!r}: what has an encoder generates, so "
                    f"let it be {Generation.kind!r}"
                )
            if head.decoder.start is None:
                raise BadModelFileError(
                    f"head {head.name!r} has no start token: with an encoder, what is pushed is the source, so each "
                    "text begins with one"
                )
        try:
            self.encoding  # noqa: B018  its heads must be in step
        except BadModelFileError as error:
            raise BadModelFileError(f"the encoder's heads, side by side: {error}") from None

    def _check_name_of_node(self, name: str) -> None:
        self._check_name("node", name)
        if name == ENCODER and self.encoder is not None:
            raise BadModelFileError(f"no node is named {ENCODER!r} beside an encoder: rename it")

    @staticmethod
    def _check_name(what: str, name: str) -> None:
        if not _NAME.fullmatch(name) or name in (FRAMES, FRONT_END):
            raise BadModelFileError(
                f"{name!r} is no name for a {what}: up to 64 letters, digits, - and _, beginning with a letter or "
                f"digit, and not {FRAMES!r} or {FRONT_END!r}"
            )

    def _why_missing(self, node: Node, name: str) -> str:
        """Why a node cannot read what it names."""
        by_name = {each.name: each for each in self.nodes}
        if name not in by_name:
            near = did_you_mean(name, [*by_name, FRAMES, *self.memories])
            return f"node {node.name!r} reads {name!r}, which is not there: name a node, or {FRAMES!r}{near}"
        if circle := _circle(by_name, name, node.name):
            return f"nodes {' -> '.join(circle)} read each other in a circle: only a layer's own state may go round"
        return f"node {node.name!r} reads {name!r}, which comes after it: put each node behind those that it reads"


def head_owner(name: str) -> str:
    """What the names of the weights of a head's decoder begin with, as "head.main.transitions" does."""
    return f"head.{name}"


def Sequential(  # noqa: N802  as users know it
    name: str,
    front_end: FrontEnd,
    layers: Iterable[Layer],
    decoder: Decoder,
    *,
    description: str = "",
    licence: str = "",
    card: Mapping[str, str] | None = None,
) -> Specification:
    """The specification of a chain: each layer reads the one before it, the only head ("main") the last.

    Nodes are named by their layer's kind, and numbered from 1 where a kind is there more than once: "gru-1", "gru-2",
    "dense".
    """
    chain = tuple(layers)
    total, seen = Counter(layer.kind for layer in chain), Counter[str]()
    nodes: list[Node] = []
    for layer in chain:
        seen[layer.kind] += 1
        label = layer.kind if total[layer.kind] == 1 else f"{layer.kind}-{seen[layer.kind]}"
        nodes.append(Node(label, layer, (nodes[-1].name if nodes else FRAMES,)))
    heads = (Head("main", nodes[-1].name if nodes else FRAMES, decoder),)
    return Specification(name, front_end, tuple(nodes), heads, description, licence, dict(card or {}))


def _circle(nodes: Mapping[str, Node], start: str, end: str) -> Sequence[str]:
    """The names along a way of inputs from node ``start`` to node ``end``, and back to the start; empty if there is
    none."""
    came: dict[str, str | None] = {start: None}
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name == end:
            way = [name]
            while (before := came[way[-1]]) is not None:
                way.append(before)
            return [*way, end]
        for below in nodes[name].inputs if name in nodes else ():
            if below not in came:
                came[below] = name
                waiting.append(below)
    return ()
