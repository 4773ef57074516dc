"""Programs at each position of a frame: their bits, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from kinds.each import Each as Known
from kinds.kind import Example
from test_kernels_positions import advanced, frames_of, network

from ostinato.kernels.operations import Region, record
from ostinato.kernels.program import Program
from ostinato.kernels.several import Several
from ostinato.model import Network
from ostinato.model.layers import Each, Gru
from ostinato.model.whole_sequence import whole_sequence


@pytest.mark.parametrize("example", Known.examples, ids=lambda example: f"{example.layer.layer.kind}")
def test_a_position_is_a_stream_of_the_layer(example: Example) -> None:
    """To the bit, in any company: of other positions, of other streams."""
    (wire,), each = example.inputs, example.layer
    assert isinstance(each, Each)
    made, frames = network(wire.size, each), frames_of(wire.size, 90)
    alone = network(wire.size // each.positions, each.layer)
    weights = {name: made.weights[name.replace(each.layer.kind, "each", 1)] for name in alone.weights}
    alone = Network(alone.specification, weights)
    for streams in (1, 9, 45):
        found = advanced(made.program, frames, streams)
        for stream in range(streams):
            parted = np.ascontiguousarray(frames[stream::streams]).reshape(90 // streams, each.positions, -1)
            wanted = [whole_sequence(alone, np.ascontiguousarray(parted[:, p]))[0] for p in range(each.positions)]
            assert found[stream::streams].tobytes() == np.concatenate(wanted, axis=1).tobytes()


def several() -> tuple[Program, Several]:
    """A program whose only operation is of five positions, and what runs at each."""
    program = network(15, Each(5, Gru(4))).program
    (inner,) = program.positions
    assert isinstance(inner, Several)
    return program, inner


def test_a_program_keeps_the_states_of_all_positions() -> None:
    """Not fewer: where they are, nothing else is proved to be."""
    program, inner = several()
    operations = program.operations.copy()
    operations[0, record.KEPT] -= 16
    arguments = program.weights, program.row_size, program.state_size, program.input, program.outputs, program.initial
    with pytest.raises(ValueError, match=r"operation 0 makes 20 values of 15 and keeps 64, .* 20 of 15 and 80"):
        Program(operations, *arguments, positions=(inner,))
    operations[0, record.KEPT] += 16
    operations[0, record.STATE_H] += 16
    with pytest.raises(ValueError, match=r"operation 0 keeps .* its state row"):
        Program(operations, *arguments, positions=(inner,))


def test_positions_of_programs_that_do_not_fit_are_refused() -> None:
    program, inner = several()
    with pytest.raises(ValueError, match="0 positions"):
        Several(inner.program, 0)
    with pytest.raises(ValueError, match="forward operations alone"):
        Several(program, 2)
    with pytest.raises(ValueError, match="forward operations alone"):
        Several(network(3, Gru(4, "backward")).program, 2)
    nothing = np.zeros((0, record.FIELDS), np.int64), np.zeros(0, np.float32)
    with pytest.raises(ValueError, match="a position lies"):
        Several(Program(*nothing, 32, 0, Region(20, 5), (Region(20, 5),)), 2)
