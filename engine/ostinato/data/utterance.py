"""What a file of data holds: sequences of frames or tokens, with the answers that are right for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.errors import InputError

Float32 = npt.NDArray[np.float32]
Labels = npt.NDArray[Any]
"""Integers (indices; below 0: none), or texts (names; "": none)."""
PACE = 0.02
"""The share by which a file's frames may be further apart, or nearer, than a model's."""
MOST_VALUES = 1 << 26
"""Of one array, or one table: 256 MiB of float32, days of most sensors."""


@dataclass(frozen=True, eq=False, slots=True)
class Utterance:
    """One sequence from a file, and what a model should say of it.

    ``input`` is float32 frames [T, size], or a text. ``labels`` are [T], one for each frame, or of no dimension, one
    for the whole; ``targets`` float32 [T, k], NaN where there is none. ``frame_ms`` is how far the frames are apart,
    if the file says so; ``row`` the row of the file that has the first frame, or the text, if it has rows.
    """

    name: str
    input: Float32 | str
    labels: Labels | None = None
    targets: Float32 | None = None
    frame_ms: float | None = None
    row: int | None = None

    @property
    def length(self) -> int:
        """Frames, or characters of a text."""
        return len(self.input)

    def place(self, frame: int) -> str:
        """Where a frame is found, for an error message."""
        if self.row is None:
            return f"{self.name}, frame {frame}"
        return f"{self.name}, row {self.row if isinstance(self.input, str) else self.row + frame}"


def check_pace(name: str, said_ms: float | None, frame_ms: float, model: str) -> None:
    """Raise InputError if a file says that its frames are ``said_ms`` apart, and the model's are not."""
    if said_ms is not None and abs(said_ms / frame_ms - 1) > PACE:
        raise InputError(
            f"{name} has a frame every {said_ms:g} ms, {model} was made for one every {frame_ms:g} ms: resample it"
        )


def as_frames(values: npt.NDArray[Any], name: str) -> Float32:
    """Numbers [T, size] of any type as float32. Raises InputError for those that are no frames, or not finite."""
    if values.dtype.kind not in "fiu" or values.ndim != 2 or 0 in values.shape:
        raise InputError(
            f"{name} holds {values.dtype} {list(values.shape)}: frames are numbers [frames, values], one at least"
        )
    with np.errstate(over="ignore"):
        frames: Float32 = np.ascontiguousarray(values, np.float32)
    if not np.isfinite(frames).all():
        at = int(np.flatnonzero(~np.isfinite(frames).all(axis=1))[0])
        raise InputError(
            f"{name}, frame {at} has NaN or infinite values, or too large ones: repair it, or leave it out"
        )
    return frames
