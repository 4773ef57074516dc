"""A network that learns: forward over a batch, backward through time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from ostinato.errors import DtypeError, ShapeError, TrainingError, UnknownTokenError
from ostinato.model.activation import IDENTITY
from ostinato.model.framing import Framing
from ostinato.model.front_ends import Tokens
from ostinato.model.layers import Dense, Softmax
from ostinato.model.network import Network
from ostinato.model.specification import FRAMES, FRONT_END, Node, Specification
from ostinato.model.staging import SAME
from ostinato.training.layers import LearningLayer, learning
from ostinato.training.layers.dropout import Dropout
from ostinato.training.layers.softmax import softmax
from ostinato.training.packing import Array, Packing
from ostinato.training.reframing import Windows

LeftToLoss = Literal["softmax", "sigmoid", None]
_Step = tuple[int, int, Framing]


class TrainableNetwork:
    """The graph of a specification with weights that change. It learns for the one head that it has.

    ``parameters``: every weight of a node by its name in the model file, in ``dtype``; change them in place.
    ``constants``: the other weights (``front_end.*``), passed through to `weights`. ``dropout``: the share of values
    dropped between layers while training. ``left_to_loss``: a softmax that the head reads, or the sigmoid of such a
    dense layer, is not computed by `forward`, whose outputs are then logits: losses take them so, for the precision;
    `activate` computes it.
    """

    def __init__(
        self,
        specification: Specification,
        dtype: npt.DTypeLike = np.float32,
        seed: int = 0,
        *,
        weights: Mapping[str, npt.NDArray[np.float32]] | None = None,
        dropout: float = 0.0,
    ) -> None:
        """Start from ``weights`` (float32, all of them), or from random ones by ``seed`` (`Network.random`).

        Raises BadModelFileError if the specification or the weights are inconsistent, TrainingError for a dropout
        outside [0, 1), an int8 specification, or one of several heads.
        """
        if len(specification.heads) > 1:
            raise TrainingError("a network learns for one head: take the others out of the specification meanwhile")
        if specification.precision == "int8":
            raise TrainingError("a network learns in float32: train that, then quantize it")
        if not 0 <= dropout < 1:
            raise TrainingError(f"dropout = {dropout} is not from 0 up to, but without, 1")
        start = Network.random(specification, seed) if weights is None else Network(specification, weights)
        self.specification, self.dtype = specification, np.dtype(dtype)
        self.parameters = {
            name: np.array(value, self.dtype, order="C")
            for name, value in start.weights.items()
            if not name.startswith(f"{FRONT_END}.")
        }
        self.constants = {name: value.copy() for name, value in start.weights.items() if name not in self.parameters}
        self.left_to_loss: LeftToLoss = None
        self._tape = [(node, self._learning(node), self._dropouts(node, dropout)) for node in specification.nodes]
        self._ways = {node.name: self._way(node) for node in specification.nodes}
        self._packings: list[Packing] = []
        self._outputs = 0

    def _learning(self, node: Node) -> LearningLayer | None:
        """What learns in a node's place; None for a softmax that is left to the loss."""
        layer, name = node.layer, node.name
        if name == self.specification.heads[0].node and not self.specification.readers(name):
            if isinstance(layer, Softmax):
                self.left_to_loss = "softmax"
                return None
            if isinstance(layer, Dense) and layer.activation.name == "sigmoid":
                self.left_to_loss = "sigmoid"
                layer = replace(layer, activation=IDENTITY)
        return learning(name, layer)

    def _dropouts(self, node: Node, rate: float) -> list[Dropout | None]:
        """One for each input of a layer with weights that is another layer's vector."""
        weighted = bool(rate) and bool(node.layer.weights(self.specification.inputs(node)))
        return [
            Dropout(rate) if weighted and name != FRAMES and not self.specification.wires[name].token else None
            for name in node.inputs
        ]

    def forward(self, x: Array, lengths: npt.ArrayLike, dropout: np.random.Generator | None = None) -> Array:
        """Outputs [B, T, O] of frames [B, T, I] or token ids [B, T]; ``lengths`` [B] in frames, beyond them 0.

        ``dropout`` draws what is dropped, while the network learns; None (the default, for evaluation) drops nothing,
        and leaves the statistics of batch normalisation as they are. Raises ShapeError,
        DtypeError or UnknownTokenError.
        """
        x = np.asarray(x)
        staging = self.specification.staging
        learning = dropout is not None
        self._packings = [Packing.of(each, learning) for each in staging.length(np.asarray(lengths, np.int64))]
        self._check(x)
        rows = self._packings[0].pack(x)
        values = {FRAMES: rows.astype(np.int64 if x.ndim == 2 else self.dtype, copy=False)}
        self._windows: dict[tuple[int, int, Framing], Windows] = {}
        for node, layer, drops in self._tape:
            stage, before, after = self._ways[node.name]
            inputs = [self._window(values[name], staging.of[name], stage, SAME) for name in node.inputs]
            inputs = [drop.forward(each, dropout) if drop else each for each, drop in zip(inputs, drops, strict=True)]
            for source, target, framing in before:
                inputs = [self._window(each, source, target, framing) for each in inputs]
            made = (
                layer.forward(self.parameters, inputs, self._packings[before[-1][1] if before else stage])
                if layer
                else inputs[0]
            )
            for source, target, framing in after:
                made = self._window(made, source, target, framing)
            values[node.name] = made
        head = self.specification.heads[0].node
        self._outputs = staging.of[head]
        packing = self._packings[self._outputs]
        return packing.unpack(values[head], len(packing.sizes) if self._outputs else x.shape[1])

    def output_lengths(self, lengths: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """How many frames come out of sequences of ``lengths`` [B] frames."""
        staging = self.specification.staging
        return staging.length(np.asarray(lengths, np.int64))[staging.of[self.specification.heads[0].node]]

    def backward(self, d_outputs: Array) -> dict[str, Array]:
        """Gradients of the weights by name, from those of the last `forward`'s outputs [B, T, O]."""
        if not self._packings:
            raise TrainingError("backward needs a forward before it")
        staging = self.specification.staging
        d_rows: Array = self._packings[self._outputs].pack(d_outputs).astype(self.dtype, copy=False)
        flowing = {self.specification.heads[0].node: d_rows}
        gradients: dict[str, Array] = {}
        for node, layer, drops in reversed(self._tape):
            if (d := flowing.pop(node.name, None)) is None:
                continue  # token ids, or one-hot vectors of them
            stage, before, after = self._ways[node.name]
            for source, target, framing in reversed(after):
                d = self._windows[source, target, framing].backward(d)
            wanted = any(name != FRAMES and not self.specification.wires[name].token for name in node.inputs)
            back = layer.backward(self.parameters, d, gradients, wanted=wanted) if layer else [d]
            for name, drop, d_input in zip(node.inputs, drops, back, strict=True):
                if d_input is not None and name != FRAMES:
                    for source, target, framing in reversed(before):
                        d_input = self._windows[source, target, framing].backward(d_input)
                    d_input = drop.backward(d_input) if drop else d_input
                    if staging.of[name] != stage:
                        d_input = self._windows[staging.of[name], stage, SAME].backward(d_input)
                    flowing[name] = flowing[name] + d_input if name in flowing else d_input
        return gradients

    def _way(self, node: Node) -> tuple[int, list[_Step], list[_Step]]:
        """The stage in which a node's inputs are, and how it re-frames before and after it computes: from which
        stage, to which, how."""
        staging = self.specification.staging
        stage = now = staging.joined([staging.of[name] for name in node.inputs], node.name)
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

    def activate(self, outputs: Array) -> Array:
        """What the model will output: `forward`'s outputs after what was left to the loss."""
        if self.left_to_loss == "softmax":
            return softmax(outputs)
        if self.left_to_loss == "sigmoid":
            return np.asarray(0.5 * np.tanh(0.5 * outputs) + 0.5)
        return outputs

    def weights(self) -> dict[str, npt.NDArray[np.float32]]:
        """All weights of the model file, float32: a copy of the parameters, and the constants."""
        current = self.parameters | self.constants
        return {name: np.array(current[name], np.float32) for name in self.specification.weights()}

    def _check(self, x: Array) -> None:
        front_end = self.specification.front_end
        if isinstance(front_end, Tokens):
            if x.ndim != 2 or x.dtype.kind not in "iu":
                raise DtypeError(
                    f"inputs are {x.dtype} {x.shape}: this network takes token ids, integers [sequence, step]"
                )
            size = len(front_end.vocabulary)
            if x.size and not 0 <= x.min() <= x.max() < size:
                raise UnknownTokenError(
                    f"token ids are from {x.min()} to {x.max()}, the vocabulary has 0 to {size - 1}"
                )
        elif x.ndim != 3 or x.shape[2] != front_end.frame_size:
            size = front_end.frame_size
            raise ShapeError(f"inputs are {x.shape}: this network takes frames [sequence, frame, {size}]")
