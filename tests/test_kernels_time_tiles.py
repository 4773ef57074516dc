"""Long sequences go through operations in time tiles: to the bits of any other cutting, in both directions, and the
call stays as it was."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from random_models import network
from small_graphs import graph

from ostinato.kernels.operations import record as i
from ostinato.kernels.program import Program, Workspace, advance, advance_slice, bind
from ostinato.kernels.time_tiles import TILE_ROWS
from ostinato.model.layers import Add, Convolution, Dense, Gru, Lstm, Rnn

Floats = npt.NDArray[np.float32]


def made() -> Program:
    """Both directions, above and below each other, and what keeps earlier frames."""
    return network(
        graph(
            ("taps", Convolution(7, taps=9), "frames"),
            ("both", Gru(9, "bidirectional"), "taps"),
            ("back", Lstm(6, "backward"), "both"),
            ("on", Rnn(6), "back"),
            ("y", Dense(5), "on"),
            ("sum", Add(), "frames y"),
        ),
        2,
    ).program


def filled(program: Program, count: int) -> Floats:
    rows = program.new_rows(count)
    rows[:, program.input.slice] = np.random.default_rng(count).standard_normal((count, program.input.size))
    return rows


def by_passes(program: Program, sizes: npt.NDArray[np.int64], rows: Floats, states: Floats, most: int) -> None:
    """All passes over at most ``most`` steps a call."""
    starts = np.concatenate([[0], np.cumsum(sizes)])
    for each in program.passes:
        cuts = list(range(0, len(sizes), most))
        for t in reversed(cuts) if each.backward else cuts:
            end = min(t + most, len(sizes))
            part = rows[starts[t] : starts[end]]
            slots = np.arange(sizes[t])
            advance_slice(program, each.first, each.last, states, slots, sizes[t:end], part, Workspace())


@pytest.mark.parametrize(
    "sizes",
    [
        [1] * (3 * TILE_ROWS + 7),
        [1] * (2 * TILE_ROWS),
        [3] * 100 + [2] * 200 + [1] * 300,
        [TILE_ROWS - 1] * 2 + [2] * 5,
        [TILE_ROWS + 40] * 3 + [7],
        [TILE_ROWS + 40],
    ],
    ids=lambda sizes: f"{len(sizes)} steps of {sizes[0]}",
)  # fmt: skip
def test_tiles_change_no_bit(sizes: list[int]) -> None:
    program, counts = made(), np.array(sizes, np.int64)
    found = []
    for most in (0, 1, 50):
        rows, states = filled(program, int(counts.sum())), program.new_states(sizes[0])
        if most:
            by_passes(program, counts, rows, states, most)
        else:
            advance(program, states, np.arange(sizes[0]), counts, rows, Workspace())
        found.append((rows[:, program.output.slice].tobytes(), states.tobytes()))
    assert found[0] == found[1] == found[2]


def test_a_call_can_be_made_again() -> None:
    """It says the same after tiles as before them."""
    program, count = made(), 2 * TILE_ROWS + 1
    rows, states = filled(program, count), program.new_states(1)
    call = bind(program, states, np.zeros(1, np.int64), np.ones(count, np.int64), rows)
    found = []
    for _ in range(2):
        program.begin(states)
        call()
        found.append(rows[:, program.output.slice].tobytes())
    assert found[0] == found[1]


def test_a_slice_of_operations_stays_one() -> None:
    """Only those that were asked for run, also in tiles."""
    program, count = made(), 2 * TILE_ROWS
    rows, workspace = filled(program, count), Workspace()
    arrays = program.new_states(1), np.zeros(1, np.int64), np.ones(count, np.int64), rows, workspace
    first, last = 1, len(program.operations) - 1
    rows[:, program.output.slice] = 7.0
    advance_slice(program, first, last, *arrays)
    written = [op[i.OUTPUT] for op in program.operations[first:last]]
    assert program.output.offset not in written and (rows[:, program.output.slice] == 7.0).all()
