"""A graph run over a batch: forward, keeping what backward needs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ostinato.errors import TrainingError
from ostinato.model.activation import IDENTITY
from ostinato.model.framing import Framing
from ostinato.model.layers import Dense, Softmax
from ostinato.model.specification import ENCODER, FRAMES, Node, Specification
from ostinato.model.staging import SAME
from ostinato.training.batching import Sources
from ostinato.training.layers import LearningLayer, learning
from ostinato.training.layers.dropout import Dropout
from ostinato.training.layers.recurrent import RecurrentLayer
from ostinato.training.losses import Link
from ostinato.training.packing import Array, Learning, Packing
from ostinato.training.reframing import Windows

_Step = tuple[int, int, Framing]


class Tape:
    """What each node of a specification does to learn, in order, with the rows of the last `forward`; and its
    encoder's nodes, on a tape of their own, whose weights' names begin with ``prefix``.

    ``left``: by head, the activation that `forward` leaves to the loss: the softmax that is its node, or the sigmoid
    of the dense layer that is, if no other node reads them. ``fixed``: nodes that do not learn, above inputs or each
    other (`TrainableNetwork`).
    """

    def __init__(
        self, specification: Specification, dtype: npt.DTypeLike, dropout: float, recurrent_dropout: float,
        prefix: str = "", fixed: Collection[str] = (),
    ) -> None:  # fmt: skip
        self.specification, self.dtype, self.prefix = specification, np.dtype(dtype), prefix
        self.fixed = frozenset(fixed)
        self.encoder: Tape | None = None
        if (encoder := specification.encoder) is not None:
            self.encoder = Tape(encoder, dtype, dropout, recurrent_dropout, f"{ENCODER}.")
        self._left: dict[str, Link] = {}
        self._tape = [(node, self._learning(node), self._dropouts(node, dropout)) for node in specification.nodes]
        self._ways = {node.name: self._way(node) for node in specification.nodes}
        self._packings: list[Packing] = []
        learning = (layer for node, layer, _ in self._tape if node.name not in self.fixed)
        recurrent = [layer for layer in learning if isinstance(layer, RecurrentLayer)]
        for part in (part for layer in recurrent for part in layer.parts):
            part.dropout = recurrent_dropout
        self.left = {head.name: self._left.get(head.node) for head in specification.heads}

    def _learning(self, node: Node) -> LearningLayer | None:
        """What learns in a node's place; None for a softmax that is left to the loss."""
        layer, name = node.layer, node.name
        outmost = not self.prefix  # what an encoder gives no loss takes
        if (
            outmost
            and any(head.node == name for head in self.specification.heads)
            and not self.specification.readers(name)
        ):
            if isinstance(layer, Softmax):
                self._left[name] = "softmax"
                return None
            if isinstance(layer, Dense) and layer.activation.name == "sigmoid":
                self._left[name] = "sigmoid"
                layer = replace(layer, activation=IDENTITY)
        return learning(f"{self.prefix}{name}", layer)

    def _dropouts(self, node: Node, rate: float) -> list[Dropout | None]:
        """One for each input of a layer with weights that is another layer's vector."""
        weighted = bool(rate) and bool(node.layer.weights(self.specification.inputs(node)))
        return [
            Dropout(rate) if weighted and self._has_gradient(name) and not self._is_memory(name) else None
            for name in node.inputs
        ]

    def _is_memory(self, name: str) -> bool:
        return name in self.specification.memories

    def _has_gradient(self, name: str) -> bool:
        """Whether what is read by that name has weights below it that learn: inputs have none, nor what stands for
        token ids."""
        return self._is_memory(name) or (
            name != FRAMES and name not in self.fixed and not self.specification.wires[name].token
        )

    def forward(
        self, parameters: Mapping[str, Array], x: Array, lengths: npt.ArrayLike, learning: Learning | None,
        sources: Sources | None = None,
    ) -> dict[str, Array]:  # fmt: skip
        """As `TrainableNetwork.forward`, of inputs that fit."""
        if learning is not None and learning.states is not None:
            self._check_carrying()
        staging, random = self.specification.staging, None if learning is None else learning.random
        self._packings = [Packing.of(each, learning) for each in staging.length(np.asarray(lengths, np.int64))]
        rows = self._packings[0].pack(x)
        values = {FRAMES: rows.astype(np.int64 if x.ndim == 2 else self.dtype, copy=False)}
        if self.encoder is not None:
            assert sources is not None
            memories = self.encoder.forward(parameters, sources.inputs, sources.lengths, learning)
            values |= {f"{ENCODER}.{head}": each for head, each in memories.items()}
            counts = self.encoder.lengths(sources.lengths)
            self._packings = [each.looking_up(counts, sources.wait) for each in self._packings]
        self._windows: dict[_Step, Windows] = {}
        for node, layer, drops in self._tape:
            stage, before, after = self._ways[node.name]
            inputs = [
                values[name] if self._is_memory(name) else self._window(values[name], staging.of[name], stage, SAME)
                for name in node.inputs
            ]
            inputs = [drop.forward(each, random) if drop else each for each, drop in zip(inputs, drops, strict=True)]
            for source, target, framing in before:
                inputs = [self._window(each, source, target, framing) for each in inputs]
            made = (
                layer.forward(parameters, inputs, self._packings[before[-1][1] if before else stage])
                if layer
                else inputs[0]
            )
            for source, target, framing in after:
                made = self._window(made, source, target, framing)
            values[node.name] = made
        outputs = {}
        for head in self.specification.heads:
            stage = staging.of[head.node]
            packing = self._packings[stage]
            outputs[head.name] = packing.unpack(values[head.node], len(packing.sizes) if stage else x.shape[1])
        return outputs

    def lengths(self, lengths: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """How many frames come out of sequences of ``lengths`` [B] frames, of an encoder, whose heads are in step."""
        staging = self.specification.staging
        return staging.length(np.asarray(lengths, np.int64))[staging.of[self.specification.heads[0].node]]

    def backward(self, parameters: Mapping[str, Array], d_outputs: Mapping[str, Array]) -> dict[str, Array]:
        """As `TrainableNetwork.backward`."""
        if not self._packings:
            raise TrainingError("backward needs a forward before it")
        staging = self.specification.staging
        flowing: dict[str, Array] = {}
        for head in self.specification.heads:
            if head.name in d_outputs:
                d_rows = self._packings[staging.of[head.node]].pack(d_outputs[head.name])
                _flow(flowing, head.node, d_rows.astype(self.dtype, copy=False))
        gradients: dict[str, Array] = {}
        for node, layer, drops in reversed(self._tape):
            if (d := flowing.pop(node.name, None)) is None:
                continue  # token ids, one-hot vectors of them, or nothing that a head with a gradient reads
            stage, before, after = self._ways[node.name]
            for source, target, framing in reversed(after):
                d = self._windows[source, target, framing].backward(d)
            wanted = any(self._has_gradient(name) for name in node.inputs)
            back = layer.backward(parameters, d, gradients, wanted=wanted) if layer else [d]
            for name, drop, d_input in zip(node.inputs, drops, back, strict=True):
                if d_input is not None and self._is_memory(name):
                    _flow(flowing, name, d_input)
                elif d_input is not None and name != FRAMES and name not in self.fixed:
                    for source, target, framing in reversed(before):
                        d_input = self._windows[source, target, framing].backward(d_input)
                    d_input = drop.backward(d_input) if drop else d_input
                    if staging.of[name] != stage:
                        d_input = self._windows[staging.of[name], stage, SAME].backward(d_input)
                    _flow(flowing, name, d_input)
        if self.encoder is not None:
            made = {name.removeprefix(f"{ENCODER}."): d for name, d in flowing.items()}
            gradients |= self.encoder.backward(parameters, made)
        return gradients

    def _check_carrying(self) -> None:
        """Raise TrainingError for a layer that needs more of the frames before than its states."""
        for node in self.specification.nodes:
            _, before, after = self._ways[node.name]
            if node.layer.backward or before or after:
                why = "reads from the end" if node.layer.backward else "reads several frames"
                raise TrainingError(
                    f"node {node.name!r} ({node.layer.kind}) {why}, and only states of layers that read forward are "
                    "carried from part to part: learn without truncation"
                )

    def _way(self, node: Node) -> tuple[int, list[_Step], list[_Step]]:
        """The stage in which a node's inputs are, and how it re-frames before and after it computes: from which
        stage, to which, how."""
        staging = self.specification.staging
        read = [name for name in node.inputs if not self._is_memory(name)]
        stage = now = staging.joined([staging.of[name] for name in read] or [0], node.name)
        before: list[_Step] = []
        after: list[_Step] = []
        for framing in node.layer.framings:
            target = staging.after(now, framing, node.name)
            if framing != SAME:
                (after if framing.times > 1 else before).append((now, target, framing))
            now = target
        return stage, before, after

    def _window(self, rows: Array, source: int, target: int, framing: Framing) -> Array:
        """What a framing takes of the rows of a stage for another."""
        if framing == SAME and source == target:
            return rows
        key = (source, target, framing)
        if key not in self._windows:
            self._windows[key] = Windows(framing, self._packings[source], self._packings[target])
        return self._windows[key].forward(rows)


def _flow(flowing: dict[str, Array], node: str, d: Array) -> None:
    flowing[node] = flowing[node] + d if node in flowing else d
