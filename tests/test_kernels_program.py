"""Programs made by hand: what an operation could reach outside its row, its state or the weights, or reads though
nothing has written it, is refused as the program is made, and the operation is named. So are arrays that do not fit
when it runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pytest
from kinds import Example
from test_kinds import EXAMPLES, frames_for, network_around

from ostinato.kernels.memory import Memories, Memory
from ostinato.kernels.operations import NUMBERS, Region
from ostinato.kernels.operations import record as i
from ostinato.kernels.program import Program, Start, Workspace, advance, advance_slice, bind
from ostinato.model import Network
from ostinato.model.layers import Attention
from ostinato.model.wire import Wire

Floats = npt.NDArray[np.float32]

INPUT, OUTPUT = Region(0, 20), Region(32, 16)
ROW, STATE, WEIGHTS = 128, 64, 4096
NAMES = i.FIELD_NAMES | {
    "input": i.INPUT, "input_size": i.INPUT_SIZE, "output": i.OUTPUT, "output_size": i.OUTPUT_SIZE,
    "tokens": i.TOKENS, "parameters": i.PARAMETERS, "kind": i.KIND,
}  # fmt: skip

Fields = dict[str, int]
DENSE: Fields = {"input_size": 20, "output": 32, "output_size": 16, "vectors": 1, "W": 0, "bias": 320}
RNN: Fields = DENSE | {"units": 16, "W": 0, "bias": 320, "R": 400, "state_h": 0}
GRU: Fields = DENSE | {"units": 16, "vectors": 3, "bias": 960, "R": 1024, "recurrent_bias": 2000, "state_h": 0}
GRU_BEFORE: Fields = GRU | {"R2": 2048}
LSTM: Fields = DENSE | {"units": 16, "vectors": 4, "bias": 1280, "R": 2000, "state_h": 0, "state_c": 16}
PROJECTED: Fields = LSTM | {"R2": 3024, "recurrent_bias": 3280}
SOFTMAX: Fields = {"input_size": 20, "output": 32, "output_size": 20}
EMBEDDING: Fields = {"tokens": 1, "input_size": 10, "output": 32, "output_size": 16, "vectors": 1, "W": 0}
KINDS = {
    "dense": DENSE, "rnn": RNN, "gru-after": GRU, "gru-before": GRU_BEFORE, "lstm": LSTM, "gru-general-after": GRU,
    "gru-general-before": GRU_BEFORE, "lstm-general": PROJECTED, "softmax": SOFTMAX,
    "embedding": EMBEDDING,
}  # fmt: skip

LOOKING_UP = {
    "attention": {"input_size": 20, "output": 32, "output_size": 16, "W": 0, "keys": 0, "values": 20},
    "last": {"output": 32, "output_size": 16, "values": 20},
}


CELLS = ("rnn", "gru-after", "gru-before", "lstm", "gru-general-after", "gru-general-before", "lstm-general")


def operation(kind: str, /, **fields: int) -> list[int]:
    """An operation of that kind, some of its fields changed."""
    record = [0] * i.FIELDS
    for place in i.PLACES:
        record[place] = -1
    record[i.KIND], record[i.PARAMETERS] = NUMBERS[kind], WEIGHTS - 16
    for name, value in ((KINDS | LOOKING_UP)[kind] | fields).items():
        record[NAMES[name]] = value
    return record


def program(*operations: list[int], output: Region = OUTPUT, **arguments: Any) -> Program:
    values = {"weights": np.zeros(WEIGHTS, np.float32), "row_size": ROW, "state_size": STATE, "input": INPUT}
    return Program(np.array(operations), outputs=(output,), **values | arguments)


@pytest.mark.parametrize("kind", KINDS)
def test_what_stays_within_is_taken(kind: str) -> None:
    made = program(operation(kind))
    rows = made.new_rows(2)
    advance(made, made.new_states(1), np.zeros(1, np.int64), np.ones(2, np.int64), rows, Workspace())
    assert np.isfinite(rows).all()


ROW_BEFORE, ROW_PAST = "reads .* values from -[0-9]+ on, outside its row", "reads .* outside its row of 128"
WRITES, STATES = "writes .* outside its row", "keeps .* outside its state row of 64"
WEIGHT = "outside the weights of 4096"
UNWRITTEN = "which nothing has written before it"


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        # the row
        *((kind, {"input": -1}, ROW_BEFORE) for kind in KINDS),
        *((kind, {"input": ROW - 15}, ROW_PAST) for kind in KINDS),
        *((kind, {"output": -16}, WRITES) for kind in KINDS),
        *((kind, {"output": ROW - 15}, WRITES) for kind in KINDS),
        *((kind, {"input": 64}, UNWRITTEN) for kind in KINDS),
        *((kind, {"input_size": 21}, UNWRITTEN) for kind in ("dense", "softmax")),
        *((kind, {"input_size": -16}, "outside") for kind in ("dense", "softmax", "embedding")),
        ("softmax", {"input_size": 20, "output": ROW - 16, "output_size": 16}, WRITES),  # it writes two vectors
        ("embedding", {"vectors": 7}, WRITES),  # it copies whole vectors, however long its output
        ("dense", {"vectors": 7, "W": 0, "bias": 3000}, WRITES),
        # gate sums that are in the row: all of them are read
        ("rnn", {"W": -1, "input_size": 1, "vectors": 9}, ROW_PAST),
        ("rnn", {"W": -1, "input_size": 1, "vectors": 2}, UNWRITTEN),
        ("dense", {"W": -1, "input_size": 1, "vectors": 9}, ROW_PAST),
        # the state row
        *((kind, {"state_h": -1}, STATES) for kind in CELLS),
        *((kind, {"state_h": 49}, STATES) for kind in CELLS),
        ("lstm", {"state_c": 49}, STATES),
        ("lstm", {"state_c": -1}, STATES),
        ("lstm", {"state_c": 8}, "where something else is kept"),
        # the weights
        *((kind, {"W": WEIGHTS - 64}, WEIGHT) for kind in KINDS if kind != "softmax"),
        ("embedding", {"W": -1}, WEIGHT),
        *((kind, {"bias": WEIGHTS - 15}, WEIGHT) for kind in KINDS if kind not in ("softmax", "embedding")),
        *((kind, {"bias": -1}, WEIGHT) for kind in CELLS),
        *((kind, {"parameters": WEIGHTS - 1}, WEIGHT) for kind in ("dense", "rnn")),
        *((kind, {"parameters": -1}, WEIGHT) for kind in ("dense", "rnn")),
        *((kind, {"R": WEIGHTS - 16}, WEIGHT) for kind in CELLS),
        *((kind, {"R": -1}, WEIGHT) for kind in CELLS),
        ("gru-after", {"recurrent_bias": -1}, WEIGHT),
        ("gru-before", {"R2": -1}, WEIGHT),
        ("lstm", {"diagonal": WEIGHTS - 47}, WEIGHT),
        ("lstm-general", {"diagonal": WEIGHTS - 47}, WEIGHT),
        ("lstm-general", {"R2": WEIGHTS - 255}, WEIGHT),
        ("lstm-general", {"recurrent_bias": WEIGHTS - 15}, WEIGHT),
        ("lstm-general", {"clip": WEIGHTS}, WEIGHT),
        ("lstm-general", {"R2": -1, "units": 32, "vectors": 8}, "where something else is kept"),
        ("embedding", {"input_size": 257}, WEIGHT),
        # an int8 product and a looked-up column never go on with sums: their bias would be read before the buffer
        ("dense", {"W_int8": 1, "bias": -1}, "reads .* from -1 on, outside the weights"),
        ("dense", {"tokens": 1, "input_size": 16, "bias": -1}, "reads .* from -1 on, outside the weights"),
        # what the workspace is made for
        ("rnn", {"units": 32}, "cell needs 2"),
        ("gru-after", {"vectors": 2}, "cell needs 3"),
        ("gru-before", {"vectors": 2}, "cell needs 3"),
        ("lstm", {"vectors": 3}, "cell needs 4"),
        # the kind
        ("dense", {"kind": -1}, "is of kind -1"),
        ("dense", {"kind": len(NUMBERS)}, "is of kind"),
    ],
)
def test_what_reaches_outside_is_refused_and_named(kind: str, fields: Fields, message: str) -> None:
    """Behind one that is as it should be, so that the number is seen to be its own."""
    before = operation("dense", output=80, output_size=1)
    with pytest.raises(ValueError, match=message) as caught:
        program(before, operation(kind, **fields))
    assert str(caught.value).startswith("operation 1 ")


def test_a_state_is_its_operation_s_alone() -> None:
    two = operation("rnn", input=32, input_size=16, output=64, state_h=8)
    with pytest.raises(ValueError, match=r"operation 1 keeps .* where something else is kept"):
        program(operation("rnn"), two)
    program(operation("rnn"), operation("rnn", input=32, input_size=16, output=64, state_h=16))


def test_whole_vectors_do_not_spill_over_what_is_held() -> None:
    """Sums are written in whole vectors: what lay behind an output is gone, and not to be read."""
    left, right = operation("dense", output=32, output_size=10), operation("dense", output=42, output_size=10)
    program(left, right, output=Region(32, 20))
    with pytest.raises(ValueError, match=r"output .* is written by nothing, or written over"):
        program(right, left, output=Region(32, 20))
    reads_both = operation("dense", input=32, input_size=20, output=64)
    program(left, right, reads_both, output=Region(64, 16))
    with pytest.raises(ValueError, match=rf"operation 2 reads .* {UNWRITTEN}"):
        program(right, left, reads_both, output=Region(64, 16))


@pytest.mark.parametrize("output", [0, 19, 32])
def test_a_frame_stays_where_it_is(output: int) -> None:
    """As it may be read again: when a stream that waits is saved, or a bound call is made a second time."""
    program(operation("dense", input=48, output=28, output_size=16), input=Region(44, 24), output=Region(28, 16))
    with pytest.raises(ValueError, match=r"operation 0 writes .* over its frame"):
        program(
            operation("dense", input=48, output=output, output_size=10), input=Region(output + 9, 68 - output - 9)
        )


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (Region(32, 17), "written by nothing"),
        (Region(-1, 1), "outside its row"),
        (Region(ROW - 1, 2), "outside its row"),
        (Region(31, 2), "written by nothing"),
    ],
)
def test_an_output_is_something_that_was_written(output: Region, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        program(operation("dense"), output=output)


def test_sums_go_on_only_with_sums() -> None:
    """A float32 dense operation without a bias adds to its output, which must be there."""
    with pytest.raises(ValueError, match=f"operation 0 reads .* {UNWRITTEN}"):
        program(operation("dense", bias=-1))
    program(operation("dense"), operation("dense", bias=-1))


# --- all kinds ------------------------------------------------------------------------------------------------------

FOUND: dict[int, tuple[Program, Floats, int]] = {}
"""Of each kind of operation a program that has one, frames for it, and the operation's number."""
GUARD, STEPS = 8192, 3


