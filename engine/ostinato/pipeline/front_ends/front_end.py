"""What all front ends share: what they are asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]
S = TypeVar("S")


class Place(NamedTuple):
    """Where a stream of a front end that keeps samples has them, how many, and how many to skip before the next
    window; zeros where nothing is kept."""

    address: int
    kept: int
    skip: int


class FrontEnd(Protocol[S]):
    """What turns a stream's input into model frames. Immutable: whatever a stream needs is in its state."""

    frame_size: int
    """Values in one frame."""
    frame_ms: float
    """Time from one frame to the next; for text, 1 per token."""
    latency_ms: float
    """How much input a frame covers beyond ``frame_ms``: frame j ends at (j + 1) * frame_ms + latency_ms."""

    def start(self, sample_rate: int | None = None) -> S:
        """A fresh state. Raises InputError for a sample rate that cannot be."""
        ...

    def check(self, data: object) -> Any:
        """``data`` as `step` takes it. Raises InputError or a subclass, and has then changed nothing."""
        ...

    def units(self, data: Any) -> int:
        """How many samples, characters or frames checked data holds: what credit counts."""
        ...

    def step(self, state: S, data: Any) -> F32:
        """The frames that checked data completes, float32 [n, frame_size]."""
        ...

    def step_many(
        self, states: Sequence[S], data: Sequence[Any], lengths: Sequence[int] | None = None
    ) -> tuple[F32, list[int]]:
        """`step` for many streams, computed together where that pays. The same bits.

        Stream i has data[i]; or, with ``lengths``, the next lengths[i] units of ``data`` (see `pieces.each_part`).
        Returns the frames of the first stream, then of the second, …, [n, frame_size], and how many each has."""
        ...

    def place(self, state: S) -> Place | None:
        """Where the state is kept, if that is all of it; such a front end has

        - ``step_places(given, data) -> frames``, `step_many` by columns: ``given`` int64 [4, n] are the places of n
          streams, which move on, and how many units each has of ``data``, which is in pieces of many streams; these
          become the numbers of its frames,
        - ``put_back(state, kept, skip)``, which brings a state up to date whose place is such by now."""
        ...

    def flush(self, state: S) -> F32:
        """What is still held back, as far as it makes whole frames. The utterance is over: go on with a fresh
        state."""
        ...

    def restore(self, packed: object) -> S:
        """The state that `pack` packed. Raises SnapshotError for anything that `step` could not have left behind."""
        ...


def kind_of(data: object) -> str:
    """What ``data`` is, for an error message."""
    return f"{data.dtype}" if isinstance(data, np.ndarray) else f"a {type(data).__name__}"
