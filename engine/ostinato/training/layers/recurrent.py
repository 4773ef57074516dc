"""Recurrent layers: the inputs of all steps are projected in one product, then the kind's recurrence runs.

Each kind's forward function takes a direction's inputs already projected, W x + Wb, for all N rows at once, and
overwrites them with what backward needs. Per step there is one product (BLAS) and one fused loop. Its backward
function gives the gradients of the sums inside the gates; weight gradients are then one product over all rows.

Shapes: gates G, hidden H, steps T, ``sums`` [N, G H], ``RT`` [H, G H] the transposed recurrent weights, ``Rb`` [G H],
``y`` [N, H] the outputs, ``previous`` [N, H] the state that each row started from. ``reverse`` runs from each
sequence's end to its start. Formulas and gate orders: ONNX operators RNN, GRU, LSTM (opset 22); gradients by the
chain rule (Werbos 1990, Back-propagation through time).
"""
# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from ostinato.model.layers import Recurrent
from ostinato.training.activations import compiled
from ostinato.training.layers.layer import Buffers, Parameters, project, weight_gradient
from ostinato.training.packing import Array, Packing


@compiled
def take_previous(source: Array, sizes: Array, offsets: Array, t: int, before: int, target: Array) -> None:
    """Rows of step t in ``target`` <- the same sequences' rows of step ``before`` in ``source``, or 0."""
    n, first, rows = sizes[t], offsets[t], 0
    if 0 <= before < sizes.shape[0]:
        rows = min(n, sizes[before])
        start = offsets[before]
        target[first : first + rows] = source[start : start + rows]
    target[first + rows : first + n] = 0


class Direction:
    """One direction of a recurrent layer; a kind says how it recurs."""

    def __init__(self, prefix: str, layer: Any, reverse: bool) -> None:
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
            self.recur(parameters, np.ascontiguousarray(R.T), Rb, self.y)
        return self.y

    def recur(self, parameters: Parameters, RT: Array, Rb: Array, y: Array) -> None:
        """Fill ``y``."""
        raise NotImplementedError

    def recur_back(self, R: Array, dy: Array, d_sums: Array) -> tuple[Array, Array]:
        """Fill ``d_sums``; give the gradients of the recurrent sums [N, G H] and of R."""
        raise NotImplementedError

    def more_gradients(self, d_sums: Array, gradients: dict[str, Array]) -> None:
        """Add those of weights that only this kind has."""

    def backward(self, parameters: Parameters, dy: Array, gradients: dict[str, Array], wanted: bool) -> Array | None:
        """Gradients as `LearningLayer.backward`, of the one input."""
        W, R = parameters[f"{self.prefix}.W"], parameters[f"{self.prefix}.R"]
        d_sums = self.buffers("d_sums", self.sums.shape, W.dtype)
        d_recurrent = d_sums
        if len(d_sums):
            d_recurrent, d_R = self.recur_back(R, np.ascontiguousarray(dy), d_sums)
        else:
            d_R = np.zeros_like(R)
        self.more_gradients(d_sums, gradients)
        gradients[f"{self.prefix}.W"] = weight_gradient(self.x, d_sums, W)
        gradients[f"{self.prefix}.R"] = d_R
        gradients[f"{self.prefix}.Wb"] = d_sums.sum(axis=0)
        gradients[f"{self.prefix}.Rb"] = d_recurrent.sum(axis=0)
        return np.matmul(d_sums, W, out=self.buffers("dx", self.x.shape, W.dtype)) if wanted else None


class RecurrentLayer:
    """A recurrent layer, in one direction or both: outputs [forward, backward] side by side."""

    direction: ClassVar[type[Direction]]

    def __init__(self, name: str, layer: Recurrent) -> None:
        self.parts = [self.direction(f"{name}.{way}", layer, way == "backward") for way in layer.directions]
        self.buffers = Buffers()

    def forward(self, parameters: Parameters, inputs: Sequence[Array], packing: Packing) -> Array:
        """As `LearningLayer.forward`."""
        outputs = [part.forward(parameters, inputs[0], packing) for part in self.parts]
        if len(outputs) == 1:
            return outputs[0]
        side_by_side = self.buffers("y", (len(inputs[0]), 2 * outputs[0].shape[1]), outputs[0].dtype)
        return np.concatenate(outputs, axis=1, out=side_by_side)

    def backward(
        self, parameters: Parameters, dy: Array, gradients: dict[str, Array], wanted: bool = True
    ) -> Sequence[Array | None]:
        """As `LearningLayer.backward`."""
        pieces = np.split(dy, len(self.parts), axis=1)
        dx = [part.backward(parameters, d, gradients, wanted) for part, d in zip(self.parts, pieces, strict=True)]
        if len(dx) == 2 and dx[0] is not None and dx[1] is not None:
            dx[0] += dx[1]
        return dx[:1]
