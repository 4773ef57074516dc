"""Long short-term memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from ostinato.lanes import padded
from ostinato.model.activation import SIGMOID, TANH, Activation
from ostinato.model.layers.recurrent import Cell, Recurrent, check_clip, interleaved, split_gates, widened
from ostinato.model.wire import Weight, Wire, glorot, zeros

if TYPE_CHECKING:
    from ostinato.model.lowering import Lowering, Value


@dataclass(frozen=True)
class Lstm(Recurrent):
    """ONNX LSTM, gates i o f c. With ``peepholes``, weights P [3 * hidden], i and f see c<t-1>, o sees c<t> (Gers
    and Schmidhuber 2000).

    With a ``projection`` (Sak et al. 2014; PyTorch's proj_size), outputs and h are H (o * tanh(c)), by weights H
    [projection, hidden], which are float32 in int8 layers too. ``input_forget``: the forget gate is 1 - i.
    ``gate_activation`` is ONNX's f, ``activation`` its g, ``output_activation`` its h; the arguments of f and g are
    kept within [-``clip``, clip].
    """

    peepholes: bool = False
    projection: int | None = field(default=None, kw_only=True)
    activation: Activation = field(default=TANH, kw_only=True)
    gate_activation: Activation = field(default=SIGMOID, kw_only=True)
    output_activation: Activation = field(default=TANH, kw_only=True)
    clip: float | None = field(default=None, kw_only=True)
    input_forget: bool = field(default=False, kw_only=True)

    kind: ClassVar[str] = "lstm"
    gates: ClassVar[int] = 4

    @property
    def usual(self) -> bool:
        """Whether all but the peepholes is as most have it: what is fastest."""
        activations = (self.gate_activation, self.activation, self.output_activation)
        return activations == (SIGMOID, TANH, TANH) and not (self.projection or self.clip or self.input_forget)

    @property
    def width(self) -> int:
        """Outputs of one direction."""
        return self.projection or self.hidden

    @property
    def states(self) -> Mapping[str, int]:
        """With the cell state."""
        return {"c": self.hidden, "h": self.width}

    def check(self) -> None:
        """Clipping leaves something."""
        super().check()
        check_clip(self.kind, self.clip)

    def more_weights(self, below: Wire) -> Mapping[str, Weight]:
        """Peepholes of i, o and f; the projection; and Wb, whose part for the forget gate starts as 1 (Jozefowicz et
        al. 2015)."""

        def forget(_: np.random.Generator, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
            return np.repeat(np.array([0, 0, 1, 0], np.float32), self.hidden)

        found = {"Wb": Weight((4 * self.hidden,), forget)}
        if self.peepholes:
            found["P"] = Weight((3 * self.hidden,), zeros)
        if self.projection:
            found["H"] = Weight((self.projection, self.hidden), glorot())
        return found

    def cell(self, to: Lowering, name: str, source: Value) -> Cell:
        """Four gates, and a cell state."""
        order, fields = interleaved if self.usual else np.concatenate, dict[str, Any]()
        if self.peepholes:
            fields["diagonal"] = to.values(order(split_gates(to.weights[f"{name}.P"], 3)))
        if not self.usual:
            fields["activation"] = (self.gate_activation, self.activation, self.output_activation)
            fields |= {"clip": to.number(self.clip), "variant": self.input_forget}
        if self.projection:
            wide = padded(self.projection)
            fields["R2"] = to.matrix(f"{name}.H", lambda H: widened(H, wide))
            fields["recurrent_bias"] = to.values(np.zeros(wide, np.float32))  # what the product with H starts from
        bias = [w + r for w, r in zip(self.bias(to, f"{name}.Wb"), self.bias(to, f"{name}.Rb"), strict=True)]
        return Cell("lstm" if self.usual else "lstm-general", bias, fields, order)
