"""What a language model gives for the token that comes next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from ostinato.events import Event
from ostinato.kernels import prepare
from ostinato.kernels.beam import extend, grow, length_weight
from ostinato.kernels.generation import ahead, step
from ostinato.kernels.sampling import draw
from ostinato.model.decoders import Generation
from ostinato.pipeline import state as snapshots
from ostinato.pipeline.decoders.decoder import F32, Decoder, counted


@dataclass(slots=True)
class GenerationState:
    """``outputs``: the last frame's, which the next token is drawn from; empty before the first."""

    outputs: snapshots.F32Vector
    frames: int = 0


class GenerationDecoder(Decoder[Generation, GenerationState]):
    """Keeps each frame's outputs until those of the next come, and decides nothing by itself: a stream draws tokens
    when it is asked to (`ostinato.streaming.generation`), or searches for them (`beam_search`)."""

    def __init__(self, settings: Generation, frame_ms: float, latency_ms: float) -> None:
        super().__init__(settings, frame_ms, latency_ms)
        prepare(draw, extend, length_weight, grow, step, ahead)  # a stream that begins a text waits for none

    def start(self) -> GenerationState:
        """A fresh state."""
        return GenerationState(np.empty(0, np.float32))

    def step(self, state: GenerationState, outputs: F32) -> list[Event]:
        """Take the rows of ``outputs`` [n, vocabulary] in."""
        if len(outputs):
            state.outputs = outputs[-1].copy()  # the caller's rows are reused in the next tick
            state.frames += len(outputs)
        return []

    def step_many(
        self, states: Sequence[GenerationState], outputs: F32, counts: Sequence[int]
    ) -> Iterator[list[Event]]:
        """`step` for many streams."""
        for state, count, end in zip(states, counts, accumulate(counts), strict=True):
            if count:
                state.outputs = outputs[end - 1].copy()
                state.frames += count
            yield []

    def restore(self, packed: object) -> GenerationState:
        """The state that `state.pack` packed. Raises SnapshotError. How many outputs there are, whoever knows the
        model checks."""
        state = counted(snapshots.unpack(GenerationState, packed))
        snapshots.expect((len(state.outputs) > 0) == (state.frames > 0), "state.outputs are not of a frame")
        return state
