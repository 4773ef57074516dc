"""The mean of several inputs: an ensemble."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from ostinato.model.activation import Activation
from ostinato.model.layers.elementwise import Elementwise
from ostinato.model.wire import Wire


@dataclass(frozen=True)
class Mean(Elementwise):
    """y = (x1 + x2 + …) / n, value by value: what several networks say together. ONNX Mean."""

    kind: ClassVar[str] = "mean"
    operation: ClassVar[str] = "add"

    def probabilities(self, inputs: Sequence[Wire]) -> bool:
        """That of probabilities is one."""
        return all(wire.probabilities for wire in inputs)

    def at_last(self, count: int) -> Activation:
        """Their sum times 1 / n. Of n values up to 1 it is at most 1, rounded too."""
        return Activation("affine", 1 / count, 0.0)
