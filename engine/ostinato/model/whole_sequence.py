"""A network over a whole sequence at once, without streams: what quantizing observes and compares, and what streaming
is held against."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ostinato.kernels.memory import Memories, Memory
from ostinato.kernels.program import Workspace, advance
from ostinato.kernels.stages import StagesRunner
from ostinato.model.lowering import Compiled
from ostinato.model.network import Network

Float32 = npt.NDArray[np.float32]


def whole_sequence(network: Network, frames: Float32, source: Float32 | None = None) -> list[Float32]:
    """Of each head, its outputs [T, size] for ``frames`` [T, frame_size], or token ids [T, 1]. ``source``: likewise,
    of a network's encoder, from one frame up."""
    rows = whole_sequence_rows(network, network.compiled, frames, source)[-1]
    return [rows[:, region.slice].copy() for region in network.program.outputs]


def whole_sequence_rows(
    network: Network, compiled: Compiled, frames: Float32, source: Float32 | None = None
) -> list[Float32]:
    """What is in the rows of each stage then, [its frames, row_size], the last being the program's. ``compiled``: the
    network, as whoever reads the rows wants it compiled."""
    rows: list[Float32] = []
    (program, stages), memories = compiled, None
    states = program.new_states(1)
    if network.encoder is not None:
        if source is None:
            raise ValueError("a network that has an encoder needs a source")
        memory = Memory(program.memory_size)
        memory.append(whole_sequence(network.encoder, source)[0])
        memories = Memories([memory], [memory.count])
        program.begin_behind(states[0], memory.frames[-1])
    if stages:
        runner = StagesRunner(stages)
        state = stages.new_state()[None].copy()
        frames, _ = runner.advance(state, frames, np.array([len(frames)], np.int64), ended=True)
        rows = runner.rows()
    top = program.new_rows(len(frames))
    top[:, program.input.offset : program.input.offset + frames.shape[1]] = frames
    if len(frames):
        slots, sizes = np.zeros(1, np.int64), np.ones(len(frames), np.int64)
        advance(program, states, slots, sizes, top, Workspace(), memories)
    return [*rows, top]
