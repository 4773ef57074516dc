"""The linear recurrent unit: a diagonal state space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt

from ostinato.lanes import LANES, padded
from ostinato.model.layers.layer import only_vector
from ostinato.model.layers.recurrent import Array, Cell, Recurrent, interleaved, split_gates, widened
from ostinato.model.wire import Weight, Wire, glorot

if TYPE_CHECKING:
    from ostinato.model.lowering import Lowering, Value

_SLOWEST, _FASTEST = 0.999, 0.9
"""Between what factors states fade from frame to frame before learning."""


@dataclass(frozen=True)
class Lru(Recurrent):
    """LRU (Orvieto et al. 2023, "Resurrecting Recurrent Neural Networks for Long Sequences"): ``hidden`` complex
    states s, each on its own, and ``size`` outputs in each direction.

        s' = lambda * s + exp(gamma_log) * (W x + b)      lambda = exp(-exp(nu_log) + i exp(theta_log))
        y = C [Re s', Im s'] + D x

    Weights W [2 * hidden, input], the paper's B, real parts first; b [2 * hidden], 0 in the paper; nu_log, theta_log
    and gamma_log [hidden]; C [size, 2 * hidden], whose right half is minus the imaginary part of the paper's C; D
    [size, input], which is float32 in int8 layers too.
    """

    size: int = field(kw_only=True)

    kind: ClassVar[str] = "lru"
    gates: ClassVar[int] = 2
    elementwise: ClassVar[bool] = True

    @property
    def width(self) -> int:
        """Outputs of one direction."""
        return self.size

    @property
    def states(self) -> Mapping[str, int]:
        """Real parts, then imaginary ones."""
        return {"c": 2 * self.hidden}

    def output(self, inputs: Sequence[Wire]) -> Wire:
        """Outputs of the directions side by side."""
        only_vector(inputs[:1])
        return super().output(inputs)

    def more_weights(self, below: Wire) -> Mapping[str, Weight]:
        """States start as the paper's: of phases all round, their squared factors evenly between two bounds; gamma so
        that noise gives states of variance 1."""
        square = np.linspace(_FASTEST**2, _SLOWEST**2, self.hidden + 2)[1:-1]

        def nu(_: np.random.Generator, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
            return np.log(-np.log(square) / 2).astype(np.float32)

        def theta(generator: np.random.Generator, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
            return np.log(generator.uniform(0.001, 2 * np.pi, shape)).astype(np.float32)

        def gamma(_: np.random.Generator, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
            return (np.log(1 - square) / 2).astype(np.float32)

        one_each = (self.hidden,)
        return {
            "nu_log": Weight(one_each, nu),
            "theta_log": Weight(one_each, theta),
            "gamma_log": Weight(one_each, gamma),
            "C": Weight((self.size, 2 * self.hidden), glorot(), self.precision == "int8"),
            "D": Weight((self.size, below.size), glorot()),
        }

    def cell(self, to: Lowering, name: str, source: Value) -> Cell:
        """Gamma is folded into W, or into its scales, and into b."""
        nu, theta, gamma = (to.weights[f"{name}.{part}_log"].astype(np.float64) for part in ("nu", "theta", "gamma"))
        turn = np.exp(-np.exp(nu) + 1j * np.exp(theta))
        parts = split_gates(np.concatenate([turn.real, turn.imag]), 2)
        scales = widened(np.exp(gamma).astype(np.float32), padded(self.hidden))

        def scaled(gates: Sequence[Array]) -> Array:
            if gates[0].dtype == np.int8:
                return interleaved(gates)
            return interleaved([gate * scales.reshape(-1, *[1] * (gate.ndim - 1)) for gate in gates])

        return Cell("lru", self.bias(to, f"{name}.b"), {"diagonal": to.values(interleaved(parts))}, scaled)

    def state_offsets(self, to: Lowering, name: str) -> Mapping[str, int]:
        """As gates lie: blocks of 16 real parts, then the imaginary ones of these."""
        initial = to.weights[f"{name}.initial_c"] if self.initial else np.zeros(2 * self.hidden, np.float32)
        row = interleaved(split_gates(initial, 2))
        return {"c": to.state(row.size, row)}

    def runs(self, state: str) -> Sequence[tuple[int, int]]:
        """Blocks of 16, as `state_offsets` says."""
        blocks = [(first, min(LANES, self.hidden - first)) for first in range(0, self.hidden, LANES)]
        return [(count, 2 * first + part * LANES) for part in range(2) for first, count in blocks]

    def lower_direction(
        self, to: Lowering, name: str, inputs: Sequence[Value], target: Value, backward: bool
    ) -> None:
        """The states, and a product with them, which that with the input is added to."""
        states = to.value(Wire(2 * self.hidden))
        super().lower_direction(to, name, inputs, states, backward)
        C, D, wide = f"{name}.C", f"{name}.D", padded(self.size)
        to.multiplies(C, states)
        for matrix, read, bias in ((C, states, to.values(np.zeros(wide))), (D, inputs[0], -1)):
            W = to.matrix(matrix, lambda M: widened(M, wide))
            to.add("dense", read, target, vectors=wide // LANES, W=W, bias=bias, W_int8=to.is_int8(matrix))
