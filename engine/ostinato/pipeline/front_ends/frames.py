"""The front end for ready frames: it checks them and passes them on, normalised if the settings say so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ostinato.errors import DtypeError, InputError, NotFiniteError, ShapeError
from ostinato.kernels.finite import all_finite
from ostinato.model import front_ends as specified
from ostinato.pipeline import state as snapshots
from ostinato.pipeline.front_ends.front_end import F32, I64, Place, kind_of
from ostinato.pipeline.pieces import joined


@dataclass(slots=True)
class FramesState:
    """Nothing: each frame stands for itself."""


class FramesFrontEnd:
    """Float32 frames [n, size] in; out the same frames, or (frame - mean) * scale of each value."""

    latency_ms = 0.0

    def __init__(self, settings: specified.Frames, weights: Mapping[str, F32]) -> None:
        """``weights``: ``front_end.mean`` and ``front_end.scale`` [size], if the settings ask for normalisation."""
        self.frame_size = settings.size
        self.frame_ms = settings.frame_ms
        self.normalise = settings.normalise
        """Whether frames are changed at all."""
        if settings.normalise:
            self._mean, self._scale = weights["front_end.mean"], weights["front_end.scale"]

    def start(self, sample_rate: int | None = None) -> FramesState:
        """A fresh state. Raises InputError if a sample rate is given."""
        if sample_rate is not None:
            raise InputError("this model takes frames, which have no sample rate: open the stream without one")
        return FramesState()

    def check(self, data: object) -> F32:
        """``data`` as contiguous float32 [n, size]; one frame may come as [size].

        Raises DtypeError, ShapeError or NotFiniteError.
        """
        if not isinstance(data, np.ndarray) or data.dtype != np.float32:
            raise DtypeError(f"frames must be a float32 array, not {kind_of(data)}: use frames.astype(np.float32)")
        frames = data[None] if data.ndim == 1 else data
        if frames.ndim != 2 or frames.shape[1] != self.frame_size:
            raise ShapeError(f"frames must have shape [n, {self.frame_size}], not {list(data.shape)}")
        if not all_finite(frames):
            raise NotFiniteError("a frame holds NaN or infinite values: drop or repair it before sending")
        return np.ascontiguousarray(frames)

    def units(self, data: F32) -> int:
        """How many frames checked data holds."""
        return len(data)

    def step(self, state: FramesState, data: F32) -> F32:
        """The frames, float32 [n, size]."""
        return self._normalised(data)

    def step_many(
        self, states: Sequence[FramesState], data: Sequence[F32], lengths: Sequence[int] | None = None
    ) -> tuple[F32, list[int]]:
        """`step` for many streams."""
        frames = self._normalised(joined(data, self.frame_size))
        return frames, list(map(len, data) if lengths is None else lengths)

    def place(self, state: FramesState) -> Place:
        """Nothing is kept."""
        return Place(0, 0, 0)

    def put_back(self, state: FramesState, kept: int, skip: int) -> None:
        """Nothing is kept."""

    def step_places(self, given: I64, data: Sequence[F32]) -> F32:
        """`step_many` by columns."""
        return self._normalised(joined(data, self.frame_size))

    def flush(self, state: FramesState) -> F32:
        """No frames: none are ever held back."""
        return np.empty((0, self.frame_size), np.float32)

    def restore(self, packed: object) -> FramesState:
        """The state that `state.pack` packed. Raises SnapshotError."""
        return snapshots.unpack(FramesState, packed)

    def _normalised(self, frames: F32) -> F32:
        if not self.normalise:
            return frames
        with np.errstate(over="ignore"):  # outputs that are not finite are told as of any frames
            return (frames - self._mean) * self._scale
