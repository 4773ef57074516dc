"""Programs: what a model is to the kernels, and how to run one over packed frames."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from ostinato.kernels import compiler, integer, interpreter
from ostinato.kernels.aligned import zeros
from ostinato.kernels.far import far
from ostinato.kernels.memory import Memories
from ostinato.kernels.operations import KINDS, Region
from ostinato.kernels.operations import record as i
from ostinato.kernels.regions import inside, overlap
from ostinato.kernels.schedule import Pass, passes, together, when
from ostinato.lanes import LANES, padded

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

_KINDS = tuple(KINDS.values())


def row_pitch(vectors: int) -> int:
    """How many vectors from one row of so many to the next, so that rows do not share cache sets."""
    return int(i.row_pitch.py_func(vectors))


class Start(NamedTuple):
    """What a stream begins with: from ``state`` on, its state row has what lies in ``memory`` of the last frame of
    its memory."""

    state: int
    memory: Region


class Inner(Protocol):
    """What an operation runs within each frame: `kernels.positions.Positions`, or at each position of a frame:
    `kernels.several.Several`."""

    @property
    def frame_size(self) -> int:
        """Values of a frame before."""

    @property
    def output_size(self) -> int:
        """And after."""

    @property
    def state_size(self) -> int:
        """Values that it keeps in the stream's state row from frame to frame."""

    @property
    def plan(self) -> Ints:
        """As the operation has it."""

    @property
    def room(self) -> int:
        """Values that a workspace must hold for it, besides what it says as `Program` does:"""

    @property
    def gate_size(self) -> int:
        """As `Program.gate_size`."""

    @property
    def byte_size(self) -> int:
        """As `Program.byte_size`."""


