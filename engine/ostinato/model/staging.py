"""Which nodes run in step, how many frames each makes, and how far ahead each must look: all derived from the graph.

A *stage* is a set of nodes that have the same frames. A node is in the stage of what it reads, unless it re-frames
(`framing`), or reads nodes of different stages: then the earlier ones' frames wait for the latest.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.errors import BadModelFileError
from ostinato.model.framing import Framing

Ints = npt.NDArray[np.int64]
SAME = Framing()
LONGEST = 1 << 20
"""Input frames over which all windows and strides together may reach."""
MOST_COUNTS = 1 << 24
"""Stages times input frames over which they reach: what is counted of a graph, 128 MiB of numbers."""
FASTEST = 4096
"""Frames that may be made of one input frame."""


@dataclass(frozen=True)
class Stage:
    """``sources``: the stages whose frames it reads, and how; none for the front end's. ``rate``: frames per input
    frame. ``node``: the one that made it a stage of its own."""

    sources: tuple[tuple[int, Framing], ...]
    rate: Fraction
    node: str


@dataclass
class Staging:
    """The stages of a graph, each behind those that it reads, and the stage of each node."""

    stages: list[Stage] = field(default_factory=lambda: [Stage((), Fraction(1), "")])
    of: dict[str, int] = field(default_factory=dict)
    _numbers: dict[Any, int] = field(default_factory=dict)
    _delays: list[int] = field(default_factory=list)

    def after(self, stage: int, framing: Framing, node: str) -> int:
        """The stage of what ``framing`` makes of a stage's frames."""
        if framing.causal:
            return stage
        f = framing
        key = (stage, f.stride, f.times, f.left - f.span, f.left + f.right - f.span, f.skip, f.trim, f.hold)
        return self._number(key, Stage(((stage, f),), self.stages[stage].rate * f.rate, node))

    def joined(self, stages: Sequence[int], node: str, names: Sequence[str] = ()) -> int:
        """The stage in which frames of several are there: of nodes of these ``names``. Raises BadModelFileError if
        their rates differ."""
        distinct = sorted(set(stages))
        if len(distinct) == 1:
            return distinct[0]
        rates = {self.stages[stage].rate for stage in distinct}
        if len(rates) > 1:
            named = [f"{name!r} has {self.stages[stage].rate}" for name, stage in zip(names, stages, strict=True)]
            raise BadModelFileError(
                f"joins nodes of different rates, in frames per input frame: {', '.join(named)}: re-frame one of "
                "them first"
            )
        return self._number(tuple(distinct), Stage(tuple((stage, SAME) for stage in distinct), rates.pop(), node))

    def _number(self, key: Any, stage: Stage) -> int:
        if key not in self._numbers:
            if stage.rate > FASTEST:
                raise BadModelFileError(
                    f"makes, with what is below it, {stage.rate} frames of an input frame: at most {FASTEST} may be"
                )
            self._numbers[key] = len(self.stages)
            self.stages.append(stage)
            most = min(LONGEST, MOST_COUNTS // len(self.stages))
            if self.reach() > most:
                raise BadModelFileError(
                    f"looks, with what is below it, over more than {most} input frames in {len(self.stages)} stages: "
                    "use smaller windows, or fewer layers that re-frame"
                )
        return self._numbers[key]

    def reach(self) -> int:
        """Input frames after which everything repeats, and that no window reaches beyond."""
        period = math.lcm(*(stage.rate.denominator for stage in self.stages))
        widths = sum(
            math.ceil((f.span + abs(f.left) + abs(f.right) + f.stride) / self.stages[source].rate)
            for stage in self.stages for source, f in stage.sources
        )  # fmt: skip
        return 2 * period + 2 * widths + 8

    def made(self, frames: Ints) -> list[Ints]:
        """How many frames each stage has once there are ``frames`` input frames; the utterance goes on."""
        return self._counts(frames, lambda framing: framing.made)

    def length(self, frames: Ints) -> list[Ints]:
        """How many frames each stage has of an utterance of so many input frames."""
        return self._counts(frames, lambda framing: framing.length)

    def _counts(self, frames: Ints, rule: Callable[[Framing], Callable[[Ints], Ints]]) -> list[Ints]:
        counts: list[Ints] = []
        for stage in self.stages:
            have = [rule(framing)(counts[source]) for source, framing in stage.sources]
            counts.append(np.where(frames > 0, np.minimum.reduce(have), 0) if have else frames)
        return counts

    def most_made(self) -> tuple[list[int], list[int]]:
        """How many frames of each stage one more input frame makes at most, and how many the utterance's end."""
        frames = np.arange(self.reach())
        made, length = self.made(frames), self.length(frames)
        ended = [int((end - so_far).max()) for end, so_far in zip(length, made, strict=True)]
        return [int(np.diff(so_far).max()) for so_far in made], ended

    def delay(self, stage: int) -> int:
        """How many input frames beyond its own place a stage's frame needs at most."""
        return self.delays()[stage]

    def delays(self) -> list[int]:
        """`delay` of all stages. Frame n of a stage of rate r stands at the end of (n + 1) / r input frames."""
        if len(self._delays) != len(self.stages):
            needed = np.arange(1, self.reach())  # input frames, of which the last is the first that makes …
            self._delays.clear()
            for stage, made in zip(self.stages, self.made(np.arange(self.reach())), strict=True):
                new = made[1:] > made[:-1]
                first, rate = made[:-1][new] + 1, stage.rate  # … this one, counted from 1, and perhaps more
                late = needed[new] * rate.numerator - first * rate.denominator
                self._delays.append(max(0, -(-int(late.max(initial=0)) // rate.numerator)))
        return self._delays

    def cause(self, stage: int) -> str:
        """The node that adds most to a stage's delay; empty if there is none."""
        delays = self.delays()
        chain, worst, name = stage, 0, ""
        while self.stages[chain].sources:
            source = max((source for source, _ in self.stages[chain].sources), key=delays.__getitem__)
            added = delays[chain] - delays[source]
            if added > worst:
                worst, name = added, self.stages[chain].node
            chain = source
        return name