def found(kind: str) -> tuple[Program, Floats, int]:
    if not FOUND:
        for param in EXAMPLES:
            specification = network_around(param.values[0])
            made, wire = Network.random(specification, 0).program, specification.front_end.wire
            frames = frames_for(specification, STEPS)
            if not wire.token:
                frames = np.resize(frames, (STEPS, made.input.size))
            for number, one in enumerate(made.operations[:, i.KIND].tolist()):
                FOUND.setdefault(one, (made, frames, number))
    return FOUND[NUMBERS[kind]]


def guarded(rows: int, width: int, guard: float) -> tuple[Floats, Floats]:
    """Memory whose ends hold ``guard``, and rows of zeros within."""
    memory = np.full(rows * width + 2 * GUARD, guard, np.float32)
    inner = memory[GUARD:-GUARD].reshape(rows, width)
    inner[:] = 0
    return memory, inner


def outputs(made: Program, frames: Floats, guard: float) -> bytes | None:
    """Of frames in guarded memory; None if the guards were written over."""
    around, rows = guarded(len(frames), made.row_size, guard)
    beside, states = guarded(1, made.state_size, guard)
    rows[:, made.input.slice], states[:] = frames, made.initial
    slots, sizes = np.zeros(1, np.int64), np.ones(len(frames), np.int64)
    with np.errstate(all="ignore"):
        advance(made, states, slots, sizes, rows, Workspace(), remembered(made, guard))
    ends = np.concatenate([around[:GUARD], around[-GUARD:], beside[:GUARD], beside[-GUARD:]])
    return rows[:, made.output.slice].tobytes() if (ends == guard).all() else None