@dataclass(frozen=True, eq=False)
class Program:
    """Operations over one packed weight buffer; immutable, shared by any number of streams and threads.

    A frame is a row of ``row_size`` float32: ``input`` is where the frame's values (or its token id, as a float) go
    and stay, ``outputs`` where the results are; between them places are used again. A stream is a state row of
    ``state_size`` float32, at first as ``initial``.
    ``backward`` says which operations run from the last frame to the first; the first ``early`` operations need no
    later frame, and so can run while frames arrive. ``passes`` are all operations, in order, in as few as can be.

    Raises ValueError if an operation could reach outside its row, its state or the weights, or reads what nothing has
    written (`check`).
    """

    operations: Ints
    weights: Floats
    row_size: int
    state_size: int
    input: Region
    outputs: tuple[Region, ...]
    initial: Floats | None = None
    """A state row of a stream that has not begun; None: zeros."""
    positions: tuple[Inner, ...] = ()
    """What operations run within each frame, by their number there."""
    memory_size: int = 0
    """Values from one frame to the next of the memory that a stream has, whose frames operations look up; 0: it has
    none."""
    starts: tuple[Start, ...] = ()
    """Of that memory, what `begin` puts into a state row."""
    backward: tuple[bool, ...] = field(init=False)
    early: int = field(init=False)
    passes: tuple[Pass, ...] = field(init=False)
    gate_size: int = field(init=False)
    """Values from one row of gate sums to the next, of the largest operation: what a workspace must hold."""
    byte_size: int = field(init=False)
    """Bytes of the longest row that is multiplied in int8; 0 if none is."""
    room: int = field(init=False)
    """Values that a workspace must hold for what runs within frames."""

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        operations = np.array(self.operations, np.int64).reshape(-1, i.FIELDS)
        for number, op in enumerate(operations):
            if not 0 <= op[i.KIND] < len(_KINDS):
                raise ValueError(f"operation {number} is of kind {op[i.KIND]}: there are {len(_KINDS)}")
        kinds = [_KINDS[op[i.KIND]] for op in operations]
        compiler.prepare(interpreter.run, *(function for kind in kinds for function in (kind.run, kind.cell)))
        for number, (op, kind) in enumerate(zip(operations, kinds, strict=True)):
            op[i.RUN], op[i.CELL] = compiler.address(kind.run), compiler.address(kind.cell) if kind.cell else 0
            op[i.PLAN] = self._inner(number, op).plan.ctypes.data if kind.inner else 0
        weights, initial = zeros(len(self.weights)), zeros(self.state_size)
        weights[:] = self.weights
        if self.initial is not None:
            initial[:] = self.initial
        set_(self, "operations", operations)
        set_(self, "weights", weights)
        set_(self, "initial", initial)
        self.check()
        set_(self, "backward", tuple(bool(flag) for flag in operations[:, i.BACKWARD]))
        ranks = [rank for rank, _ in when(operations, self.row_size)]
        set_(self, "early", [*ranks, 1].index(1))
        set_(self, "passes", passes(operations, self.early, self.row_size))
        operations[:, i.TOGETHER] = together(operations, self.passes)
        operations[:, i.FAR] = far(operations)
        for array in (operations, weights, initial):
            array.flags.writeable = False
        gates = [
            LANES * row_pitch(vectors) * count for vectors, count in operations[:, [i.VECTORS, i.TOGETHER]].tolist()
        ]
        set_(self, "gate_size", max([0, *gates, *(inner.gate_size for inner in self.positions)]))
        inputs = operations[:, [i.INPUT_SIZE, i.OUTPUT_SIZE]] * operations[:, [i.W_INT8, i.R_INT8]]
        own = padded(int(inputs.max(initial=0)))
        set_(self, "byte_size", max([own, *(inner.byte_size for inner in self.positions)]))
        set_(self, "room", max((inner.room for inner in self.positions), default=0))

    def _inner(self, number: int, op: Any) -> Inner:
        """What an operation runs within each frame."""
        if not 0 <= op[i.POSITIONS] < len(self.positions):
            raise ValueError(f"operation {number} runs {op[i.POSITIONS]} of {len(self.positions)} within frames")
        inner: Inner = self.positions[op[i.POSITIONS]]
        wanted = inner.frame_size, inner.output_size, inner.state_size
        if wanted != (op[i.INPUT_SIZE], op[i.OUTPUT_SIZE], op[i.KEPT]):
            raise ValueError(
                f"operation {number} makes {op[i.OUTPUT_SIZE]} values of {op[i.INPUT_SIZE]} and keeps {op[i.KEPT]}, "
                f"what runs within it {inner.output_size} of {inner.frame_size} and {inner.state_size}"
            )
        return inner

    @property
    def output(self) -> Region:
        """The first of the outputs."""
        return self.outputs[0]

    def check(self) -> None:
        """Prove once what running relies on: raises ValueError naming the operation that breaks it.

        Whole vectors are read and written, so each region is taken with what lies behind it up to a whole vector.
        What an operation writes behind its own output is held no more. A frame stays where it is.
        """
        inside(self.input, self.row_size, "a frame lies", "its row")
        held, states = np.zeros(self.row_size, bool), list[Region]()
        held[self.input.slice] = True
        for number, op in enumerate(self.operations):
            reach = _KINDS[op[i.KIND]].reach(op)
            for region in reach.reads:
                inside(
                    Region(region.offset, padded(region.size)), self.row_size, f"operation {number} reads", "its row"
                )
                if not held[region.slice].all():
                    raise ValueError(f"operation {number} reads {region}, which nothing has written before it")
            for region in reach.loads:
                inside(region, self.row_size, f"operation {number} reads", "its row")
            target = Region(int(op[i.OUTPUT]), int(op[i.OUTPUT_SIZE]))
            for region in reach.writes:
                inside(region, self.row_size, f"operation {number} writes", "its row")
                if overlap(region, self.input):
                    raise ValueError(f"operation {number} writes {region} over its frame, which is at {self.input}")
                held[region.slice] = False
            held[target.slice] = True
            for region in reach.states:
                inside(region, self.state_size, f"operation {number} keeps", "its state row")
                if any(overlap(region, other) for other in states):
                    raise ValueError(f"operation {number} keeps {region}, where something else is kept")
                states.append(region)
            if reach.scratch > op[i.VECTORS]:
                raise ValueError(
                    f"operation {number} has {op[i.VECTORS]} vectors of gate sums, and its cell needs {reach.scratch}"
                )
            for region in reach.weights:
                inside(region, len(self.weights), f"operation {number} reads", "the weights")
            for region in reach.memory:
                inside(region, self.memory_size, f"operation {number} reads", "a memory's frame")
        for region in self.outputs:
            inside(region, self.row_size, "an output lies", "its row")
            if not held[region.slice].all():
                raise ValueError(f"output {region} is written by nothing, or written over")
        for state, region in self.starts:
            inside(region, self.memory_size, "a state begins with", "a memory's frame")
            inside(Region(state, region.size), self.state_size, "a state lies", "its state row")

    def new_states(self, count: int) -> Floats:
        """State rows of ``count`` streams that have not begun, [count, state_size]."""
        states = zeros(count, self.state_size)
        if self.initial is not None and self.initial.any():  # otherwise the memory need not be touched yet
            self.begin(states)
        return states

    def begin(self, states: Floats) -> None:
        """Make state rows [..., state_size] those of streams that have not begun."""
        states[...] = 0 if self.initial is None else self.initial

    def begin_behind(self, state: Floats, frame: Floats) -> None:
        """Make a state row [state_size] that of a stream that begins behind ``frame`` [memory_size] of its memory."""
        self.begin(state)
        for place, region in self.starts:
            state[place : place + region.size] = frame[region.slice]

    def new_rows(self, count: int) -> Floats:
        """Memory for ``count`` frames: zeros [count, row_size]."""
        return zeros(count, self.row_size)


