"""Products of several inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from ostinato.model.layers.elementwise import Elementwise
from ostinato.model.wire import Wire


@dataclass(frozen=True)
class Multiply(Elementwise):
    """y = x1 * x2 * …, value by value: a gate or a mask, for one. ONNX Mul."""

    kind: ClassVar[str] = "multiply"
    operation: ClassVar[str] = "multiply"

    def probabilities(self, inputs: Sequence[Wire]) -> bool:
        """Those of probabilities are some."""
        return all(wire.probabilities for wire in inputs)
