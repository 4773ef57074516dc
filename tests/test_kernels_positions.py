"""Programs over the positions of each frame: their bits, their memory, and what is refused."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from kinds.kind import Example
from kinds.within import Within as Known
from test_kernels_cells import random_weights
from test_kernels_program import outputs

from ostinato.kernels.operations import NUMBERS, record
from ostinato.kernels.positions import ROOM, Link, Positions
from ostinato.kernels.program import Program, Workspace, advance
from ostinato.model import Network
from ostinato.model.decoders import Outputs
from ostinato.model.front_ends import Frames
from ostinato.model.layers import Convolution, Gru, Layer, Within
from ostinato.model.specification import Sequential
from ostinato.model.whole_sequence import whole_sequence

Floats = npt.NDArray[np.float32]


def network(size: int, layer: Layer) -> Network:
    specification = Sequential("within", Frames(size), (layer,), Outputs())
    return Network(specification, random_weights(specification, 0))


def frames_of(size: int, count: int) -> Floats:
    return np.random.default_rng(1).normal(size=(count, size)).astype(np.float32)


def advanced(program: Program, frames: Floats, streams: int) -> Floats:
    """The outputs of frames of so many streams, in step."""
    rows = program.new_rows(len(frames))
    rows[:, program.input.slice] = frames
    sizes = np.full(len(frames) // streams, streams)
    advance(program, program.new_states(streams), np.arange(streams), sizes, rows, Workspace())
    return rows[:, program.output.slice].copy()


EXAMPLES = [example for example in Known.examples if len(example.inputs) == 1]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: f"{example.layer.layer.kind}")
def test_a_frame_is_an_utterance_of_the_layer(example: Example) -> None:
    """To the bit, in any company: alone, with the frames before and after it, with other streams'."""
    (wire,), within = example.inputs, example.layer
    assert isinstance(within, Within)
    made, frames = network(wire.size, within), frames_of(wire.size, 130)
    alone = network(wire.size // within.positions, within.layer)
    weights = {name: made.weights[name.replace(within.layer.kind, "within", 1)] for name in alone.weights}
    alone = Network(alone.specification, weights)
    wanted = [whole_sequence(alone, frame.reshape(within.positions, -1))[0].ravel() for frame in frames]
    for streams in (1, 10, 130):
        assert advanced(made.program, frames, streams).tobytes() == np.array(wanted).tobytes()
    assert advanced(made.program, frames[:1], 1).tobytes() == wanted[0].tobytes()


def test_large_frames_are_computed_a_few_at_a_time() -> None:
    """In memory of a bound size; the bits are those of one at a time."""
    made, frames = network(65 * 40, Within(65, Gru(64, "bidirectional"))), frames_of(65 * 40, 20)
    (positions,) = made.program.positions
    assert isinstance(positions, Positions)
    assert 1 < positions.block < 20 and positions.room < 1.1 * ROOM
    alone = np.concatenate([advanced(made.program, frame[None], 1) for frame in frames])
    assert advanced(made.program, frames, 20).tobytes() == alone.tobytes()


# --- refused --------------------------------------------------------------------------------------------------------


STRIDED = Convolution(4, 3, stride=2, left=1, right=1)


def positions(layer: Layer = STRIDED) -> tuple[Program, Positions]:
    program = network(7 * 3, Within(7, layer)).program
    (inner,) = program.positions
    assert isinstance(inner, Positions)
    return program, inner


def again(inner: Positions, **changes: Any) -> Positions:
    fields = {field.name: getattr(inner, field.name) for field in dataclasses.fields(inner) if field.init}
    return Positions(**fields | changes)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"counts": (4, 4)}, r"positions for 1 programs"),
        ({"output_positions": 0}, r"positions for 1 programs"),
        ({"frame_size": 20}, r"link 0 reads .* outside its frame of 20"),
        ({"output_size": 20}, r"not one link writes all of the 20 values"),
        ({"output_size": 12}, r"link 1 writes .* outside its frame of 12"),
        ({"links": ()}, r"no link writes all of the input of program 1"),
    ],
)
def test_positions_that_do_not_fit_are_refused(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        again(positions()[1], **changes)


def test_a_program_runs_what_it_has() -> None:
    program, _ = positions()
    (at,) = np.flatnonzero(program.operations[:, record.KIND] == NUMBERS["within"])
    arguments = program.weights, program.row_size, program.state_size, program.input, program.outputs
    with pytest.raises(ValueError, match=f"operation {at} runs 0 of 0 within frames"):
        Program(program.operations, *arguments)
    _, wide = positions(Convolution(5, 3))
    with pytest.raises(
        ValueError, match=f"operation {at} makes 16 values of 21 and keeps 0, what runs within it 35 of 21"
    ):
        Program(program.operations, *arguments, positions=(wide,))


@pytest.mark.parametrize("field", [name for name in Link._fields if name != "pad"])
@pytest.mark.parametrize("number", [0, 1])
def test_whatever_link_is_taken_stays_within(field: str, number: int) -> None:
    """Each number of a link changed to what lies beside it, and far away: it is refused, or nothing outside rows and
    states is written, and what lies there changes no output."""
    program, inner = positions()
    now = int(getattr(inner.links[number], field))
    for value in {-1000, -16, -1, 0, 1, 2, now - 1, now + 1, now + 16, 2 * now, 1000, 10**6}:
        links = list(inner.links)
        links[number] = links[number]._replace(**{field: value})
        try:
            changed = again(inner, links=tuple(links))
            other = Program(
                program.operations, program.weights, program.row_size, program.state_size, program.input,
                program.outputs, program.initial, (changed,),
            )  # fmt: skip
        except ValueError:
            continue
        given = outputs(other, frames_of(program.input.size, 3), 1e3)
        assert given is not None and given == outputs(other, frames_of(program.input.size, 3), -7e5), value
