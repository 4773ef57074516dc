"""Recurrent layers: the inputs of all steps are projected in one product, then the kind's recurrence runs.

Each kind's forward function takes a direction's inputs already projected, W x + Wb, for all N rows at once, and
overwrites them with what backward needs. Per step there is one product and one fused loop. Its backward function
gives the gradients of the sums inside the gates; weight gradients are then one product over all rows.

Shapes: gates G, hidden H, steps T, ``sums`` [N, G H], ``R`` and ``Rb`` the recurrent weights [G H, H] and their bias
[G H] as `products.times` takes them (backward R^T, and ``zero`` a bias of [H] zeros), ``y`` [N, H] the outputs,
``start`` [B, H] the states that sequences begin from, ``previous`` [N, H] the state that each row started from,
``dropped`` [N, H] what the recurrent product takes of it: all of it if ``mask`` is empty, or times ``mask`` [B, H]. B
sequences are in the order of the packing. ``reverse`` runs from each sequence's end to its start. A backward function
gives the gradients of the states that the sequences began from, [B, H]. Formulas and gate orders: ONNX operators RNN,
GRU, LSTM (opset 22); gradients by the chain rule (Werbos 1990, Back-propagation through time).
"""
# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from ostinato.model.layers import Recurrent
from ostinato.training.activations import compiled
from ostinato.training.layers.layer import Buffers, Parameters
from ostinato.training.packing import Array, Packing
from ostinato.training.products import input_gradient, project, weight_gradients


@compiled
def take_previous(
    source: Array, sizes: Array, offsets: Array, t: int, before: int, start: Array, target: Array
) -> None:
    """Rows of step t in ``target`` <- the same sequences' rows of step ``before`` in ``source``, or of ``start``."""
    n, first, rows, place = sizes[t], offsets[t], 0, 0
    if 0 <= before < sizes.shape[0]:
        rows, place = min(n, sizes[before]), offsets[before]
    # Loops, not slices: of those Numba compiles for seconds what it would say if their shapes differed.
    for b in range(rows):
        for j in range(target.shape[1]):
            target[first + b, j] = source[place + b, j]
    for b in range(rows, n):
        for j in range(target.shape[1]):
            target[first + b, j] = start[b, j]


@compiled
def drop(h: Array, mask: Array, first: int, n: int, dropped: Array) -> None:
    """Rows of a step in ``dropped`` <- those of ``h`` times the mask of their sequences, if there is one."""
    if mask.shape[0]:
        for b in range(n):
            for j in range(mask.shape[1]):
                dropped[first + b, j] = h[first + b, j] * mask[b, j]


@compiled
def drop_back(dh: Array, mask: Array, n: int) -> None:
    """The first ``n`` rows of ``dh`` times the mask, if there is one."""
    if mask.shape[0]:
        for b in range(n):
            for j in range(mask.shape[1]):
                dh[b, j] *= mask[b, j]


Steps = tuple[Array, Array, bool]
"""How many sequences have a frame at each step, where those begin among the rows, and whether the last is first."""


def forwards(steps: Steps) -> Iterator[tuple[int, int, slice]]:
    """Each step, the one that its states come from, and its rows."""
    sizes, offsets, reverse = steps
    for t in reversed(range(len(sizes))) if reverse else range(len(sizes)):
        yield t, t + 1 if reverse else t - 1, slice(offsets[t], offsets[t] + sizes[t])


def backwards(steps: Steps) -> Iterator[slice]:
    """The rows of each step, as `forwards` has them, from the last one on."""
    yield from (rows for _, _, rows in reversed(list(forwards(steps))))


