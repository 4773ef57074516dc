"""Ragged sequences as packed rows, the form in which layers learn.

Sequences are sorted by length, longest first; the rows of step 0 come first, then those of step 1, … (the layout of
PyTorch's PackedSequence and of `ostinato.kernels.program.advance`). No row is padding, so nothing needs a mask: a
dense layer is one product over all rows, and step t of a recurrent layer touches ``sizes[t]`` neighbouring rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ostinato.errors import ShapeError

Array: TypeAlias = npt.NDArray[Any]


@dataclass
class Learning:
    """What one pass over a batch that is learnt from is given, and leaves behind.

    ``random`` draws what is dropped. ``statistics``: weights that no gradient changes, by name, as they shall be
    once the step is taken (`TrainableNetwork.settle`). ``states``: of all sequences, by name, as the next pass shall
    begin where this one ends; empty at the sequences' beginning, None if each pass begins anew.
    """

    random: np.random.Generator
    statistics: dict[str, Array] = field(default_factory=dict)
    states: dict[str, Array] | None = None


@dataclass(frozen=True)
class Packing:
    """Where the frames of B sequences lie among N = sum(lengths) rows.

    ``sizes`` [T] (non-increasing): sequences that have a frame at step t; ``offsets`` [T]: the first row of step t;
    ``sequence`` and ``time`` [N]: which frame of which sequence a row holds. ``learning``: what the pass is given if
    the batch is learnt from; None if it is only evaluated. ``seen`` [N]: how many frames a row sees of those that an
    encoder has made of its sequence's source.
    """

    batch: int
    sizes: npt.NDArray[np.int64]
    offsets: npt.NDArray[np.int64]
    sequence: npt.NDArray[np.int64]
    time: npt.NDArray[np.int64]
    learning: Learning | None = None
    seen: npt.NDArray[np.int64] | None = None

    @property
    def first(self) -> npt.NDArray[np.int64]:
        """The sequences that have a frame, in the order of their rows at step 0."""
        return self.sequence[: self.sizes.max(initial=0)]

    def looking_up(self, frames: npt.NDArray[np.int64], wait: int | None) -> Packing:
        """The same, of sequences for whose sources there are so many ``frames`` [B], seen as `Sources.wait` says."""
        most = frames[self.sequence]
        return replace(self, seen=most if wait is None else np.minimum(most, self.time + wait))

    def last_seen(self, memory: Array) -> tuple[npt.NDArray[np.int64], Array]:
        """Of what an encoder has made, [B, S, size]: where, among the rows of [B * S, size], the last frame is that
        each row sees [N], and these rows."""
        assert self.seen is not None
        return self.sequence * memory.shape[1] + self.seen - 1, memory.reshape(-1, memory.shape[2])

    @staticmethod
    def of(lengths: npt.ArrayLike, learning: Learning | None = None) -> Packing:
        """The packing of sequences with these lengths [B], in frames."""
        lengths = np.asarray(lengths, np.int64)
        order = np.argsort(-lengths, kind="stable")
        steps = np.arange(lengths.max(initial=0))
        sizes = len(lengths) - np.searchsorted(lengths[order[::-1]], steps, side="right")
        offsets = np.cumsum(sizes) - sizes
        time = np.repeat(steps, sizes)
        sequence = order[np.arange(len(time)) - offsets[time]]
        return Packing(len(lengths), sizes, offsets, sequence, time, learning)

    def pack(self, x: Array) -> Array:
        """Rows [N, ...] of padded sequences [B, T, ...]."""
        if x.shape[0] != self.batch or x.shape[1] < len(self.sizes):
            raise ShapeError(
                f"a batch of shape {x.shape} cannot hold {self.batch} sequences of up to {len(self.sizes)} frames: "
                "inputs are [sequence, frame, ...], padded to the longest"
            )
        rows: Array = x[self.sequence, self.time]
        return rows

    def unpack(self, rows: Array, steps: int) -> Array:
        """Padded sequences [B, steps, ...] of rows [N, ...]; the padding is 0."""
        x = np.zeros((self.batch, steps, *rows.shape[1:]), rows.dtype)
        x[self.sequence, self.time] = rows
        return x
