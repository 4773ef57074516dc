"""What layers lower themselves to: the operations of programs, and where a row has room for each value, a state row
for each state, and the weight buffer for each array. `compile` walks a specification with it.

The nodes of the last stage are the program that streams, blocks and utterances run. If there are stages below it,
they become `Stages`, whose frames are that program's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ostinato import activations
from ostinato.kernels import integer
from ostinato.kernels.operations import NUMBERS, Region, gather
from ostinato.kernels.operations import record as i
from ostinato.kernels.positions import Link, Positions
from ostinato.kernels.product import pack
from ostinato.kernels.program import Program, Start, row_pitch
from ostinato.kernels.schedule import when
from ostinato.kernels.several import Several
from ostinato.kernels.stages import Stages
from ostinato.lanes import LANES, padded
from ostinato.model.activation import IDENTITY, Activation
from ostinato.model.framing import Framing
from ostinato.model.linking import Draft, linked
from ostinato.model.projection import NOTHING, sums_by_token
from ostinato.model.stage import Stage
from ostinato.model.staging import SAME, Staging
from ostinato.model.wire import Wire

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]
Weights = Mapping[str, Array]
Inner = Callable[["Lowering", Sequence["Value"]], "Value"]
"""What lowers a layer, given the values that it reads."""


class Value(NamedTuple):
    """What a node gives, and where a row of its stage has it; of a token, its id is there. Of a memory, where one of
    its frames has it."""

    wire: Wire
    region: Region
    stage: int

    def part(self, start: int, size: int) -> Value:
        """The ``size`` values from ``start`` on."""
        wire = Wire(size, memory=self.wire.memory)
        return Value(wire, Region(self.region.offset + start, size), self.stage)


class Projection(NamedTuple):
    """What an operation reads: ``source``, with a matrix that is ``int8`` or not, from ``bias`` [outputs] on."""

    source: Value
    bias: Array
    int8: bool
    place: Callable[[slice], int]
    """Puts these columns of the matrix into the weight buffer, and says where."""


class Compiled(NamedTuple):
    """A network for the kernels: ``stages`` (None where all nodes run in step) give the frames of ``program``."""

    program: Program
    stages: Stages | None


class Lowering:
    """Lays out states, weights and rooms for values, and collects operations; layers call it. What they ask for goes
    into the stage of the node that is being lowered."""

    def __init__(
        self, weights: Weights, staging: Staging, given: Sequence[int] | None = None, apart: bool = False
    ) -> None:
        """``given``: how many values links bring to a row of each stage, which then lie at its start; None: not known
        yet. ``apart``: each value has a place of its own in a row, so that all are there when operations have run."""
        self.weights = weights
        """Of the whole network, as its specification names them."""
        self.multiplied: dict[str, tuple[int, slice]] = {}
        """By the name of a matrix, the stage and which values of its rows it multiplies."""
        self._embedded: dict[Value, tuple[Value, Floats]] = {}
        self._staging = staging
        self._given = given
        self._apart = apart
        self._stages = [Stage(apart) for _ in given or ()]
        for stage, size in zip(self._stages, given or (), strict=False):
            if size:
                stage.room(size)
        self._drafts: list[Draft] = []
        self._linked: dict[Any, Value] = {}
        self._memory_size = 0
        self._starts: list[Start] = []
        self._now = 0

    @property
    def given(self) -> list[int]:
        """How many values links bring to a row of each stage."""
        return [stage.given for stage in self._stages]

    def in_step(self, values: Sequence[Value], node: str = "") -> list[Value]:
        """The values in the stage in which all are there, where what is asked for next goes. ``node``: whose inputs
        they are."""
        stages = [value.stage for value in values if not value.wire.memory]
        self._now = self._staging.joined(stages or [0], node)
        return [
            value if value.stage == self._now or value.wire.memory else self._link(value, SAME) for value in values
        ]

    # --- what layers ask for ----------------------------------------------------------------------------------------

    def value(self, wire: Wire) -> Value:
        """Room for a value. When all is lowered, it may share its place in a row with others, at other times."""
        return Value(wire, self._stage.room(1 if wire.token else wire.size), self._now)

    def memory(self, wires: Mapping[str, Wire]) -> dict[str, Value]:
        """What an encoder's heads give, side by side in the frames of a stream's memory, by the names that nodes have
        for it."""
        sizes = [wire.size for wire in wires.values()]
        places = np.cumsum([0, *sizes]).tolist()
        if wires:  # whole vectors are read, from any value on
            self._memory_size = LANES * row_pitch(padded(places[-1] + LANES - 1) // LANES)
        regions = [Region(place, size) for place, size in zip(places, sizes, strict=False)]
        return {name: Value(wires[name], region, 0) for name, region in zip(wires, regions, strict=True)}

    def begins(self, state: int, values: Value) -> None:
        """Let state rows have these values of a memory's last frame from that place on, before the first frame."""
        self._starts.append(Start(state, values.region))

    def window(self, source: Value, framing: Framing) -> Value:
        """Frames of ``source`` side by side, as ``framing`` says: a row of taps times as many values. What is asked
        for from then on goes into their stage, which is another one unless the framing is causal."""
        if framing == SAME:
            return source
        if framing.causal:
            return self._window(source, framing)
        self._now = self._staging.after(source.stage, framing, "")
        return self._link(source, framing)

    def state(self, size: int, initial: Array | float = 0.0) -> int:
        """Place of ``size`` values in a state row, which are ``initial`` before the first frame."""
        return self._stage.state(size, initial)

    def values(self, array: Array) -> int:
        """Place of an array in the weight buffer, at a cache line."""
        return self._stage.values(array)

    def order(self, indices: Sequence[int]) -> int:
        """Place of the numbers of values that are gathered, -1 for zeros, as `operations.gather` reads them."""
        numbers = np.array(indices)
        vectors = numbers[: len(numbers) // LANES * LANES].reshape(-1, LANES)
        follow = (np.diff(vectors, axis=1) == 1).all(axis=1) & (vectors[:, 0] >= 0)
        starts = np.where(follow, vectors[:, 0], gather.SINGLY)
        starts[(vectors < 0).all(axis=1)] = gather.NOTHING
        return self.values(np.concatenate([starts, numbers]))

    def number(self, value: float | None) -> int:
        """Place of one number in the weight buffer; -1 for None."""
        return -1 if value is None else self.values(np.array([value], np.float32))

    def matrix(self, name: str, arranged: Callable[[Array], Array], columns: slice = slice(None)) -> int:
        """Place of the matrix of that name, packed, in the weight buffer: float32 or, if it has scales, int8.

        ``arranged`` puts outputs, along the first axis of what it is given, into the order that the operation
        reads; only the inputs ``columns``.
        """
        return self.values(self._arranged(name, arranged, columns))

    def _arranged(self, name: str, arranged: Callable[[Array], Array], columns: slice = slice(None)) -> Floats:
        """The same, packed and in no buffer yet."""
        made = arranged(self.weights[name])[:, columns]
        if not self.is_int8(name):
            return pack(made)
        scales, inputs = arranged(self.weights[f"{name}_scale"]), float(self.weights[f"{name}_input_scale"][0])
        return integer.pack(made, scales, inputs)

    def projection(self, name: str, source: Value, arranged: Callable[[Array], Array], bias: Array) -> Projection:
        """How the matrix of that name, its outputs ``arranged`` as for `matrix`, multiplies ``source``: what is read
        instead where that is a token's vector, to the same bits."""
        int8, embedded = self.is_int8(name), self._embedded.get(source)
        if embedded is not None:
            token, vectors = embedded
            made = sums_by_token(vectors, lambda: self._arranged(name, arranged), bias, int8)
            if made is not None:
                nothing = np.full(len(bias), NOTHING)
                return Projection(token, nothing, False, lambda columns: self.packed(made[:, columns]))
        return Projection(source, bias, int8, lambda columns: self.matrix(name, arranged, columns))

    def packed(self, matrix: Floats) -> int:
        """Place of a float32 matrix [outputs, inputs], outputs a multiple of 16, as products read it."""
        return self.values(pack(matrix))

    def embeds(self, value: Value, token: Value, table: Floats) -> None:
        """Say that ``value`` is a row of ``table`` [tokens, size], looked up by ``token``."""
        self._embedded[value] = token, table

    def multiplies(self, name: str, value: Value) -> None:
        """Say what the matrix of that name multiplies: what quantizing observes."""
        self.multiplied[name] = value.stage, value.region.slice

    def is_int8(self, name: str) -> bool:
        """Whether the matrix of that name is int8."""
        return f"{name}_scale" in self.weights

    def early(self, source: Value) -> int:
        """How many of its first values are known as soon as their frame is."""
        operations = self._stage.operations
        times = when(operations, self._stage.rooms_size)
        late = [op for op, (rank, _) in zip(operations, times, strict=True) if rank]
        offset, size = source.region
        starts = [op[i.OUTPUT] - offset for op in late if op[i.OUTPUT] + op[i.OUTPUT_SIZE] > offset]
        return max(0, min([size, *starts]))

    def add(
        self,
        operation: str,
        source: Value | None,
        target: Value,
        *,
        activation: Activation | Sequence[Activation] = IDENTITY,
        **fields: int,
    ) -> None:
        """Append an operation of that name (`kernels.operations`); ``fields`` (`record.FIELD_NAMES`) that
        are not given are 0, places -1. Several activations are f, g and h, as the operation has them."""
        functions = [activation] if isinstance(activation, Activation) else activation
        made = [activations.parameters(each.name, each.alpha, each.beta) for each in functions]
        record = [0] * i.FIELDS
        for place in i.PLACES:
            record[place] = -1
        record[i.KIND] = NUMBERS[operation]
        if source is not None:
            record[i.TOKENS] = int(source.wire.token)
            record[i.INPUT], record[i.INPUT_SIZE] = source.region.offset, source.wire.size
        record[i.OUTPUT], record[i.OUTPUT_SIZE] = target.region
        for name, value in fields.items():
            record[i.FIELD_NAMES[name]] = int(value)
        for place, (number, _, _) in zip(i.ACTIVATIONS, made, strict=False):
            record[place] = number
        record[i.PARAMETERS] = self.values(np.array([each[1:] for each in made], np.float32))
        self._stage.operations.append(record)

    def within(
        self, source: Value, target: Value, channels: Sequence[int], framings: Sequence[Framing], lower: Inner
    ) -> None:
        """Append what ``lower`` makes of the positions of each frame, as an utterance of its own. A frame of
        ``source`` is inputs [positions, channels], one behind the other; ``framings`` are the inner layer's."""
        positions, given = source.region.size // sum(channels), None
        for _ in range(2):  # again, now that it is known how much each stage is given
            inner = _Within(self.weights, channels, positions, framings, given)
            out = lower(inner, inner.inputs)
            given = inner.given
        self.add("within", source, target, positions=len(self._stage.positions))
        self._stage.positions.append(inner.positions(out))

    def each(self, source: Value, target: Value, positions: int, lower: Inner) -> None:
        """Append what ``lower`` makes of a position of a frame, for each of its ``positions``: each has a state of
        its own."""
        inner = Lowering(self.weights, Staging())
        x = inner.value(Wire(source.region.size // positions))
        program = inner.compiled(x, [lower(inner, [x])]).program
        several = Several(program, positions)
        initial = np.tile(program.initial, positions) if program.initial is not None else 0.0
        self.add(
            "each", source, target, positions=len(self._stage.positions), kept=several.state_size,
            state_h=self.state(several.state_size, initial),
        )  # fmt: skip
        self._stage.positions.append(several)

    @property
    def _stage(self) -> Stage:
        while len(self._stages) <= self._now:
            self._stages.append(Stage(self._apart))
        return self._stages[self._now]

    # --- inside -----------------------------------------------------------------------------------------------------

    def _window(self, source: Value, framing: Framing) -> Value:
        """A causal window: an operation that keeps earlier frames in the stream's state."""
        key = (source, framing)
        if key not in self._linked:
            size = source.region.size
            target = self._linked[key] = self.value(Wire(framing.taps * size))
            self.add(
                "window", source, target, W=self.values(np.array([framing.pad], np.float32)), taps=framing.taps,
                dilation=framing.dilation, history=self.state(framing.span * padded(size)), kept=framing.span,
                count=self.state(1),
            )  # fmt: skip
        return self._linked[key]

    def _link(self, source: Value, framing: Framing) -> Value:
        """What a link brings to the stage."""
        key = (self._now, source, framing)
        if key not in self._linked:
            stage, size = self._stage, source.region.size // framing.times * framing.taps
            wire = source.wire if framing == SAME else Wire(size)
            given = None if self._given is None else Value(wire, Region(stage.given, size), self._now)
            value = given or self.value(wire)
            stage.given += size
            self._drafts.append(Draft(source.stage, source.region, self._now, framing, value.region.offset))
            self._linked[key] = value
        return self._linked[key]

    # --- the result -------------------------------------------------------------------------------------------------

    def compiled(self, frames: Value, outputs: Sequence[Value]) -> Compiled:
        """What was built, with the value that a frame of the front end is written to and those that are read."""
        outputs = self.in_step(outputs)
        last = self._now
        regions = [value.region for value in outputs]
        if not last:
            return Compiled(self._program(0, frames.region, regions), None)
        programs, drafts = self._programs(range(last), self._drafts, frames.region)
        top = self._program(last, Region(0, self._stages[last].given), regions)
        return Compiled(top, linked(programs, drafts, self._staging, self._stages[last].given))

    def _programs(
        self, numbers: range, drafts: Sequence[Draft], frames: Region | None = None
    ) -> tuple[list[Program], list[Draft]]:
        """Those of the stages of these numbers, and the ``drafts`` with the regions where those programs have what is
        read; ``frames``: where stage 0 is given them."""
        programs, places = list[Program](), dict[tuple[int, Region], Region]()
        for number in numbers:
            given = frames if frames and not number else Region(0, self._stages[number].given)
            read = [draft.region for draft in drafts if draft.source == number] or [given]
            programs.append(self._program(number, given, read))
            places |= {(number, region): place for region, place in zip(read, programs[-1].outputs, strict=True)}
        return programs, [dataclasses.replace(d, region=places.get((d.source, d.region), d.region)) for d in drafts]

    def _program(self, number: int, given: Region, outputs: Sequence[Region]) -> Program:
        return self._stages[number].program(given, outputs, self._memory_size, self._starts)


class _Within(Lowering):
    """Lowers a layer over the positions of a frame. Stage 0 is the frame; all that re-frames is a link, causal or
    not, as all positions are there at once."""

    def __init__(
        self,
        weights: Weights,
        channels: Sequence[int],
        positions: int,
        framings: Sequence[Framing],
        given: Sequence[int] | None,
    ) -> None:
        """As `Lowering.within`; ``given`` as for any."""
        super().__init__(weights, Staging(), given)
        starts = [positions * sum(channels[:number]) for number in range(len(channels))]
        self._frame = [
            Value(Wire(size), Region(start, size), 0) for start, size in zip(starts, channels, strict=True)
        ]
        self._counts = [positions]
        """Positions of each stage."""
        self.inputs = self._frame
        """The first position of each; for a layer that does not begin with a window, in a stage that it can read."""
        if not framings or framings[0] == SAME:
            self._now = 1
            self.inputs = [self._link(value, SAME) for value in self._frame]
            self._counts.append(positions)
        for framing in framings:
            if framing != SAME:
                self._counts.append(int(framing.length(np.int64(self._counts[-1]))))

    def window(self, source: Value, framing: Framing) -> Value:
        """As `Lowering.window`, always by a link."""
        if framing == SAME:
            return source
        self._now = source.stage + 1
        return self._link(source, framing)

    def multiplies(self, name: str, value: Value) -> None:
        """Nothing is quantized within frames."""

    def early(self, source: Value) -> int:
        """None: all positions are there at once."""
        return 0

    def positions(self, out: Value) -> Positions:
        """What was built, with the value that goes out. A last stage that only passes on what a link brings is left
        out: the link goes right into the frame."""
        last, result = out.stage, Draft(out.stage, out.region, 0, SAME, 0)
        for draft in self._drafts:
            whole = draft.target == last and Region(draft.offset, draft.size) == out.region
            if whole and not self._stages[last].operations:
                last, result = last - 1, dataclasses.replace(draft, target=0, offset=0)
        drafts = sorted(self._drafts, key=lambda draft: (draft.target, draft.offset))
        drafts = [*(draft for draft in drafts if draft.target <= last), result]
        programs, drafts = self._programs(range(1, last + 1), drafts)
        count, size = self._counts[out.stage], out.region.size
        return Positions(
            programs=tuple(programs),
            counts=tuple(self._counts[1 : last + 1]),
            links=tuple(self._placed(draft, size) for draft in drafts),
            positions=self._counts[0],
            output_positions=count,
            frame_size=self._counts[0] * sum(value.region.size for value in self._frame),
            output_size=count * size,
        )

    def _placed(self, draft: Draft, output: int) -> Link:
        """A link to or from frames too, whose positions lie next to each other; ``output``: values of one that goes
        out."""
        f, region = draft.framing, draft.region
        inputs = [value.region for value in self._frame if value.region.offset <= region.offset]
        return Link(
            draft.source, draft.target, region.offset, region.size // f.times, inputs[-1].size, draft.offset,
            output, f.taps, f.stride, f.dilation, f.left, f.times, f.skip, f.pad,
        )  # fmt: skip