class Direction:
    """One direction of a recurrent layer; a kind says how it recurs. ``own`` are its weights by their last part.

    ``dropout``: the share of h dropped before the recurrent product, while the network learns: the same values at
    each step of a sequence (Gal and Ghahramani 2016, A theoretically grounded application of dropout in recurrent
    neural networks).
    """

    in_place: ClassVar[bool] = False
    """Whether gradients of the sums may take the place of what `recur` left there, each of those that it is made of:
    half as much goes through memory."""

    def __init__(self, prefix: str, layer: Any, reverse: bool) -> None:
        self.prefix, self.layer, self.reverse = prefix, layer, reverse
        self.buffers = Buffers()
        self.dropout = 0.0

    def forward(
        self, parameters: Parameters, x: Array, packing: Packing, begun: Mapping[str, Array] = MappingProxyType({})
    ) -> Array:
        """Outputs [N, width]. ``begun``: states by name that sequences are given to begin from, [B, size]."""
        own = self._own(parameters)
        self.begun, self.d_begun = begun, dict[str, Array]()
        W = own["W"]
        self.steps = packing.sizes, packing.offsets, self.reverse
        self.order = packing.first
        self.states = packing.learning.states if packing.learning else None
        self.carried = False
        self.mask = self._mask(packing, W.dtype)
        self.x, self.sums = x, self.buffers("sums", (len(x), len(W)), W.dtype)
        project(x, W, own[self._bias], self.sums)
        self.y = self.buffers("y", (len(x), self.layer.width), W.dtype)
        if len(x):
            self.recur(own, self.y)
            if self.states is not None:
                self._carry(own, packing)
        return self.y

    def recur(self, own: Parameters, y: Array) -> None:
        """Fill ``y``."""
        raise NotImplementedError

    def recur_back(self, own: Parameters, dy: Array, d_sums: Array) -> dict[str, Array]:
        """Fill ``d_sums``; give the gradients of weights by their last part, and of "x" what does not come through W.
        Those of W and its bias may be left out."""
        raise NotImplementedError

    def ends(self) -> dict[str, Array]:
        """The rows of each state, by its name."""
        return {"h": self.y}

    def start(self, own: Parameters, state: str) -> Array:
        """What sequences begin from: what they ended with before, if states are carried on."""
        key = f"{self.prefix}.{state}"
        self.carried = self.states is not None and key in self.states
        if self.states is not None and self.carried:
            return np.ascontiguousarray(self.states[key][self.order])
        return self._initial(own, state, len(self.order))

    def began(self, state: str, d_start: Array) -> Array:
        """Gradient of the state that streams begin from, of those that sequences began from [B, H]."""
        self.d_begun[state] = d_start
        total: Array = d_start.sum(axis=0)
        return np.zeros_like(total) if self.carried else total

    def before_product(self, previous: Array) -> Array:
        """Where `drop` puts what the recurrent product takes of ``previous``: there, if nothing is dropped."""
        return self.buffers("dropped", previous.shape, previous.dtype) if len(self.mask) else previous

    def _initial(self, own: Parameters, state: str, count: int) -> Array:
        size = self.layer.states[state]
        if state in self.begun:
            return np.ascontiguousarray(self.begun[state])
        return np.tile(own.get(f"initial_{state}", np.zeros(size, self.sums.dtype)), (count, 1))

    def _carry(self, own: Parameters, packing: Packing) -> None:
        """Keep the states that sequences end with, those without a frame as they are."""
        assert self.states is not None
        count = np.arange(len(self.order))
        lengths = (packing.sizes[:, None] > count).sum(axis=0)
        for state, rows in self.ends().items():
            key = f"{self.prefix}.{state}"
            kept = self.states.get(key, self._initial(own, state, packing.batch)).copy()
            kept[self.order] = rows[packing.offsets[lengths - 1] + count]
            self.states[key] = kept

    def _mask(self, packing: Packing, dtype: np.dtype[Any]) -> Array:
        """[B, H], in the order of the packing; empty if nothing is dropped. The same while states are carried on."""
        width = self.layer.width
        if packing.learning is None or not self.dropout or self.layer.elementwise:
            return np.zeros((0, width), dtype)
        key = f"{self.prefix}.mask"
        mask = (self.states or {}).get(key)
        if mask is None:
            kept = packing.learning.random.random((packing.batch, width), np.float32) >= self.dropout
            mask = kept.astype(dtype) / dtype.type(1 - self.dropout)
            if self.states is not None:
                self.states[key] = mask
        return np.ascontiguousarray(mask[self.order])

    def backward(self, parameters: Parameters, dy: Array, gradients: dict[str, Array], wanted: bool) -> Array | None:
        """Gradients as `LearningLayer.backward`, of the one input."""
        own = self._own(parameters)
        d_sums = self.sums if self.in_place else self.buffers("d_sums", self.sums.shape, self.sums.dtype)
        made = self.recur_back(own, np.ascontiguousarray(dy), d_sums) if len(d_sums) else {}
        found = {part: np.zeros_like(array) for part, array in own.items()} | made
        if "W" not in made:
            found["W"], found[self._bias] = weight_gradients(self.x, d_sums, own["W"])
        gradients.update({f"{self.prefix}.{part}": found[part] for part in own})
        if not wanted:
            return None
        dx = input_gradient(d_sums, own["W"], self.buffers("dx", self.x.shape, d_sums.dtype))
        if "x" in found:
            dx += found["x"]
        return dx

    @property
    def _bias(self) -> str:
        return "b" if self.layer.elementwise else "Wb"

    def _own(self, parameters: Parameters) -> dict[str, Array]:
        start = f"{self.prefix}."
        return {name.removeprefix(start): array for name, array in parameters.items() if name.startswith(start)}


class RecurrentLayer:
    """A recurrent layer, in one direction or both: outputs [forward, backward] side by side."""

    direction: ClassVar[type[Direction]]

    def __init__(self, name: str, layer: Recurrent) -> None:
        self.states = {state: layer.states[state] for state in sorted(layer.states, key=lambda state: state != "h")}
        self.parts = [self.direction(f"{name}.{way}", layer, way == "backward") for way in layer.directions]
        self.buffers = Buffers()

    def forward(self, parameters: Parameters, inputs: Sequence[Array], packing: Packing) -> Array:
        """As `LearningLayer.forward`."""
        self.memory: tuple[int, ...] | None = None
        if len(inputs) > 1:
            self.memory = inputs[1].shape
            at, frames = packing.last_seen(inputs[1])
            self.at = at[: len(packing.first)]
            return self.parts[0].forward(parameters, inputs[0], packing, self._begun(frames[self.at]))
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
        if self.memory is None:
            return dx[:1]
        d_memory = np.zeros(self.memory, dy.dtype)
        if len(self.at):
            d_begun = [self.parts[0].d_begun[state] for state in self.parts[0].begun]
            d_memory.reshape(-1, self.memory[2])[self.at] = np.concatenate(d_begun, axis=1)
        return [dx[0], d_memory]

    def _begun(self, values: Array) -> dict[str, Array]:
        """States [B, size] by name, of all in their order, h first, or of the first alone."""
        found = {}
        for state, size in self.states.items():
            if values.shape[1]:
                found[state], values = np.split(values, [size], axis=1)
        return found
