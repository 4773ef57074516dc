"""The same bits: however frames are cut, whatever company a stream has, wherever it lies."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_kernels_cells import CELLS, random_weights, stack, whole

from ostinato.kernels.alone import Alone
from ostinato.kernels.finite import all_finite
from ostinato.kernels.program import Program, Workspace, advance, advance_slice, bind
from ostinato.model.compile import compile_network
from ostinato.model.decoders import Outputs
from ostinato.model.front_ends import Frames
from ostinato.model.layers import Dense, Gru, Lstm, Rnn, Softmax
from ostinato.model.specification import Sequential

Floats = npt.NDArray[np.float32]
INPUT = 5
_PROGRAMS: dict[Any, Program] = {}


def program(kind: str, hidden: int, direction: str = "forward", depth: int = 2) -> Program:
    key = (kind, hidden, direction, depth)
    if key not in _PROGRAMS:
        layers = stack(kind, hidden, direction, depth)
        specification = Sequential("x", Frames(INPUT), (*layers, Dense(6), Softmax()), Outputs())
        _PROGRAMS[key] = compile_network(specification, random_weights(specification, hidden)).program
    return _PROGRAMS[key]


def frames_of(lengths: list[int], seed: int) -> list[Floats]:
    rng = np.random.default_rng(seed)
    return [rng.standard_normal((n, INPUT)).astype(np.float32) for n in lengths]


def together(
    made: Program, state: Floats, slots: list[int], frames: list[Floats], workspace: Workspace
) -> list[Floats]:
    """Advance many streams in one call, packed; outputs in the order of ``frames``."""
    order = sorted(range(len(frames)), key=lambda b: -len(frames[b]))
    steps = len(frames[order[0]])
    sizes = np.array([sum(len(f) > t for f in frames) for t in range(steps)], np.int64)
    rows = made.new_rows(int(sizes.sum()))
    start = np.concatenate([[0], np.cumsum(sizes)])
    for place, b in enumerate(order):
        for t in range(len(frames[b])):
            rows[start[t] + place, made.input.slice] = frames[b][t]
    advance(made, state, np.array([slots[b] for b in order], np.int64), sizes, rows, workspace)
    outputs: list[Floats] = [np.empty((0, 0), np.float32)] * len(frames)
    for place, b in enumerate(order):
        outputs[b] = np.array([rows[start[t] + place, made.output.slice] for t in range(len(frames[b]))])
    return outputs


def same(a: Floats, b: Floats) -> None:
    np.testing.assert_array_equal(a.view(np.uint32), b.view(np.uint32))


kinds, hiddens = st.sampled_from(sorted(CELLS)), st.sampled_from((1, 7, 16, 25, 64, 100))


@settings(deadline=None, max_examples=60)
@given(kinds, hiddens, st.integers(1, 90), st.lists(st.integers(0, 90), max_size=6), st.integers(0, 99))
def test_chunking_does_not_matter(kind: str, hidden: int, length: int, cuts: list[int], seed: int) -> None:
    made = program(kind, hidden)
    (frames,) = frames_of([length], seed)
    at_once = whole(made, frames)
    state, workspace = made.new_states(1), Workspace()
    pieces = [0, *sorted({cut for cut in cuts if 0 < cut < length}), length]
    parts = [together(made, state, [0], [frames[a:b]], workspace)[0] for a, b in pairwise(pieces)]
    same(np.concatenate(parts), at_once)


@settings(deadline=None, max_examples=60)
@given(kinds, hiddens, st.lists(st.integers(1, 20), min_size=1, max_size=40), st.randoms(use_true_random=False))
def test_company_and_place_do_not_matter(kind: str, hidden: int, lengths: list[int], random: Any) -> None:
    made = program(kind, hidden)
    frames = frames_of(lengths, len(lengths))
    slots = random.sample(range(len(frames) + 5), len(frames))
    state = made.new_states(len(frames) + 5)
    outputs = together(made, state, slots, frames, Workspace())
    for b, own in enumerate(frames):
        alone = made.new_states(1)
        (output,) = together(made, alone, [0], [own], Workspace())
        same(outputs[b], output)
        same(state[slots[b]], alone[0])
    untouched = sorted(set(range(len(state))) - set(slots))
    assert not state[untouched].any()


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("batch", [1, 2, 3, 4, 5, 6, 7, 8, 9, 64, 65, 130])
def test_every_remainder_of_the_tiles(kind: str, batch: int) -> None:
    made = program(kind, 100, depth=1)
    frames = frames_of([2] * batch, batch)
    outputs = together(made, made.new_states(batch), list(range(batch)), frames, Workspace())
    for b in {0, batch // 2, batch - 1}:
        same(outputs[b], whole(made, frames[b]))


@settings(deadline=None, max_examples=30)
@given(kinds, st.sampled_from((7, 16, 25)), st.lists(st.integers(1, 70), min_size=2, max_size=9))
def test_bidirectional_utterances_share_a_call(kind: str, hidden: int, lengths: list[int]) -> None:
    made = program(kind, hidden, "bidirectional")
    frames = frames_of(lengths, 1)
    outputs = together(made, made.new_states(len(frames)), list(range(len(frames))), frames, Workspace())
    for own, output in zip(frames, outputs, strict=True):
        same(output, whole(made, own))


@settings(deadline=None, max_examples=30)
@given(kinds, st.sampled_from((7, 25, 64)), st.integers(1, 150), st.integers(1, 40))
def test_slices_do_not_matter(kind: str, hidden: int, length: int, most: int) -> None:
    made = program(kind, hidden, "bidirectional")
    (frames,) = frames_of([length], 2)
    rows, state, workspace = made.new_rows(length), made.new_states(1), Workspace()
    rows[:, made.input.slice] = frames
    for operation, backward in enumerate(made.backward):
        starts = list(range(0, length, most))
        for start in reversed(starts) if backward else starts:
            part = rows[start : start + most]
            sizes = np.ones(len(part), np.int64)
            advance_slice(made, operation, operation + 1, state, np.zeros(1, np.int64), sizes, part, workspace)
    same(np.ascontiguousarray(rows[:, made.output.slice]), whole(made, frames))


@pytest.mark.parametrize("kind", CELLS)
def test_a_bound_call_gives_the_same_bits(kind: str) -> None:
    made = program(kind, 25)
    (frames,) = frames_of([9], 3)
    rows, state = made.new_rows(1), made.new_states(3)
    call = bind(made, state, np.array([2], np.int64), np.ones(1, np.int64), rows)
    outputs = []
    for frame in frames:
        rows[0, made.input.slice] = frame
        call()
        outputs.append(rows[0, made.output.slice].copy())
    same(np.array(outputs), whole(made, frames))


@pytest.mark.parametrize("kind", CELLS)
def test_a_frame_alone_gives_the_same_bits(kind: str) -> None:
    made = program(kind, 25)
    (frames,) = frames_of([9], 3)
    alone = Alone(made, made.new_states(3))
    found = [alone.run(2, frames[t : t + 1], made.output) for t in range(9)]
    assert all(finite for _, finite in found)
    same(np.concatenate([output for output, _ in found]), whole(made, frames))
    _, finite = alone.run(1, np.full((1, INPUT), np.nan, np.float32), made.output)
    assert not finite
    for slot, frame, message in (
        (3, frames[:1], "3 is not a row"),
        (0, frames[:2], "takes"),
        (0, frames[:1, 1:], "takes"),
    ):
        with pytest.raises(ValueError, match=message):
            alone.run(slot, frame, made.output)


def test_what_may_be_no_frame_is_taken_only_if_it_is_one() -> None:
    made = program(min(CELLS), 25)
    (frames,) = frames_of([3], 3)
    states = made.new_states(1)
    take = Alone(made, states).into(made.output)
    spoilt = np.where(np.arange(INPUT) == INPUT - 1, np.inf, frames[:1]).astype(np.float32)
    for data in (frames, frames[:1, 1:], frames[:1].astype(np.float64), frames.tolist(), None, spoilt, spoilt[0]):
        assert take(0, data) is None
    assert not states.any()
    wide = np.repeat(frames, 2, axis=1)[:, ::2]  # not contiguous
    found = [take(0, frames[0]), take(0, frames[1:2]), take(0, wide[2:])]
    assert all(each is not None and each[1] for each in found)
    same(np.concatenate([each[0] for each in found if each]), whole(made, frames))
    with pytest.raises(ValueError, match="1 is not a row"):
        take(1, frames[0])


@pytest.mark.parametrize("shape", [(0, 3), (1, 1), (3, 16), (7, 33), (1, 1000)])
def test_one_value_that_is_not_finite_is_found_wherever_it_is(shape: tuple[int, int]) -> None:
    values = np.full(shape, 3e38, np.float32)
    assert all_finite(values) and all_finite(values[:, ::2])
    for at in np.ndindex(shape):
        for bad in (np.nan, np.inf, -np.inf):
            values[at] = bad
            assert not all_finite(values)
        values[at] = -1e-40


def test_what_lies_in_rows_and_workspace_does_not_matter() -> None:
    """Rows come filled with NaN and a workspace used by another model."""
    layers = (Gru(25), Lstm(7, direction="bidirectional", peepholes=True), Rnn(3))
    specification = Sequential("x", Frames(INPUT), layers, Outputs())
    made = compile_network(specification, random_weights(specification, 1)).program
    (frames,) = frames_of([40], 4)
    clean = whole(made, frames)
    workspace, other = Workspace(), program("gru before", 100)
    together(other, other.new_states(3), [0, 1, 2], frames_of([5, 4, 3], 5), workspace)
    rows, state = made.new_rows(40), made.new_states(1)
    rows[:] = np.nan
    rows[:, made.input.slice] = frames
    advance(made, state, np.zeros(1, np.int64), np.ones(40, np.int64), rows, workspace)
    same(np.ascontiguousarray(rows[:, made.output.slice]), clean)
    assert np.isfinite(state).all(), "padding must not carry rubbish into snapshots"


@pytest.mark.parametrize(
    ("slots", "sizes", "count", "message"),
    [
        ([3], [1], 1, "slot is not a row"),
        ([-1], [1], 1, "slot is not a row"),
        ([0], [2], 2, "batch_sizes"),
        ([0, 1], [1, 2], 3, "batch_sizes"),
        ([0], [0], 0, "batch_sizes"),
        ([0, 1], [2, 1], 2, "rows must be as many"),
        ([0, 1], [2, 1], 4, "rows must be as many"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(slots: list[int], sizes: list[int], count: int, message: str) -> None:
    made = program("gru after", 7)
    state = made.new_states(3)
    with pytest.raises(ValueError, match=message):
        advance(made, state, np.array(slots), np.array(sizes), made.new_rows(count), Workspace())
    assert not state.any()


def test_rows_and_states_of_another_program_are_refused() -> None:
    made, other = program("gru after", 7), program("lstm", 100)
    one = np.ones(1, np.int64)
    with pytest.raises(ValueError, match="do not fit"):
        advance(made, made.new_states(2), one, one, other.new_rows(1), Workspace())
    with pytest.raises(ValueError, match="do not fit"):
        advance(made, other.new_states(2), one, one, made.new_rows(1), Workspace())


def test_no_frames_change_nothing() -> None:
    made = program("lstm", 7)
    state = made.new_states(2)
    state[:] = 0.5
    none = np.zeros(0, np.int64)
    advance(made, state, none, none, made.new_rows(0), Workspace())
    assert (state == 0.5).all()
