"""Simple recurrent units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from ostinato.errors import BadModelFileError
from ostinato.model.layers.recurrent import Cell, Recurrent, interleaved, split_gates
from ostinato.model.wire import Weight, Wire, zeros

if TYPE_CHECKING:
    from ostinato.model.lowering import Lowering, Value


@dataclass(frozen=True)
class Sru(Recurrent):
    """SRU of Lei et al. 2018 (EMNLP, whose gates see the cell state; those of the preprint of 2017 do not: v = 0),
    gates w f r:

        f = sigmoid(Wf x + vf * c + bf)    c' = f * c + (1 - f) * (Ww x + bw)
        r = sigmoid(Wr x + vr * c + br)    h' = r * c' + (1 - r) * scale * x

    The last term is the highway: the ``input`` itself, then of as many values as there are units, or ``projected``,
    by a fourth gate s = Ws x + bs. Weights v [2 * hidden] of f and r. The paper has no bw and bs (0), and a ``scale``
    of 1 or sqrt(1 + 2 exp(br)) as it starts.
    """

    highway: Literal["input", "projected"] = "input"
    scale: float = field(default=1.0, kw_only=True)

    kind: ClassVar[str] = "sru"
    elementwise: ClassVar[bool] = True

    @property
    def gates(self) -> int:  # type: ignore[override]
        """Three, or four with a projected highway."""
        return 4 if self.highway == "projected" else 3

    @property
    def states(self) -> Mapping[str, int]:
        """The cell's alone: outputs do not come back."""
        return {"c": self.hidden}

    def output(self, inputs: Sequence[Wire]) -> Wire:
        """Values of the units, which the input is added to."""
        made = super().output(inputs)
        if self.highway == "input" and (inputs[0].token or inputs[0].size != self.hidden):
            below = "tokens" if inputs[0].token else f"{inputs[0].size} values"
            raise BadModelFileError(
                f"adds what is below it, {below}, to its {self.hidden} units: make them as many, or choose the "
                "highway 'projected'"
            )
        return made

    def more_weights(self, below: Wire) -> Mapping[str, Weight]:
        """What the gates see of the cell state."""
        return {"v": Weight((2 * self.hidden,), zeros)}

    def cell(self, to: Lowering, name: str, source: Value) -> Cell:
        """The scale is a weight of each unit, like v."""
        v = split_gates(to.weights[f"{name}.v"], 2)
        fields: dict[str, Any] = {
            "diagonal": to.values(interleaved([*v, np.full_like(v[0], self.scale)])),
            "variant": self.highway == "projected",
        }
        if self.highway == "input":
            fields |= {"second": source.region.offset, "second_size": source.region.size}
        return Cell("sru", self.bias(to, f"{name}.b"), fields, interleaved)
