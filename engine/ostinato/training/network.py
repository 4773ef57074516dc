"""A network that learns: forward over a batch, backward through time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ostinato.errors import DtypeError, ShapeError, TrainingError, UnknownTokenError
from ostinato.model.network import Network
from ostinato.model.specification import (
    Activation,
    Dense,
    Embedding,
    Gru,
    Lstm,
    OneHot,
    Rnn,
    Specification,
    Tokens,
    directions,
    weight_shapes,
)
from ostinato.training import layers
from ostinato.training.packing import Array, Packing

LeftToLoss = Literal["softmax", "sigmoid", None]


class TrainableNetwork:
    """The layers of a specification with weights that change.

    ``parameters``: every ``layers.*`` weight by its name in the model file, in ``dtype``; change them in place.
    ``constants``: the other weights (``front_end.*``), passed through to `weights`. ``dropout``: the share of values
    dropped between layers while training. ``left_to_loss``: a last softmax layer, or the sigmoid of a last dense
    layer, is not computed by `forward`, whose outputs are then logits: losses take them so, for the precision;
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
        outside [0, 1) or an int8 specification.
        """
        if specification.precision == "int8":
            raise TrainingError("a network learns in float32: train that, then quantize it")
        if not 0 <= dropout < 1:
            raise TrainingError(f"dropout = {dropout} is not from 0 up to, but without, 1")
        start = Network.random(specification, seed) if weights is None else Network(specification, weights)
        self.specification, self.dtype = specification, np.dtype(dtype)
        self.parameters = {
            name: np.array(value, self.dtype, order="C")
            for name, value in start.weights.items()
            if name.startswith("layers.")
        }
        self.constants = {name: value.copy() for name, value in start.weights.items() if name not in self.parameters}
        self.left_to_loss: LeftToLoss = None
        self._chain = self._layers(dropout)
        self._first = int(isinstance(self._chain[0], layers.OneHotLayer)) if self._chain else 0
        self._packing: Packing | None = None
        self._steps = 0

    def _layers(self, dropout: float) -> list[layers.Layer]:
        chain: list[layers.Layer] = []
        last = len(self.specification.layers) - 1
        for i, layer in enumerate(self.specification.layers):
            prefix = f"layers.{i}"
            weighted = isinstance(layer, Rnn | Gru | Lstm | Dense)
            if dropout and i and weighted and not isinstance(chain[-1], layers.OneHotLayer):
                chain.append(layers.DropoutLayer(dropout))
            if isinstance(layer, Rnn | Gru | Lstm):
                chain.append(layers.RecurrentLayer(prefix, layer, directions(layer)))
            elif isinstance(layer, Dense):
                activation = layer.activation
                if i == last and activation.name == "sigmoid":
                    self.left_to_loss, activation = "sigmoid", Activation("identity")
                chain.append(layers.DenseLayer(prefix, activation))
            elif isinstance(layer, Embedding):
                chain.append(layers.EmbeddingLayer(prefix))
            elif isinstance(layer, OneHot):
                chain.append(layers.OneHotLayer())
            elif i == last:
                self.left_to_loss = "softmax"
            else:
                chain.append(layers.SoftmaxLayer())
        return chain

    def forward(self, x: Array, lengths: npt.ArrayLike, dropout: np.random.Generator | None = None) -> Array:
        """Outputs [B, T, O] of frames [B, T, I] or token ids [B, T]; ``lengths`` [B] in frames, beyond them 0.

        ``dropout`` draws what is dropped; None (the default, for evaluation) drops nothing. Raises ShapeError,
        DtypeError or UnknownTokenError.
        """
        x = np.asarray(x)
        self._packing, self._steps = Packing.of(lengths), x.shape[1] if x.ndim > 1 else 0
        self._check(x)
        rows = self._packing.pack(x)
        rows = rows.astype(np.int64 if x.ndim == 2 else self.dtype, copy=False)
        for layer in self._chain:
            if isinstance(layer, layers.DropoutLayer):
                layer.generator = dropout
            rows = layer.forward(self.parameters, rows, self._packing)
        return self._packing.unpack(rows, self._steps)

    def backward(self, d_outputs: Array) -> dict[str, Array]:
        """Gradients of the weights by name, from those of the last `forward`'s outputs [B, T, O]."""
        if self._packing is None:
            raise TrainingError("backward needs a forward before it")
        d: Any = self._packing.pack(d_outputs).astype(self.dtype, copy=False)
        gradients: dict[str, Array] = {}
        for i in range(len(self._chain) - 1, self._first - 1, -1):
            d = self._chain[i].backward(self.parameters, d, gradients, wanted=i > self._first)
        return gradients

    def activate(self, outputs: Array) -> Array:
        """What the model will output: `forward`'s outputs after what was left to the loss."""
        if self.left_to_loss == "softmax":
            return layers.softmax(outputs)
        if self.left_to_loss == "sigmoid":
            return np.asarray(0.5 * np.tanh(0.5 * outputs) + 0.5)
        return outputs

    def weights(self) -> dict[str, npt.NDArray[np.float32]]:
        """All weights of the model file, float32: a copy of the parameters, and the constants."""
        current = self.parameters | self.constants
        return {name: np.array(current[name], np.float32) for name in weight_shapes(self.specification)}

    def _check(self, x: Array) -> None:
        tokens = isinstance(self.specification.front_end, Tokens)
        if tokens:
            if x.ndim != 2 or x.dtype.kind not in "iu":
                raise DtypeError(
                    f"inputs are {x.dtype} {x.shape}: this network takes token ids, integers [sequence, step]"
                )
            size = len(self.specification.front_end.vocabulary)  # type: ignore[union-attr]
            if x.size and not 0 <= x.min() <= x.max() < size:
                raise UnknownTokenError(
                    f"token ids are from {x.min()} to {x.max()}, the vocabulary has 0 to {size - 1}"
                )
        elif x.ndim != 3 or x.shape[2] != self.specification.front_end.frame_size:
            size = self.specification.front_end.frame_size
            raise ShapeError(f"inputs are {x.shape}: this network takes frames [sequence, frame, {size}]")
