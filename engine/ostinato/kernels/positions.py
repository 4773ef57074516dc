"""Programs over the positions of each frame, and what stands between them: what an operation "within" runs.

    frame [positions, channels] ─> links ─> program 1 ─> links ─> … ─> link ─> frame [positions', channels']

A frame's positions are to these programs what a stream's frames are to others (`kernels.stages`), but all of them are
there at once, so that their numbers are fixed, nothing is kept, and every frame begins from `Program.initial`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ostinato.kernels.operations import Region
from ostinato.kernels.operations import record as i
from ostinato.kernels.program import Program
from ostinato.kernels.regions import covered, inside
from ostinato.lanes import LANES, padded

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

ROOM = 1 << 17
"""float32 values that the rows of a block of frames should fit into: half of a usual L2 cache."""


class Link(NamedTuple):
    """How stage ``target`` gets ``size`` values a tap out of those at ``offset`` of stage ``source``: 0 is the frame,
    as the input where it is a source, as the output where it is the target; from 1 on they are the programs.
    ``source_step`` and ``target_step``: from one position of the frame to the next. Those from ``taps`` on are as
    `model.framing.Framing` has them."""

    source: int
    target: int
    offset: int
    size: int
    source_step: int
    target_offset: int
    target_step: int
    taps: int
    stride: int
    dilation: int
    left: int
    times: int
    skip: int
    pad: float

    @property
    def takes(self) -> Region:
        """What it reads of a position."""
        return Region(self.offset, self.times * self.size)

    @property
    def gives(self) -> Region:
        """What it writes for a position."""
        return Region(self.target_offset, self.taps * self.size)

    def first(self, position: int) -> int:
        """The first source position that is taken for a target position."""
        if self.times > 1:
            return (position + self.skip) // self.times
        return position * self.stride - self.left


@dataclass(frozen=True, eq=False)
class Positions:
    """``programs`` in the order of computing, and of each the ``counts`` of its positions; so many positions come in
    with the frame, and go out. ``frame_size`` and ``output_size``: values of a frame before and after.

    Raises ValueError if a link could reach outside what it reads or writes.
    """

    programs: tuple[Program, ...]
    counts: tuple[int, ...]
    links: tuple[Link, ...]
    positions: int
    output_positions: int
    frame_size: int
    output_size: int
    pads: Floats = field(init=False)
    """Each link's value of padding, where the plan finds it."""
    block: int = field(init=False)
    """Frames at a time."""
    plan: Ints = field(init=False)
    """As `operations.within` has it."""
    room: int = field(init=False)
    """float32 values that a call needs."""
    gate_size: int = field(init=False)
    byte_size: int = field(init=False)

    @property
    def state_size(self) -> int:
        """None: each frame begins anew."""
        return 0

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        self.check()
        set_(self, "pads", np.array([link.pad for link in self.links], np.float32))
        set_(self, "gate_size", max((program.gate_size for program in self.programs), default=0))
        set_(self, "byte_size", max((program.byte_size for program in self.programs), default=0))
        each = sum(
            program.row_size * count + program.state_size
            for program, count in zip(self.programs, self.counts, strict=True)
        )
        set_(self, "block", max(1, min(i.BLOCK_ROWS, ROOM // max(1, each))))
        plan, room = self._plan()
        plan.flags.writeable = False
        set_(self, "plan", plan)
        set_(self, "room", room)

    def check(self) -> None:
        """Prove once what running relies on, as `Program.check` does: raises ValueError naming the link."""
        last, counts = len(self.programs), (self.positions, *self.counts)
        if len(self.counts) != last or min(*counts, self.output_positions) < 1:
            raise ValueError(f"there are {counts} positions for {last} programs")
        for number, program in enumerate(self.programs):
            if program.row_size % LANES or program.state_size % LANES or program.positions:
                raise ValueError(
                    f"program {number + 1} has rows or states that are no whole vectors, or programs too"
                )
        brought: dict[int, list[Region]] = {stage: [] for stage in range(last + 1)}
        for number, link in enumerate(self.links):
            who = f"link {number}"
            if not 0 <= link.source <= last or not 0 <= link.target <= last or 0 < link.target <= link.source:
                raise ValueError(f"{who} goes from {link.source} to {link.target}: there are {last} programs")
            numbers = link.size, link.taps, link.stride, link.dilation, link.times
            if min(numbers) < 1 or min(link.taps, link.times) > 1:
                raise ValueError(f"{who} takes {link.taps} of {link.times} parts")
            count = counts[link.target] if link.target else self.output_positions
            self._check_source(link, who, counts[link.source], count)
            self._check_target(link, who, count)
            if any(link.gives.offset < before.offset + before.size for before in brought[link.target]):
                raise ValueError(f"{who} writes {link.gives}, which does not lie behind what others before it write")
            brought[link.target].append(link.gives)
        for number, program in enumerate(self.programs):
            if not covered(program.input, brought[number + 1]):
                raise ValueError(f"no link writes all of the input of program {number + 1}")
        if [region.size * self.output_positions for region in brought[0]] != [self.output_size]:
            raise ValueError(f"not one link writes all of the {self.output_size} values of a frame")

    def _check_source(self, link: Link, who: str, there: int, wanted: int) -> None:
        """``there``: positions of its source; ``wanted``: of its target."""
        source = link.takes
        if link.source:
            below = self.programs[link.source - 1]
            inside(source, below.row_size - LANES + 1, f"{who} reads", "its row")
            if not covered(source, below.outputs):
                raise ValueError(f"{who} reads {source}, which is no output of program {link.source}")
        elif link.source_step < 0:
            raise ValueError(f"{who} reads positions that lie {link.source_step} apart")
        else:
            end = (self.positions - 1) * link.source_step + source.size
            inside(Region(source.offset, end), self.frame_size, f"{who} reads", "its frame")
        if link.times > 1 and (link.skip < 0 or link.first(wanted - 1) >= there):
            raise ValueError(f"{who} reads position {link.first(wanted - 1)} of {there}")

    def _check_target(self, link: Link, who: str, count: int) -> None:
        target = link.gives
        if link.target:
            above = self.programs[link.target - 1]
            inside(target, above.row_size - LANES + 1, f"{who} writes", "its row")
        elif link.target_step < target.size:
            raise ValueError(f"{who} writes positions that overlap")
        else:
            end = (count - 1) * link.target_step + target.size
            inside(Region(target.offset, end), self.output_size, f"{who} writes", "its frame")

    def _plan(self) -> tuple[Ints, int]:
        """The plan, and how many values of room it lays out."""
        room = 0

        def place(values: int) -> int:
            nonlocal room
            at, room = room, room + padded(values)
            return 4 * at

        counts = (self.positions, *self.counts)
        header = [self.block, len(self.programs), len(self.links), place(2 * i.CALL_FIELDS), place(2 * self.block)]
        header.append(place(2 * max(counts)))
        records: list[int] = []
        for program, count in zip(self.programs, self.counts, strict=True):
            assert program.initial is not None  # once it is made
            records += [
                program.operations.ctypes.data, len(program.operations), program.weights.ctypes.data,
                4 * program.row_size, 4 * program.state_size, program.initial.ctypes.data, count,
                place(self.block * count * program.row_size), place(self.block * program.state_size),
            ]  # fmt: skip
        for number, link in enumerate(self.links):
            target = counts[link.target] if link.target else self.output_positions
            *numbers, _ = link
            records += [*numbers, self.pads.ctypes.data + 4 * number, counts[link.source], target]
        return np.array(header + records, np.int64), room
