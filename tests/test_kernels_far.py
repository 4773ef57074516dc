"""Weights from afar: which programs have them, and that reading them so changes no bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from test_kernels_bits import frames_of, same, together
from test_kernels_cells import CELLS, random_weights, stack

from ostinato.kernels import far, program
from ostinato.kernels.alone import Alone
from ostinato.kernels.operations import record as i
from ostinato.kernels.program import Program, Workspace
from ostinato.model.compile import compile_network
from ostinato.model.decoders import Outputs
from ostinato.model.front_ends import Frames, Tokens
from ostinato.model.layers import Dense, Embedding, Gru
from ostinato.model.specification import Sequential


def made(layers: Any, front_end: Any = None) -> Program:
    specification = Sequential("x", front_end or Frames(5), layers, Outputs())
    return compile_network(specification, random_weights(specification, 1)).program


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("hidden", [3, 25, 64, 100])
def test_bits_are_the_same(kind: str, hidden: int, monkeypatch: pytest.MonkeyPatch) -> None:
    layers = (*stack(kind, hidden, "forward", 2), Dense(70))
    near = made(layers)
    monkeypatch.setattr(program, "far", lambda operations: True)
    distant = made(layers)
    assert not near.operations[:, i.FAR].any() and distant.operations[:, i.FAR].all()
    (frames,) = frames_of([9], 3)
    (expected,) = together(near, near.new_states(1), [0], [frames], Workspace())
    alone = Alone(distant, distant.new_states(1))
    same(np.concatenate([alone.run(0, frame[None], distant.output)[0] for frame in frames]), expected)
    same(together(distant, distant.new_states(1), [0], [frames], Workspace())[0], expected)  # of many frames at once
    state = distant.new_states(2)
    beside = [together(distant, state, [0, 1], [frame[None]] * 2, Workspace())[1] for frame in frames]
    same(np.concatenate(beside), expected)


def test_what_a_frame_reads_decides() -> None:
    operations = made((Gru(300), Gru(300), Dense(8))).operations
    size, values = far.weight_bytes(operations), 3 * 300 * (5 + 300 + 300 + 300) + 300 * 8
    assert 4 * values <= size < 4.2 * values  # vectors are filled up, and there are biases
    assert size > far.FAR_FROM["znver5"] and far.far(operations, "znver5")
    assert not far.far(made((Gru(200), Dense(8))).operations, "znver5")
    assert not far.far(operations, "skylake-avx512")


def test_a_table_of_tokens_is_not_read() -> None:
    few = far.weight_bytes(made((Embedding(16), Gru(16)), Tokens(("a", "b"))).operations)
    many = far.weight_bytes(made((Embedding(16), Gru(16)), Tokens(tuple(map(chr, range(256, 5000))))).operations)
    assert few == many < 1 << 14
