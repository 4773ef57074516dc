"""Layers that learn: forward over packed rows keeping what backward needs, backward giving gradients by weight name.

A layer's input is rows [N, input], or token ids [N] for an embedding and for the layer above a one-hot layer, whose
products with one-hot vectors are look-ups of weight columns. Weights are the arrays of the network's ``parameters``,
read anew on each call.
"""
# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ostinato.model.specification import Activation, Gru, Lstm, Recurrent, Rnn
from ostinato.training import activations, cells
from ostinato.training.packing import Array, Packing

Parameters = Mapping[str, Array]


class Layer(Protocol):
    """One layer of a network being trained. ``backward`` follows the ``forward`` whose cache it uses."""

    def forward(self, parameters: Parameters, x: Array, packing: Packing) -> Array:
        """Outputs [N, output] of inputs [N, input]."""

    def backward(
        self, parameters: Parameters, dy: Array, gradients: dict[str, Array], wanted: bool = True
    ) -> Array | None:
        """Add the layer's weight gradients to ``gradients``; give those of its inputs if ``wanted``."""


class Buffers:
    """Arrays by name, used again from batch to batch, as fresh ones of their size would cost page faults.

    They hold a layer's rows from `forward` to `backward`, until the next `forward`.
    """

    def __init__(self) -> None:
        self._arrays: dict[str, Array] = {}

    def __call__(self, name: str, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Array:
        """An uninitialised array."""
        kept = self._arrays.get(name)
        size = math.prod(shape)
        if kept is None or kept.size < size or kept.dtype != dtype:
            kept = self._arrays[name] = np.empty(size, dtype)
        return kept[:size].reshape(shape)


def project(x: Array, W: Array, out: Array) -> None:
    """``out`` [N, output] <- W x for all rows of x [N, input], or of token ids [N] standing for one-hot vectors."""
    if x.ndim == 1:
        out[:] = W.T[x]
    else:
        np.matmul(x, W.T, out=out)


def weight_gradient(x: Array, dy: Array, W: Array) -> Array:
    """Gradient of W [output, input] in `project`, summed over the rows."""
    if x.ndim == 1:
        columns = np.zeros((W.shape[1], W.shape[0]), dy.dtype)
        scatter_add(columns, x, dy)
        return np.ascontiguousarray(columns.T)
    gradient: Array = dy.T @ x
    return gradient


@activations.compiled
def scatter_add(table: Array, ids: Array, rows: Array) -> None:
    """table[ids[i]] += rows[i] for each i, repeats included."""
    for i in range(ids.shape[0]):
        target, row = table[ids[i]], rows[i]
        for j in range(row.shape[0]):
            target[j] += row[j]


class RecurrentDirection:
    """One direction of a recurrent layer."""

    def __init__(self, prefix: str, layer: Recurrent, reverse: bool) -> None:
        self.prefix, self.layer, self.reverse = prefix, layer, reverse
        self.buffers = Buffers()

    def forward(self, parameters: Parameters, x: Array, packing: Packing) -> Array:
        """Hidden states [N, hidden]."""
        W, R, Wb, Rb = (parameters[f"{self.prefix}.{part}"] for part in ("W", "R", "Wb", "Rb"))
        self.steps = packing.sizes, packing.offsets, self.reverse
        self.x, self.sums = x, self.buffers("sums", (len(x), len(W)), W.dtype)
        project(x, W, self.sums)
        self.sums += Wb
        self.y, self.previous = (self.buffers(name, (len(x), R.shape[1]), W.dtype) for name in ("y", "previous"))
        if len(x):
            self._recur(parameters, np.ascontiguousarray(R.T), Rb, self.y)
        return self.y

    def _recur(self, parameters: Parameters, RT: Array, Rb: Array, y: Array) -> None:
        H = self.layer.hidden
        if isinstance(self.layer, Rnn):
            self.f = activations.settings(self.layer.activation, y.dtype)
            cells.rnn_forward(self.sums, RT, Rb, *self.f, *self.steps, y, self.previous)
        elif isinstance(self.layer, Lstm):
            self.P = parameters[f"{self.prefix}.P"] if self.layer.peepholes else np.zeros(3 * H, y.dtype)
            self.c, self.c_previous = (self.buffers(name, y.shape, y.dtype) for name in ("c", "c_previous"))
            cells.lstm_forward(self.sums, RT, Rb, self.P, *self.steps, y, self.previous, self.c, self.c_previous)
        elif self.layer.reset == "after":
            self.q = self.buffers("q", y.shape, y.dtype)
            cells.gru_after_forward(self.sums, RT, Rb, *self.steps, y, self.previous, self.q)
        else:
            self.q = self.buffers("q", y.shape, y.dtype)
            RT_zr, RT_n = (np.ascontiguousarray(part) for part in (RT[:, : 2 * H], RT[:, 2 * H :]))
            cells.gru_before_forward(self.sums, RT_zr, RT_n, Rb, *self.steps, y, self.previous, self.q)

    def backward(
        self, parameters: Parameters, dy: Array, gradients: dict[str, Array], wanted: bool = True
    ) -> Array | None:
        """Gradients as `Layer.backward`."""
        W, R = parameters[f"{self.prefix}.W"], parameters[f"{self.prefix}.R"]
        d_sums = self.buffers("d_sums", self.sums.shape, W.dtype)
        d_recurrent = d_sums
        if len(d_sums):
            d_recurrent, d_R = self._recur_back(R, np.ascontiguousarray(dy), d_sums)
        else:
            d_R = np.zeros_like(R)
        if isinstance(self.layer, Lstm) and self.layer.peepholes:
            d_i, d_o, d_f, _ = np.split(d_sums, 4, axis=1)
            parts = (d_i * self.c_previous, d_o * self.c, d_f * self.c_previous)
            gradients[f"{self.prefix}.P"] = np.concatenate([part.sum(axis=0) for part in parts])
        gradients[f"{self.prefix}.W"] = weight_gradient(self.x, d_sums, W)
        gradients[f"{self.prefix}.R"] = d_R
        gradients[f"{self.prefix}.Wb"] = d_sums.sum(axis=0)
        gradients[f"{self.prefix}.Rb"] = d_recurrent.sum(axis=0)
        return np.matmul(d_sums, W, out=self.buffers("dx", self.x.shape, W.dtype)) if wanted else None

    def _recur_back(self, R: Array, dy: Array, d_sums: Array) -> tuple[Array, Array]:
        """Fill ``d_sums``; give the gradients of the recurrent sums [N, G H] and of R."""
        H = self.layer.hidden
        if isinstance(self.layer, Rnn):
            cells.rnn_backward(dy, self.sums, self.y, R, *self.f, *self.steps, d_sums)
        elif isinstance(self.layer, Lstm):
            cells.lstm_backward(dy, self.sums, self.c, self.c_previous, R, self.P, *self.steps, d_sums)
        elif self.layer.reset == "after":
            d_recurrent = self.buffers("d_recurrent", d_sums.shape, dy.dtype)
            cells.gru_after_backward(dy, self.sums, self.q, self.previous, R, *self.steps, d_sums, d_recurrent)
            return d_recurrent, d_recurrent.T @ self.previous
        else:
            d_zr, d_n = (self.buffers(f"d_{width}", (len(dy), width), dy.dtype) for width in (2 * H, H))
            cells.gru_before_backward(dy, self.sums, self.previous, R[: 2 * H], R[2 * H :], *self.steps, d_zr, d_n)
            d_sums[:, : 2 * H], d_sums[:, 2 * H :] = d_zr, d_n
            return d_sums, np.concatenate([d_zr.T @ self.previous, d_n.T @ self.q])
        return d_sums, d_sums.T @ self.previous


class RecurrentLayer:
    """rnn, gru or lstm, in one direction or both: outputs [forward, backward] side by side."""

    def __init__(self, prefix: str, layer: Rnn | Gru | Lstm, directions: tuple[str, ...]) -> None:
        self.parts = [RecurrentDirection(f"{prefix}.{name}", layer, name == "backward") for name in directions]
        self.buffers = Buffers()

    def forward(self, parameters: Parameters, x: Array, packing: Packing) -> Array:
        """As `Layer.forward`."""
        outputs = [part.forward(parameters, x, packing) for part in self.parts]
        if len(outputs) == 1:
            return outputs[0]
        side_by_side = self.buffers("y", (len(x), 2 * outputs[0].shape[1]), outputs[0].dtype)
        return np.concatenate(outputs, axis=1, out=side_by_side)

    def backward(
        self, parameters: Parameters, dy: Array, gradients: dict[str, Array], wanted: bool = True
    ) -> Array | None:
        """As `Layer.backward`."""
        pieces = np.split(dy, len(self.parts), axis=1)
        dx = [part.backward(parameters, d, gradients, wanted) for part, d in zip(self.parts, pieces, strict=True)]
        if len(dx) == 2 and dx[0] is not None and dx[1] is not None:
            dx[0] += dx[1]
        return dx[0]


class DenseLayer:
    """y = f(W x + b)."""

    def __init__(self, prefix: str, activation: Activation) -> None:
        self.prefix, self.activation = prefix, activation
        self.buffers = Buffers()

    def forward(self, parameters: Parameters, x: Array, packing: Packing) -> Array:
        """As `Layer.forward`."""
        W = parameters[f"{self.prefix}.W"]
        self.x, self.a = x, self.buffers("a", (len(x), len(W)), W.dtype)
        project(x, W, self.a)
        self.a += parameters[f"{self.prefix}.b"]
        self.f = activations.settings(self.activation, self.a.dtype)
        self.y = self.buffers("y", self.a.shape, W.dtype)
        activations.activate_all(*self.f, self.a, self.y)
        return self.y

    def backward(
        self, parameters: Parameters, dy: Array, gradients: dict[str, Array], wanted: bool = True
    ) -> Array | None:
        """As `Layer.backward`."""
        da = self.buffers("da", self.a.shape, self.a.dtype)
        activations.slope_all(*self.f, self.a, self.y, np.ascontiguousarray(dy), da)
        W = parameters[f"{self.prefix}.W"]
        gradients[f"{self.prefix}.W"] = weight_gradient(self.x, da, W)
        gradients[f"{self.prefix}.b"] = da.sum(axis=0)
        return np.matmul(da, W, out=self.buffers("dx", self.x.shape, W.dtype)) if wanted else None


class EmbeddingLayer:
    """Token id -> a row of E [size, output]."""

    def __init__(self, prefix: str) -> None:
        self.name = f"{prefix}.E"

    def forward(self, parameters: Parameters, x: Array, packing: Packing) -> Array:
        """As `Layer.forward`."""
        self.x = x
        rows: Array = parameters[self.name][x]
        return rows

    def backward(
        self, parameters: Parameters, dy: Array, gradients: dict[str, Array], wanted: bool = True
    ) -> Array | None:
        """As `Layer.backward`."""
        gradient = np.zeros_like(parameters[self.name])
        scatter_add(gradient, self.x, np.ascontiguousarray(dy))
        gradients[self.name] = gradient
        return None


class OneHotLayer:
    """Token ids go on as they are: the layer above looks its weight columns up (`project`)."""

    def forward(self, parameters: Parameters, x: Array, packing: Packing) -> Array:
        """As `Layer.forward`."""
        return x

    def backward(
        self, parameters: Parameters, dy: Array, gradients: dict[str, Array], wanted: bool = True
    ) -> Array | None:
        """As `Layer.backward`."""
        return None


class SoftmaxLayer:
    """exp(x_i - max x) / sum_j exp(x_j - max x), below other layers; a last one is left to the loss."""

    def forward(self, parameters: Parameters, x: Array, packing: Packing) -> Array:
        """As `Layer.forward`."""
        self.y = softmax(x)
        return self.y

    def backward(
        self, parameters: Parameters, dy: Array, gradients: dict[str, Array], wanted: bool = True
    ) -> Array | None:
        """Dx = y (dy - sum_j dy_j y_j)."""
        dx: Array = self.y * (dy - (dy * self.y).sum(axis=1, keepdims=True))
        return dx


class DropoutLayer:
    """Inverted dropout (Srivastava et al. 2014): a value is 0 with probability ``rate``, else divided by 1 - rate.

    ``generator`` None: all values pass as they are.
    """

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self.generator: np.random.Generator | None = None
        self.mask: Any = None

    def forward(self, parameters: Parameters, x: Array, packing: Packing) -> Array:
        """As `Layer.forward`."""
        self.mask = None
        if self.generator is None:
            return x
        kept = self.generator.random(x.shape, np.float32) >= self.rate
        self.mask = kept.astype(x.dtype) / x.dtype.type(1 - self.rate)
        return np.asarray(x * self.mask)

    def backward(
        self, parameters: Parameters, dy: Array, gradients: dict[str, Array], wanted: bool = True
    ) -> Array | None:
        """As `Layer.backward`."""
        return dy if self.mask is None else np.asarray(dy * self.mask)


def softmax(x: Array) -> Array:
    """exp(x_i - max x) / sum_j exp(x_j - max x) over the last axis."""
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    y: Array = e / e.sum(axis=-1, keepdims=True)
    return y
