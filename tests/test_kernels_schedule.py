"""In which order operations run, and which together: networks side by side go through time together, to the bits of
each by itself."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from random_models import network
from small_graphs import graph

from ostinato.kernels.operations import record as i
from ostinato.kernels.program import Program, Workspace, advance, advance_slice
from ostinato.model.layers import Concatenate, Dense, Direction, Gru, Layer, Lstm, Rnn

Floats = npt.NDArray[np.float32]


def _networks(count: int, layer: Layer, depth: int = 2) -> Program:
    """So many networks side by side, each of ``depth`` such layers, and their outputs one behind the other."""
    nodes: list[tuple[str, Layer, str]] = []
    for number in range(count):
        below = "frames"
        for level in range(depth):
            nodes.append((f"n{number}l{level}", layer, below))
            below = f"n{number}l{level}"
        nodes.append((f"y{number}", Dense(1), below))
    nodes.append(("all", Concatenate(), " ".join(f"y{number}" for number in range(count))))
    return network(graph(*nodes), 5).program


def _run(program: Program, frames: Floats, together: bool = True) -> Floats:
    """Outputs of streams of 70, 70 and 3 frames [frames, values]."""
    if not together:
        operations = program.operations.copy()
        operations[:, i.TOGETHER] = 1
        object.__setattr__(program, "operations", operations)
    sizes = np.array([3] * 3 + [2] * 67, np.int64)
    rows, state = program.new_rows(sizes.sum()), program.new_states(3)
    rows[:, program.input.slice] = frames
    advance(program, state, np.arange(3), sizes, rows, Workspace())
    return rows[:, program.output.slice].copy()


@pytest.mark.parametrize("direction", ["forward", "backward", "bidirectional"])
@pytest.mark.parametrize("cell", [Rnn, Gru, Lstm])
def test_networks_side_by_side_have_the_bits_of_each_by_itself(
    cell: type[Rnn | Gru | Lstm], direction: Direction
) -> None:
    frames = np.random.default_rng(1).standard_normal((143, 5)).astype(np.float32)
    program = _networks(3, cell(5, direction))
    assert program.operations[:, i.TOGETHER].max() == 3
    together = _run(program, frames)
    np.testing.assert_array_equal(together, _run(_networks(3, cell(5, direction)), frames, together=False))
    assert len(np.unique(together)) == together.size


def test_networks_side_by_side_take_no_more_passes_for_being_more() -> None:
    layer = Rnn(5, "bidirectional")
    assert len(_networks(8, layer, 3).passes) == len(_networks(2, layer, 3).passes)


def test_matrices_that_do_not_stay_near_together_are_used_one_at_a_time() -> None:
    assert _networks(2, Gru(64)).operations[:, i.TOGETHER].max() == 1
    assert _networks(2, Rnn(64)).operations[:, i.TOGETHER].max() == 2


def test_a_slice_ends_among_operations_that_recur_together() -> None:
    program = _networks(4, Rnn(5))
    frames = np.random.default_rng(2).standard_normal((9, 5)).astype(np.float32)
    wanted = None
    for cut in range(len(program.operations) + 1):
        rows, state, workspace = program.new_rows(9), program.new_states(1), Workspace()
        rows[:, program.input.slice] = frames
        for first, last in ((0, cut), (cut, len(program.operations))):
            advance_slice(program, first, last, state, np.zeros(1, np.int64), np.ones(9, np.int64), rows, workspace)
        wanted = rows if wanted is None else wanted
        np.testing.assert_array_equal(rows, wanted)