class Workspace:
    """Scratch memory for one call of `advance` at a time, of any program; grows when a larger batch comes."""

    def __init__(self) -> None:
        self._call = np.zeros(i.CALL_FIELDS, np.int64)
        self._address = int(self._call.ctypes.data)
        self._program: Program | None = None
        self._gates = self._scratch = self._bytes = self._room = zeros(0)
        self._scores = zeros(0)
        self._tables = np.zeros(0, np.int64)
        self._streams = 0

    def prepare(self, program: Program, streams: int) -> None:
        """Point the call to all operations of a program, with room for so many streams; the arrays are the
        caller's."""
        if self._program is not program or streams > self._streams:
            self._prepare(program)
            self._reserve(program, streams)
        self._call[i.FIRST], self._call[i.LAST] = 0, len(program.backward)

    def point(self, program: Program, state: Floats, slots: Ints, batch_sizes: Ints, rows: Floats) -> None:
        """Point the call to all operations of a program and to these arrays, which the caller keeps alive. Raises
        ValueError if they do not fit together, or the program looks memories up."""
        _check_shapes(program, state, rows)
        if program.memory_size:
            raise ValueError("a program that looks memories up is not bound: they move as they grow")
        self.prepare(program, len(slots))
        interpreter.point(self._call, state, slots, batch_sizes, rows)

    def _prepare(self, program: Program) -> None:
        """Point the call to a program."""
        self._program = program
        call = self._call
        call[i.OPERATIONS] = program.operations.ctypes.data
        call[i.WEIGHTS] = program.weights.ctypes.data
        call[i.ROW_STEP] = 4 * program.row_size
        call[i.STATE_STEP] = 4 * program.state_size
        call[i.MEMORY_STEP] = 4 * program.memory_size
        self._reserve(program, self._streams)

    def _reserve(self, program: Program, streams: int) -> None:
        """Room for ``streams`` streams of this program at once."""
        self._streams = max(streams, self._streams)
        rows = max(self._streams, i.BLOCK_ROWS)
        if self._gates.size < rows * program.gate_size:
            self._gates = zeros(rows * program.gate_size)
            self._scratch = zeros(rows * program.gate_size)
        if self._bytes.nbytes < integer.BLOCK * program.byte_size:
            self._bytes = zeros(integer.BLOCK * program.byte_size // 4)
        if self._tables.size < 3 * rows:
            self._tables = np.zeros(3 * rows, np.int64)
        if self._room.size < program.room:
            self._room = zeros(program.room)
        call, tables = self._call, self._tables.ctypes.data
        call[i.TABLE], call[i.TABLE_H], call[i.TABLE_SLOTS] = tables, tables + 8 * rows, tables + 16 * rows
        call[i.GATES], call[i.SCRATCH] = self._gates.ctypes.data, self._scratch.ctypes.data
        call[i.INTEGERS], call[i.ROOM] = self._bytes.ctypes.data, self._room.ctypes.data
        call[i.CAPACITY] = rows

    def _look_up(self, program: Program, memories: Memories | None, streams: int) -> None:
        """Point the call to the memories of its streams."""
        call = self._call
        call[i.MEMORIES] = 0
        if memories is None and not program.memory_size:
            return
        if memories is None or memories.pitch != program.memory_size or len(memories.held) != streams:
            what = f"{len(memories.held)} of pitch {memories.pitch}" if memories else "none"
            raise ValueError(
                f"a program looks up a memory of pitch {program.memory_size} of each of {streams} streams, and is "
                f"given {what}"
            )
        if self._scores.size < memories.longest:
            self._scores = zeros(padded(2 * memories.longest))
        call[i.MEMORIES], call[i.SCORES] = memories.table.ctypes.data, self._scores.ctypes.data

    @property
    def address(self) -> int:
        """Where the latest call is described, for compiled code that makes it again: `interpreter.run` takes it."""
        return self._address

    @property
    def nbytes(self) -> int:
        """Memory held."""
        held = (self._gates, self._scratch, self._bytes, self._room, self._scores, self._tables, self._call)
        return sum(array.nbytes for array in held)


def advance(
    program: Program,
    state: Floats,
    slots: Ints,
    batch_sizes: Ints,
    rows: Floats,
    workspace: Workspace,
    memories: Memories | None = None,
) -> None:
    """Advance streams over their frames, in place.

    ``state`` [any, state_size]: state rows; ``slots`` [streams]: which of them, all different, sorted by their number
    of frames, most first. ``batch_sizes`` [steps], never increasing: how many streams have a frame at each step.
    ``rows`` [sum of batch_sizes, row_size]: the frames of step 0, then of step 1, …; their input regions are read,
    their output regions are left filled. ``memories``: of the streams, in the order of their slots, if the program
    looks any up. All arrays C-contiguous, float32 or int64.

    Holds no GIL while it computes. Operations that run forward give the same bits however frames are divided over
    calls and batches. Raises ValueError if the arrays do not fit together.
    """
    _advance(program, 0, len(program.backward), state, slots, batch_sizes, rows, workspace, memories)


def advance_slice(
    program: Program,
    first: int,
    last: int,
    state: Floats,
    slots: Ints,
    batch_sizes: Ints,
    rows: Floats,
    workspace: Workspace,
    memories: Memories | None = None,
) -> None:
    """`advance` by the operations first … last-1 only, over the rows given.

    So a long utterance is computed in slices: operation by operation, its rows ascending (descending for
    ``program.backward`` ones), the state rows carrying on between.
    """
    _advance(program, first, last, state, slots, batch_sizes, rows, workspace, memories)


def _advance(
    program: Program,
    first: int,
    last: int,
    state: Floats,
    slots: Ints,
    batch_sizes: Ints,
    rows: Floats,
    workspace: Workspace,
    memories: Memories | None,
) -> None:
    if workspace._program is not program:
        workspace._prepare(program)
    call = workspace._call
    _check_shapes(program, state, rows)
    if not 0 <= first <= last <= len(program.backward):
        raise ValueError(f"there are no operations {first} to {last}: the program has {len(program.backward)}")
    call[i.FIRST] = first
    call[i.LAST] = last
    workspace._look_up(program, memories, len(slots))
    interpreter.point(call, state, slots, batch_sizes, rows)
    _run(program, workspace)


def _check_shapes(program: Program, state: Floats, rows: Floats) -> None:
    if rows.shape[1:] != (program.row_size,) or state.shape[1:] != (program.state_size,):
        raise ValueError(
            f"rows {rows.shape} and state {state.shape} do not fit a program whose rows have {program.row_size} and "
            f"states {program.state_size} values"
        )


def _run(program: Program, workspace: Workspace) -> None:
    code = interpreter.run(workspace._address)
    if code == interpreter.NEEDS_CAPACITY:
        workspace._reserve(program, int(workspace._call[i.STREAMS]))
        code = interpreter.run(workspace._address)
    if code:
        raise ValueError(_MESSAGES[code])


_MESSAGES = {
    interpreter.BAD_SLOT: "a slot is not a row of state",
    interpreter.BAD_BATCH_SIZES: "batch_sizes must be positive, never increase, and not exceed the number of slots",
    interpreter.TOO_FEW_ROWS: "rows must be as many as batch_sizes add up to",
    interpreter.NO_MEMORY: "the program looks memories up, and the call has none",
}


def bind(program: Program, state: Floats, slots: Ints, batch_sizes: Ints, rows: Floats) -> Callable[[], None]:
    """`advance` with these very arrays, prepared once, as a function without arguments: the cheapest call.

    The function keeps the arrays, and a workspace of its own, alive: write frames into ``rows``, call it, read them.
    """
    workspace = Workspace()
    workspace.point(program, state, slots, batch_sizes, rows)
    keep = (program, state, slots, batch_sizes, rows, workspace)
    entry, address = compiler.entry(interpreter.run), workspace._address

    def advance_bound() -> None:
        if entry(address):
            _run(keep[0], keep[-1])

    return advance_bound
