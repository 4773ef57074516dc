"""Front ends (audio, text or frames to model frames) and decoders (outputs to events), each with a typed state, step
and flush.

front = front_end(specification.front_end, weights)
state = front.start(sample_rate=44100)
frames = front.step(state, front.check(chunk))
snapshot = pack(state)
state = front.restore(snapshot)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from ostinato.events import Event
from ostinato.model import decoders as specified_decoders
from ostinato.model import front_ends as specified_front_ends
from ostinato.pipeline import decoders, frames, logmel, tokens
from ostinato.pipeline.decoders import text
from ostinato.pipeline.state import pack, unpack

__all__ = ["FrontEnd", "Decoder", "front_end", "decoder", "text", "pack", "unpack"]

F32 = npt.NDArray[np.float32]
S = TypeVar("S")


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

    def flush(self, state: S) -> F32:
        """What is still held back, as far as it makes whole frames. The utterance is over: go on with a fresh
        state."""
        ...

    def restore(self, packed: object) -> S:
        """The state that `pack` packed. Raises SnapshotError for anything that `step` could not have left behind."""
        ...


class Decoder(Protocol[S]):
    """What turns a model's outputs into events. Immutable: whatever a stream needs is in its state."""

    def start(self) -> S:
        """A fresh state."""
        ...

    def step(self, state: S, outputs: F32) -> list[Event]:
        """The events that the frames of ``outputs`` [n, output_size] decide."""
        ...

    def step_many(self, states: Sequence[S], outputs: F32, counts: Sequence[int]) -> Iterator[list[Event]]:
        """`step` for many streams, one after the other: stream i has the next ``counts[i]`` rows of ``outputs``. The
        same events. If a stream's raises, those before it are done, and those after it are as before."""
        ...

    def flush(self, state: S) -> list[Event]:
        """The events that the end of the utterance decides."""
        ...

    def restore(self, packed: object) -> S:
        """The state that `pack` packed. Raises SnapshotError for anything that `step` could not have left behind."""
        ...


_FRONT_ENDS: Mapping[str, Callable[[Any, Mapping[str, F32]], FrontEnd[Any]]] = {
    "log-mel": logmel.LogMelFrontEnd,
    "tokens": lambda settings, _: tokens.TokensFrontEnd(settings),
    "frames": lambda settings, _: frames.FramesFrontEnd(settings),
}

_DECODERS: Mapping[str, Callable[[Any, float, float], Decoder[Any]]] = {
    "outputs": decoders.OutputsDecoder,
    "labels": decoders.LabelsDecoder,
    "ctc": decoders.CtcDecoder,
    "sequence-class": decoders.SequenceClassDecoder,
    "end-of-speech": decoders.EndOfSpeechDecoder,
}


def front_end(settings: specified_front_ends.FrontEnd, weights: Mapping[str, F32]) -> FrontEnd[Any]:
    """The front end of a model."""
    return _FRONT_ENDS[settings.kind](settings, weights)


def decoder(settings: specified_decoders.Decoder, frame_ms: float, latency_ms: float) -> Decoder[Any]:
    """The decoder of a model whose front end has these times."""
    return _DECODERS[settings.kind](settings, frame_ms, latency_ms)
