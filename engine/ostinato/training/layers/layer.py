"""What every kind of layer does to learn, and what they share. A kind is one file here, and one line in
`ostinato.training.layers`.

A layer's inputs are rows [N, size], or token ids [N] from a tokens front end and from a one-hot layer, whose products
with one-hot vectors are look-ups of weight columns; or what an encoder has made of the sources, [B, S, size]. Weights
are the arrays of the network's ``parameters``, read anew on each call.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ostinato.training.packing import Array, Packing

Parameters = Mapping[str, Array]


class LearningLayer(Protocol):
    """One layer of a network being trained. ``backward`` follows the ``forward`` whose cache it uses."""

    def forward(self, parameters: Parameters, inputs: Sequence[Array], packing: Packing) -> Array:
        """Outputs [N, output] of the node's inputs, [N, size] each."""

    def backward(
        self, parameters: Parameters, dy: Array, gradients: dict[str, Array], wanted: bool = True
    ) -> Sequence[Array | None]:
        """Add the layer's weight gradients to ``gradients``; give those of each of its inputs if ``wanted``, None for
        one that has none."""


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
