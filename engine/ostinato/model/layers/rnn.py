"""The plain recurrent layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from ostinato.model.activation import TANH, Activation
from ostinato.model.layers.recurrent import Array, Cell, Recurrent, interleaved
from ostinato.model.wire import Wire

if TYPE_CHECKING:
    from ostinato.model.lowering import Lowering


@dataclass(frozen=True)
class Rnn(Recurrent):
    """h<t> = f(W x<t> + R h<t-1> + Wb + Rb). ONNX RNN."""

    activation: Activation = TANH

    kind: ClassVar[str] = "rnn"
    gates: ClassVar[int] = 1

    def output(self, inputs: Sequence[Wire]) -> Wire:
        """Hidden states, which some activations keep in [0, 1]."""
        return replace(super().output(inputs), probabilities=self.activation.probabilities)

    def cell(self, to: Lowering, name: str, Wb: Sequence[Array], Rb: Sequence[Array]) -> Cell:
        """One gate, whose sum is activated."""
        return Cell("rnn", [Wb[0] + Rb[0]], {"activation": self.activation}, interleaved)
