"""What generates from the memories of many streams: the program of a model with an encoder, a token of each at a
time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ostinato.kernels.memory import Memories, Memory
from ostinato.kernels.operations import Region
from ostinato.kernels.program import Program
from ostinato.streaming.packed import ProgramRunner
from ostinato.streaming.pool import StatePool

Float32 = npt.NDArray[np.float32]


class Writer:
    """A program that looks memories up, and the recurrent states of its streams."""

    def __init__(self, program: Program, max_streams: int) -> None:
        self.runner = ProgramRunner(program)
        self.states = StatePool(program, max_streams)

    def begin(self, slot: int, frame: Float32) -> None:
        """A stream's text begins, behind ``frame`` of its memory."""
        self.runner.program.begin_behind(self.states.rows[slot], frame)

    def step(
        self,
        slots: Sequence[int],
        tokens: Sequence[int],
        memories: Sequence[Memory],
        seen: Sequence[int],
        regions: Sequence[Region],
    ) -> list[Float32]:
        """Take a token of each stream, in its slot, which sees so many frames of its memory. What is in each of the
        ``regions`` of their rows then, [streams, its size]. At most ``runner.max_rows`` streams."""
        frames = np.array(tokens, np.float32)[:, None]
        looked_up = Memories(memories, seen)
        return self.runner.run(self.states.rows, slots, frames, [1] * len(slots), regions, looked_up)
