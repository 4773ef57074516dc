"""How a specification is laid out as a program."""

from __future__ import annotations

import numpy as np
import pytest
from test_kernels_cells import random_weights

from ostinato.kernels.schedule import Pass
from ostinato.model.compile import compile_network
from ostinato.model.decoders import Outputs
from ostinato.model.front_ends import Frames, Tokens
from ostinato.model.layers import Dense, Gru, Lstm, OneHot, Softmax
from ostinato.model.specification import Sequential


def test_regions_and_states_are_whole_vectors_and_hold_everything() -> None:
    layers = (Gru(25), Lstm(7, direction="bidirectional"), Dense(3), Softmax())
    specification = Sequential("x", Frames(19), layers, Outputs())
    program = compile_network(specification, random_weights(specification, 0)).program
    assert program.row_size % 16 == program.state_size % 16 == 0
    assert program.input.size == 19
    assert program.output.size == 3
    assert program.state_size == 32 + 2 * (16 + 16)
    # The bidirectional layer's backward direction is projected by an operation of its own, which comes early.
    assert program.backward == (False, False, False, True, False, False)
    assert program.early == 3
    assert program.passes == (
        Pass(0, 2, False, True), Pass(2, 3, False, False), Pass(3, 4, True, True), Pass(4, 6, False, False),
    )  # fmt: skip
    assert program.weights.ctypes.data % 64 == 0
    assert program.new_rows(3).ctypes.data % 64 == program.new_states(3).ctypes.data % 64 == 0


def test_a_program_cannot_be_changed() -> None:
    specification = Sequential("x", Frames(3), (Dense(2),), Outputs())
    weights = random_weights(specification, 0)
    program = compile_network(specification, weights).program
    for array in (program.weights, program.operations):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
    before = program.weights.copy()
    weights["dense.W"][:] = 7
    np.testing.assert_array_equal(program.weights, before)


def test_one_hot_costs_no_operation_and_no_region() -> None:
    front = Tokens(tuple(map(str, range(1000))))
    specification = Sequential("x", front, (OneHot(), Gru(16)), Outputs())
    program = compile_network(specification, random_weights(specification, 0)).program
    assert len(program.backward) == 1
    assert program.row_size < 100


def test_a_missing_weight_is_named() -> None:
    specification = Sequential("x", Frames(3), (Gru(2),), Outputs())
    weights = random_weights(specification, 0)
    del weights["gru.forward.Rb"]
    with pytest.raises(KeyError, match=r"gru.forward.Rb"):
        compile_network(specification, weights)