def remembered(made: Program, guard: float = 0.0, streams: int = 1) -> Memories | None:
    """For each stream a memory of five frames, behind which lies ``guard``; None if the program looks nothing up."""
    if not made.memory_size:
        return None
    memory = Memory(made.memory_size)
    memory.append(np.random.default_rng(4).standard_normal((5, made.memory_size)).astype(np.float32))
    memory.append(np.full((3, made.memory_size), guard, np.float32))
    return Memories([memory] * streams, [5] * streams)


@pytest.mark.parametrize("kind", NUMBERS)
def test_whatever_is_taken_stays_within(kind: str) -> None:
    """Each field of an operation changed to what lies beside it, and at the limits: the program is refused, or it
    writes nothing outside its rows and states, and what lies there changes no output."""
    made, frames, at = found(kind)
    taken = refused = 0
    for name, place in NAMES.items():
        now = int(made.operations[at, place])
        flag = name in ("backward", "tokens", "W_int8", "R_int8")
        limits = (made.row_size - 15, made.state_size - 15, len(made.weights) - 15, 100)
        for value in {1 - now} if flag else {-1, 0, 1, now - 16, now - 1, now + 1, now + 16, 2 * now, *limits}:
            changed = made.operations.copy()
            changed[at, place] = value
            try:
                other = Program(
                    changed, made.weights, made.row_size, made.state_size, made.input, made.outputs, made.initial,
                    made.positions, made.memory_size, made.starts,
                )  # fmt: skip
            except ValueError:
                refused += 1
                continue
            taken += 1
            given = outputs(other, frames, 1e3)
            assert given is not None and given == outputs(other, frames, -7e5), f"{name} = {value}"
    assert taken > 20 and refused > 10


