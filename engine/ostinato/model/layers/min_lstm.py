"""The minimal long short-term memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ostinato.model.layers.recurrent import Cell, Recurrent, interleaved

if TYPE_CHECKING:
    from ostinato.model.lowering import Lowering, Value


@dataclass(frozen=True)
class MinLstm(Recurrent):
    """minLSTM (Feng et al. 2024, "Were RNNs All We Needed?"), gates f i n: h' = f / (f + i) * h + i / (f + i) * n
    with f and i = sigmoid and n = Wn x + bn. With ``positive``, the variant that the paper trains in log space, n =
    g(Wn x + bn) instead: g(v) = v + 1/2 where v >= 0, else sigmoid(v).

    i / (f + i) is computed as sigmoid(softplus(-f's sum) - softplus(-i's sum)), which is defined where both are 0.
    """

    positive: bool = False

    kind: ClassVar[str] = "min-lstm"
    gates: ClassVar[int] = 3
    elementwise: ClassVar[bool] = True

    def cell(self, to: Lowering, name: str, source: Value) -> Cell:
        """All gates by one product."""
        return Cell("min-lstm", self.bias(to, f"{name}.b"), {"variant": self.positive}, interleaved)
