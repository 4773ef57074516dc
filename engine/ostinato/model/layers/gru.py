"""Gated recurrent units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from ostinato.model.activation import SIGMOID, TANH, Activation
from ostinato.model.layers.recurrent import Array, Cell, Recurrent, check_clip, interleaved, split_gates

if TYPE_CHECKING:
    from ostinato.model.lowering import Lowering, Value


@dataclass(frozen=True)
class Gru(Recurrent):
    """ONNX GRU, gates z r h. ``reset`` "after" the product is linear_before_reset=1 (PyTorch, Keras reset_after),
    "before" is 0 (Cho et al. 2014): n = g(W x + r * (R h + Rb) + Wb) against n = g(W x + R (r * h) + Rb + Wb);
    h' = (1 - z) * n + z * h.

    ``gate_activation`` is ONNX's f, ``activation`` its g, whose arguments are kept within [-``clip``, clip].
    """

    reset: Literal["after", "before"] = "after"
    activation: Activation = field(default=TANH, kw_only=True)
    gate_activation: Activation = field(default=SIGMOID, kw_only=True)
    clip: float | None = field(default=None, kw_only=True)

    kind: ClassVar[str] = "gru"
    gates: ClassVar[int] = 3

    @property
    def usual(self) -> bool:
        """Whether all but ``reset`` is as most have it: what is fastest."""
        return (self.activation, self.gate_activation, self.clip) == (TANH, SIGMOID, None)

    def check(self) -> None:
        """Clipping leaves something."""
        super().check()
        check_clip(self.kind, self.clip)

    def cell(self, to: Lowering, name: str, source: Value) -> Cell:
        """Reset after: the candidate's Rb is not folded into its bias, as r multiplies it. Reset before: the
        candidate's R waits for r, in a product of its own."""
        Wb, Rb = self.bias(to, f"{name}.Wb"), self.bias(to, f"{name}.Rb")
        bias, order = [w + r for w, r in zip(Wb, Rb, strict=True)], interleaved if self.usual else np.concatenate
        fields: dict[str, Any] = {}
        if not self.usual:
            fields = {"activation": (self.gate_activation, self.activation), "clip": to.number(self.clip)}
        if self.reset == "after":
            bias[2], fields["recurrent_bias"] = Wb[2], to.values(Rb[2])
            return Cell("gru-after" if self.usual else "gru-general-after", bias, fields, order)
        fields["R2"] = to.matrix(f"{name}.R", lambda R: order(split_gates(R, 3)[2:]))
        if self.usual:
            return Cell("gru-before", bias, fields, _candidate_last, lambda gates: interleaved(gates[:2]))
        return Cell("gru-general-before", bias, fields, order, lambda gates: order(gates[:2]))


def _candidate_last(gates: Sequence[Array]) -> Array:
    """Gates z and r interleaved, then all of n: a GRU that resets before the product needs n's sums later."""
    return np.concatenate([interleaved(gates[:2]), gates[2]])
