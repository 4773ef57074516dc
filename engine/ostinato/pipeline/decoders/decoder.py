"""What all decoders share: settings, the time axis, and how many streams are decoded one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from ostinato.events import Event
from ostinato.pipeline import state as snapshots

F32 = npt.NDArray[np.float32]


class Counted(Protocol):
    """A state: every one counts the frames so far."""

    @property
    def frames(self) -> int:
        """How many there were."""


@dataclass(slots=True)
class FrameCount:
    """The state of those that hold nothing back: the number of frames so far."""

    frames: int = 0


D = TypeVar("D")
S = TypeVar("S", bound=Counted)
C = TypeVar("C", bound=Counted)


class Decoder(Generic[D, S]):
    """What turns a model's outputs into events. Immutable: whatever a stream needs is in its state.

    ``settings`` are of its kind; frames are ``frame_ms`` apart, and cover ``latency_ms`` beyond that."""

    sample_rate: int | None = None
    """Of the audio that it gives, in Hz, if it gives any."""
    delay: int | None = 0
    """How many frames after the one that it is about an event comes; None: with the utterance's end."""

    def __init__(self, settings: D, frame_ms: float, latency_ms: float) -> None:
        self.settings = settings
        self.frame_ms = frame_ms
        self.latency_ms = latency_ms

    @property
    def state_bytes(self) -> int:
        """Bytes of arrays that a stream's state may come to hold: those of a fresh one, unless it grows."""
        return snapshots.held_bytes(self.start())

    def time_ms(self, frame: int) -> float:
        """Where frame number ``frame`` ends in the audio, in ms (for tokens: how many were consumed)."""
        return (frame + 1) * self.frame_ms + self.latency_ms

    def start(self) -> S:
        """A fresh state."""
        raise NotImplementedError

    def step(self, state: S, outputs: F32) -> list[Event]:
        """The events that the frames of ``outputs`` [n, output_size] decide."""
        raise NotImplementedError

    def step_many(self, states: Sequence[S], outputs: F32, counts: Sequence[int]) -> Iterator[list[Event]]:
        """`step` for many streams, one after the other: stream i has the next ``counts[i]`` rows of ``outputs``. The
        same events. If a stream's raises, those before it are done, and those after it are as before."""
        for state, count, end in zip(states, counts, accumulate(counts), strict=True):
            yield self.step(state, outputs[end - count : end])

    def resting(self, state: S) -> tuple[int, npt.NDArray[np.bool_]] | None:
        """Where the largest output was before, and which outputs are told: of decoders that keep nothing else but the
        number of frames, and decide something in a frame only if its largest output is another than before, and is
        told. None of all others."""
        return None

    def decided(self, frame: int, index: int, probability: float) -> Event:
        """The event of such a decision, in frame number ``frame``."""
        raise NotImplementedError

    def put_back(self, state: S, frames: int, resting: int) -> None:
        """Bring a state up to date by so many frames, the last with its largest output there."""
        raise NotImplementedError

    def flush(self, state: S) -> list[Event]:
        """The events that the end of the utterance decides: none where nothing is ever held back."""
        return []

    def restore(self, packed: object) -> S:
        """The state that `pack` packed. Raises SnapshotError for anything that `step` could not have left behind."""
        raise NotImplementedError


def counted(state: C) -> C:
    """The state, if its counter can be. Raises SnapshotError."""
    snapshots.expect(state.frames >= 0, "state.frames is negative")
    return state


def whole_frames(ms: float, frame_ms: float) -> int:
    """The least number of frames, at least one, that last ``ms``."""
    return max(1, int(np.ceil(ms / frame_ms - 1e-9)))
