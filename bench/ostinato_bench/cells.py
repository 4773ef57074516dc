"""What the bench of the kernels measures: stacks of recurrent layers of one size each.

Needs little of Ostinato when it is imported, so that it also measures other commits (`revisions`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt

from ostinato.errors import InputError
from ostinato.model import Network
from ostinato_bench.networks import recurrent

Kind = Literal["rnn", "gru", "lstm"]
Precision = Literal["float32", "int8"]
Word = TypeVar("Word", bound=str)

Direction = Literal["forward", "backward", "bidirectional"]

GATES: dict[Kind, int] = {"rnn": 1, "gru": 3, "lstm": 4}
DIRECTIONS: tuple[Direction, ...] = ("forward", "bidirectional")
PRECISIONS: tuple[Precision, ...] = ("float32", "int8")
FAINT = 1e-40
"""Below float32's normal numbers: many processors take ten to fifty times as long over it, unless it is flushed."""
UTTERANCE = 500
"""Frames of an utterance: what a bidirectional network is measured on."""


@dataclass(frozen=True)
class Cell:
    """A stack of recurrent layers, advanced by ``frames`` frames of ``batch`` streams in one call."""

    cell: Kind
    input: int
    hidden: int
    layers: int = 1
    direction: Direction = "forward"
    batch: int = 1
    precision: Precision = "float32"
    frames: int = 1
    near_silence: bool = False
    """Whether frames hold `FAINT` instead of values of order one: denormal numbers, as fading streams have them."""

    def network(self) -> Network:
        """The layers and nothing else, in float32, with random weights. Biases are random too, so that a peer that
        mixes them up gives other outputs."""
        start = recurrent(self.name, self.cell, self.input, self.hidden, self.layers, self.direction)
        rng = np.random.default_rng(0)
        weights = {
            name: array if array.ndim > 1 else rng.uniform(-0.5, 0.5, array.shape).astype(np.float32)
            for name, array in start.weights.items()
        }
        return Network(start.specification, weights)

    def in_int8(self, network: Network) -> Network:
        """The network with int8 weights and inputs, calibrated on random frames."""
        from ostinato.model.quantization import quantize  # here, because older commits that are compared lack it

        return quantize(network, [np.random.default_rng(3).uniform(-1, 1, (200, self.input)).astype(np.float32)])

    def input_frames(self) -> npt.NDArray[np.float32]:
        """Random input [frames, batch, input] in [-1, 1], or, near silence, `FAINT`."""
        shape = (self.frames, self.batch, self.input)
        if self.near_silence:
            return np.full(shape, FAINT, np.float32)
        return np.random.default_rng(1).uniform(-1, 1, shape).astype(np.float32)

    @property
    def projection_weights(self) -> int:
        """Number of weights in the matrices W, which see the frames."""
        rows = GATES[self.cell] * self.hidden * self._ways
        return rows * (self.input + (self.layers - 1) * self.hidden * self._ways)

    @property
    def recurrent_weights(self) -> int:
        """Number of weights in the matrices R, which see the hidden states."""
        return GATES[self.cell] * self.hidden * self.hidden * self._ways * self.layers

    @property
    def _ways(self) -> int:
        return 2 if self.direction == "bidirectional" else 1

    @property
    def weights(self) -> int:
        """Number of weights in all matrices: the multiply-accumulates of one frame."""
        return self.projection_weights + self.recurrent_weights

    @property
    def bytes_per_weight(self) -> int:
        """4, or 1 in int8."""
        return 4 if self.precision == "float32" else 1

    @property
    def name(self) -> str:
        """The network: ``gru 80 → 256 × 2 bi``."""
        layers = f" × {self.layers}" if self.layers > 1 else ""
        return f"{self.cell} {self.input} → {self.hidden}{layers}{'' if self.direction == 'forward' else ' bi'}"

    def __str__(self) -> str:
        utterance = f", {self.frames} frames" if self.frames > 1 else ""
        silence = ", near silence" * self.near_silence
        return f"{self.name}, B = {self.batch}{utterance}, {self.precision}{silence}"