# --- arrays ---------------------------------------------------------------------------------------------------------

Call = Callable[[Program, Any, Any, Any, Any], object]
CALLS: dict[str, Call] = {
    "advance": lambda made, *arrays: advance(made, *arrays, Workspace()),
    "advance_slice": lambda made, *arrays: advance_slice(made, 0, 1, *arrays, Workspace()),
    "bind": lambda made, *arrays: bind(made, *arrays)(),
}
GOOD = {
    "state": np.zeros((2, STATE), np.float32), "slots": np.array([1, 0]), "batch_sizes": np.array([2, 1]),
    "rows": np.zeros((3, ROW), np.float32),
}  # fmt: skip


@pytest.mark.parametrize("how", CALLS)
@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("rows", np.zeros((3, ROW - 16), np.float32), "do not fit a program"),
        ("rows", np.zeros((3, ROW + 16), np.float32), "do not fit a program"),
        ("rows", np.zeros(3 * ROW, np.float32), "do not fit a program"),
        ("rows", np.zeros((1, 3, ROW), np.float32), "do not fit a program"),
        ("rows", np.zeros((2, ROW), np.float32), "as many as batch_sizes add up to"),
        ("rows", np.zeros((3, ROW)), None),
        ("rows", np.zeros((3, 2 * ROW), np.float32)[:, ::2], None),
        ("state", np.zeros((2, STATE - 1), np.float32), "do not fit a program"),
        ("state", np.zeros(2 * STATE, np.float32), "do not fit a program"),
        ("state", np.zeros((1, STATE), np.float32), "a slot is not a row"),
        ("slots", np.array([0, -1]), "a slot is not a row"),
        ("slots", np.array([0]), "batch_sizes must be positive"),
        ("slots", np.array([0.0, 1.0]), None),
        ("batch_sizes", np.array([1, 2]), "batch_sizes must be positive"),
        ("batch_sizes", np.array([3]), "batch_sizes must be positive"),
        ("batch_sizes", np.array([2, 1, 0]), "batch_sizes must be positive"),
        ("batch_sizes", np.array([2]), "as many as batch_sizes add up to"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(how: str, name: str, array: Any, message: str | None) -> None:
    """By each way to run a program; None: Numba refuses the type."""
    made = program(operation("rnn"))
    CALLS[how](made, *GOOD.values())
    with pytest.raises(ValueError if message else TypeError, match=message):
        CALLS[how](made, *(GOOD | {name: array}).values())


@pytest.mark.parametrize(("first", "last"), [(-1, 1), (0, 2), (1, 0), (2, 2)])
def test_a_slice_is_of_operations_that_are_there(first: int, last: int) -> None:
    made = program(operation("rnn"))
    with pytest.raises(ValueError, match="there are no operations"):
        advance_slice(made, first, last, *GOOD.values(), Workspace())


# --- memories -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        *(("attention", fields) for fields in ({"keys": -1}, {"keys": 17}, {"values": -1}, {"values": 33})),
        *(("last", {"values": place}) for place in (-1, 33)),
    ],
)  # fmt: skip
def test_what_reaches_outside_a_memorys_frame_is_refused(kind: str, fields: Fields) -> None:
    program(operation(kind), memory_size=48)
    with pytest.raises(ValueError, match=r"operation 0 reads .* outside a memory's frame of 48"):
        program(operation(kind, **fields), memory_size=48)
    with pytest.raises(ValueError, match="outside a memory's frame of 0"):
        program(operation(kind))


