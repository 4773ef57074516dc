"""Long short-term memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt

from ostinato.model.layers.recurrent import Array, Cell, Recurrent, interleaved, split_gates
from ostinato.model.wire import Weight, zeros

if TYPE_CHECKING:
    from ostinato.model.lowering import Lowering


@dataclass(frozen=True)
class Lstm(Recurrent):
    """ONNX LSTM, gates i o f c. With ``peepholes``, weights P [3 * hidden], i and f see c<t-1>, o sees c<t> (Gers
    and Schmidhuber 2000)."""

    peepholes: bool = False

    kind: ClassVar[str] = "lstm"
    gates: ClassVar[int] = 4

    def more_weights(self) -> Mapping[str, Weight]:
        """Peepholes of i, o and f; and Wb, whose part for the forget gate starts as 1 (Jozefowicz et al. 2015)."""

        def forget(_: np.random.Generator, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
            return np.repeat(np.array([0, 0, 1, 0], np.float32), self.hidden)

        peepholes = {"P": Weight((3 * self.hidden,), zeros)} if self.peepholes else {}
        return {"Wb": Weight((4 * self.hidden,), forget), **peepholes}

    def cell(self, to: Lowering, name: str, Wb: Sequence[Array], Rb: Sequence[Array]) -> Cell:
        """Four gates, and a cell state."""
        fields = {"state_c": to.state(self.hidden)}
        if self.peepholes:
            fields["peepholes"] = to.values(interleaved(split_gates(to.weights[f"{name}.P"], 3)))
        return Cell("lstm", [w + r for w, r in zip(Wb, Rb, strict=True)], fields, interleaved)