_Size = tuple[Kind, int, int, int]
_SIZES: tuple[_Size, ...] = (
    ("gru", 40, 16, 1), ("gru", 40, 32, 1), ("gru", 40, 64, 1), ("gru", 40, 128, 1), ("gru", 40, 256, 1),
    ("gru", 40, 512, 1), ("gru", 80, 256, 2), ("gru", 80, 256, 3), ("gru", 80, 512, 2),
    ("lstm", 40, 16, 1), ("lstm", 40, 25, 1), ("lstm", 40, 64, 1), ("lstm", 40, 128, 1), ("lstm", 40, 256, 1),
    ("lstm", 40, 512, 1), ("lstm", 80, 256, 2),
    ("rnn", 40, 16, 1), ("rnn", 40, 128, 1), ("rnn", 40, 512, 1),
)  # fmt: skip
_CROWDS: tuple[_Size, ...] = (("gru", 40, 128, 1), ("gru", 80, 256, 2), ("lstm", 80, 256, 2))
_INT8: tuple[_Size, ...] = (
    ("gru", 40, 128, 1), ("gru", 40, 256, 1), ("gru", 40, 512, 1), ("gru", 80, 256, 2), ("gru", 80, 512, 2),
    ("lstm", 40, 128, 1), ("lstm", 40, 256, 1), ("lstm", 40, 512, 1), ("lstm", 80, 256, 2),
)  # fmt: skip
_UTTERANCES: tuple[_Size, ...] = (
    ("gru", 40, 64, 1), ("gru", 40, 128, 1), ("gru", 80, 256, 2), ("lstm", 80, 256, 2),
)  # fmt: skip


def _steps(sizes: Sequence[_Size], batches: Sequence[int]) -> tuple[Cell, ...]:
    return tuple(Cell(*size, batch=batch) for size in sizes for batch in batches)


def _in_int8(cells: Sequence[Cell]) -> tuple[Cell, ...]:
    return tuple(replace(cell, precision="int8") for cell in cells)


_NEAR_SILENCE = tuple(Cell("gru", 40, 128, batch=batch, near_silence=True) for batch in (1, 32))
_WHOLE = tuple(Cell(*size, direction="bidirectional", frames=UTTERANCE) for size in _UTTERANCES)

CELLS = (
    *_steps(_SIZES, (1, 8, 32, 128)),
    *_steps(_CROWDS, (256,)),
    *_NEAR_SILENCE,
    *_WHOLE,
    *_in_int8((*_steps(_INT8, (1, 8, 32, 128)), *_WHOLE[1:])),
)
"""What is measured unless something else is asked for."""

_FEW: tuple[_Size, ...] = (
    ("gru", 40, 16, 1), ("gru", 40, 64, 1), ("gru", 40, 128, 1), ("gru", 80, 256, 2),
    ("lstm", 40, 128, 1), ("lstm", 80, 256, 2), ("rnn", 40, 128, 1),
)  # fmt: skip
QUICK = (
    *_steps(_FEW, (1, 32)),
    *_NEAR_SILENCE,
    *_WHOLE[1:3],
    *_in_int8((*_steps((("gru", 80, 256, 2), ("lstm", 80, 256, 2)), (1, 32)), _WHOLE[2])),
)
"""A selection for a first impression."""


def grid(
    kinds: Sequence[str] | None = None,
    inputs: Sequence[int] | None = None,
    hidden: Sequence[int] | None = None,
    layers: Sequence[int] | None = None,
    ways: Sequence[str] | None = None,
    batches: Sequence[int] | None = None,
    precisions: Sequence[str] | None = None,
) -> tuple[Cell, ...]:
    """All combinations; what is not given is GRU, 40 inputs, 128 units, one layer, forward, one stream, float32.

    Bidirectional networks run over an utterance of 500 frames. Raises InputError for a word that is unknown.
    """
    choices = product(
        [one_of(tuple(GATES), kind) for kind in kinds or ("gru",)],
        inputs or (40,),
        hidden or (128,),
        layers or (1,),
        [one_of(DIRECTIONS, way) for way in ways or ("forward",)],
        batches or (1,),
        [one_of(PRECISIONS, precision) for precision in precisions or ("float32",)],
    )
    return tuple(Cell(*choice, frames=UTTERANCE if choice[4] == "bidirectional" else 1) for choice in choices)


def one_of(known: Sequence[Word], word: str) -> Word:
    """The word, if it is known. Raises InputError naming those that are."""
    for each in known:
        if each == word:
            return each
    from ostinato.errors import did_you_mean  # here, because older commits that are compared lack it

    raise InputError(f"{word!r} is none of {', '.join(known)}: use one of these{did_you_mean(word, known)}")
