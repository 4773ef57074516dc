"""Gated recurrent units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from ostinato.model.layers.recurrent import Array, Cell, Recurrent, interleaved, split_gates

if TYPE_CHECKING:
    from ostinato.model.lowering import Lowering


@dataclass(frozen=True)
class Gru(Recurrent):
    """ONNX GRU, gates z r h. ``reset`` "after" the product is linear_before_reset=1 (PyTorch, Keras reset_after),
    "before" is 0 (Cho et al. 2014): n = g(W x + r * (R h + Rb) + Wb) against n = g(W x + R (r * h) + Rb + Wb);
    h' = (1 - z) * n + z * h."""

    reset: Literal["after", "before"] = "after"

    kind: ClassVar[str] = "gru"
    gates: ClassVar[int] = 3

    def cell(self, to: Lowering, name: str, Wb: Sequence[Array], Rb: Sequence[Array]) -> Cell:
        """Reset after: the candidate's Rb is not folded into its bias, as r multiplies it. Reset before: the
        candidate's R waits for r, in a product of its own."""
        folded = [w + r for w, r in zip(Wb, Rb, strict=True)]
        if self.reset == "after":
            return Cell("gru-after", [*folded[:2], Wb[2]], {"recurrent_bias": to.values(Rb[2])}, interleaved)
        second = to.matrix(f"{name}.R", lambda R: interleaved(split_gates(R, 3)[2:]))
        return Cell("gru-before", folded, {"R2": second}, _candidate_last, slice(2))


def _candidate_last(gates: Sequence[Array]) -> Array:
    """Gates z and r interleaved, then all of n: a GRU that resets before the product needs n's sums later."""
    return np.concatenate([interleaved(gates[:2]), gates[2]])
