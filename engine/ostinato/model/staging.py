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

    def after(self, stage: int, framing: Framing, node: str) -> int:
        """The stage of what ``framing`` makes of a stage's frames."""
        if framing.causal:
            return stage
        f = framing
        key = (stage, f.stride, f.times, f.left - f.span, f.left + f.right - f.span, f.skip, f.trim, f.hold)
        return self._number(key, Stage(((stage, f),), self.stages[stage].rate * f.rate, node))

    def joined(self, stages: Sequence[int], node: str) -> int:
        """The stage in which frames of several are there. Raises BadModelFileError if their rates differ."""
        distinct = sorted(set(stages))
        if len(distinct) == 1:
            return distinct[0]
        rates = {self.stages[stage].rate for stage in distinct}
        if len(rates) > 1:
            named = " and ".join(f"{rate} frames per input frame" for rate in sorted(rates))
            raise BadModelFileError(f"joins nodes of different rates, {named}: re-frame one of them first")
        return self._number(tuple(distinct), Stage(tuple((stage, SAME) for stage in distinct), rates.pop(), node))

    def _number(self, key: Any, stage: Stage) -> int:
        if key not in self._numbers:
            self._numbers[key] = len(self.stages)
            self.stages.append(stage)
            if self.reach() > LONGEST:
                raise BadModelFileError(
                    f"looks, with what is below it, over more than {LONGEST} input frames: use smaller windows"
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

    def delay(self, stage: int) -> int:
        """How many input frames beyond its own place a stage's frame needs at most. Frame n of a stage of rate r
        stands at the end of (n + 1) / r input frames."""
        made = self.made(np.arange(self.reach()))[stage]
        rate, most = self.stages[stage].rate, 0
        for n in range(int(made[-1])):
            needed = int(np.searchsorted(made, n, side="right"))  # the first number of frames that makes frame n
            most = max(most, math.ceil(needed - (n + 1) / rate))
        return most

    def cause(self, stage: int) -> str:
        """The node that adds most to a stage's delay; empty if there is none."""
        chain, worst, name = stage, 0, ""
        while self.stages[chain].sources:
            source = max((source for source, _ in self.stages[chain].sources), key=self.delay)
            added = self.delay(chain) - self.delay(source)
            if added > worst:
                worst, name = added, self.stages[chain].node
            chain = source
        return name
