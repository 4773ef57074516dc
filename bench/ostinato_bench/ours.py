"""Our kernels, ready to be called. Needs little of them, so that it also runs those of other commits."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ostinato.kernels.program import Workspace, advance, bind
from ostinato.model import Network


class Ours:
    """A network's kernels with memory of their own, over given frames [steps, batch, input]."""

    def __init__(self, network: Network, frames: npt.NDArray[np.float32]) -> None:
        steps, batch, size = frames.shape
        program = network.program
        rows, states = program.new_rows(steps * batch), program.new_states(batch)
        rows[:, program.input.slice] = frames.reshape(-1, size)
        arrays = (program, states, np.arange(batch, dtype=np.int64), np.full(steps, batch, np.int64), rows)
        self.workspace = Workspace()
        advance(*arrays, self.workspace)
        self.outputs = rows[:, program.output.slice].reshape(steps, batch, -1).copy()
        """From zero states, [steps, batch, output]."""
        self.call = bind(*arrays)
        """From Python, at its cheapest."""
