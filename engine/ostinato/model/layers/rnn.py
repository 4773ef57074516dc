"""The plain recurrent layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar

from ostinato.model.activation import TANH, Activation
from ostinato.model.layers.recurrent import Cell, Recurrent, check_clip, interleaved
from ostinato.model.wire import Wire

if TYPE_CHECKING:
    from ostinato.model.lowering import Lowering, Value


@dataclass(frozen=True)
class Rnn(Recurrent):
    """h<t> = f(W x<t> + R h<t-1> + Wb + Rb). ONNX RNN; ``clip``: f's argument is kept within [-clip, clip]."""

    activation: Activation = TANH
    clip: float | None = field(default=None, kw_only=True)

    kind: ClassVar[str] = "rnn"
    gates: ClassVar[int] = 1

    def check(self) -> None:
        """Clipping leaves something."""
        super().check()
        check_clip(self.kind, self.clip)

    def output(self, inputs: Sequence[Wire]) -> Wire:
        """Hidden states, which some activations keep in [0, 1]."""
        return replace(super().output(inputs), probabilities=self.activation.probabilities)

    def cell(self, to: Lowering, name: str, source: Value) -> Cell:
        """One gate, whose sum is activated."""
        (Wb,), (Rb,) = self.bias(to, f"{name}.Wb"), self.bias(to, f"{name}.Rb")
        fields = {"activation": self.activation, "clip": to.number(self.clip)}
        return Cell("rnn", [Wb + Rb], fields, interleaved)
