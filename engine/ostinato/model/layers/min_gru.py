"""The minimal gated recurrent unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ostinato.model.layers.recurrent import Cell, Recurrent, interleaved

if TYPE_CHECKING:
    from ostinato.model.lowering import Lowering, Value


@dataclass(frozen=True)
class MinGru(Recurrent):
    """minGRU (Feng et al. 2024, "Were RNNs All We Needed?"), gates z n: h' = (1 - z) * h + z * n with z = sigmoid and
    n = Wn x + bn. With ``positive``, the variant that the paper trains in log space, n = g(Wn x + bn) instead:
    g(v) = v + 1/2 where v >= 0, else sigmoid(v)."""

    positive: bool = False

    kind: ClassVar[str] = "min-gru"
    gates: ClassVar[int] = 2
    elementwise: ClassVar[bool] = True

    def cell(self, to: Lowering, name: str, source: Value) -> Cell:
        """Both gates by one product."""
        return Cell("min-gru", self.bias(to, f"{name}.b"), {"variant": self.positive}, interleaved)