@pytest.mark.parametrize("start", [Start(60, Region(0, 5)), Start(-1, Region(0, 5)), Start(0, Region(44, 5))])
def test_states_begin_within_their_row(start: Start) -> None:
    program(operation("last"), memory_size=48, starts=(Start(59, Region(43, 5)),))
    with pytest.raises(ValueError, match="outside"):
        program(operation("last"), memory_size=48, starts=(start,))


def test_streams_see_what_is_there() -> None:
    """No memory, one of another pitch, and more than it holds are refused; none of an earlier call is looked up."""
    made, workspace = program(operation("last"), memory_size=48), Workspace()
    arrays = made.new_states(2), np.arange(2), np.array([2]), made.new_rows(2)
    memory, other = Memory(48), Memory(64)
    for each in (memory, other):
        each.append(np.arange(3 * each.pitch, dtype=np.float32).reshape(3, -1))
    advance(made, *arrays, workspace, Memories([memory, memory], [3, 1]))
    assert arrays[3][:, 32:48].tolist() == [list(range(116, 132)), list(range(20, 36))]
    for wrong in (None, Memories([memory], [1]), Memories([other, other], [1, 1])):
        with pytest.raises(ValueError, match="looks up a memory of pitch 48 of each of 2 streams"):
            advance(made, *arrays, workspace, wrong)
    with pytest.raises(ValueError, match="looks up a memory of pitch 0"):
        advance(program(operation("rnn")), *GOOD.values(), workspace, Memories([memory, memory], [3, 1]))
    for seen in (0, 4, -1):
        with pytest.raises(ValueError, match=f"sees {seen} frames of 3"):
            Memories([memory], [seen])
    with pytest.raises(ValueError, match="pitches"):
        Memories([memory, other], [1, 1])
    with pytest.raises(ValueError, match="is not bound"):
        bind(made, *arrays)


@pytest.mark.parametrize("score", ["dot", "additive"])
def test_a_memory_is_seen_alike_in_any_company_and_wherever_it_lies(score: Literal["dot", "additive"]) -> None:
    """One stream of many, its frames added in any pieces, gives the bits that it gives alone."""
    memory_wire = Wire(20, memory=True)
    specification = network_around(Example(Attention(score), (Wire(20), memory_wire, memory_wire)))
    made, generator = Network.random(specification).program, np.random.default_rng(3)
    lengths = generator.integers(1, 70, 33).tolist()
    sources = [generator.standard_normal((n, made.memory_size)).astype(np.float32) for n in lengths]
    memories = [Memory(made.memory_size) for _ in sources]
    for memory, frames in zip(memories, sources, strict=True):
        for part in np.array_split(frames, 3):
            memory.append(part)
        memory.append(np.full((2, made.memory_size), np.nan, np.float32))  # not seen
    ids = generator.integers(0, 3, (33, 1)).astype(np.float32)
    rows = made.new_rows(33)
    rows[:, made.input.slice] = ids
    advance(made, made.new_states(33), np.arange(33), np.array([33]), rows, Workspace(), Memories(memories, lengths))
    for row, token, frames in zip(rows, ids, sources, strict=True):
        alone, memory = made.new_rows(1), Memory(made.memory_size)
        memory.append(frames)
        alone[:, made.input.slice] = token
        one = made.new_states(1), np.zeros(1, np.int64), np.ones(1, np.int64), alone
        advance(made, *one, Workspace(), Memories([memory], [len(frames)]))
        assert row[made.output.slice].tobytes() == alone[0, made.output.slice].tobytes()
