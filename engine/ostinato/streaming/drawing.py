"""Streams that do nothing but go on with their own text: their tokens are drawn, and taken in as their next frames,
by one call of compiled code; of one stream by itself, several tokens in one."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from ostinato.kernels import generation, prepare
from ostinato.kernels.compiler import entry
from ostinato.kernels.likeliest import DIGITS
from ostinato.kernels.program import Program, Workspace
from ostinato.kernels.sampling import ABREAST, STEP
from ostinato.pipeline.sampling import how
from ostinato.streaming.frames import Float32
from ostinato.streaming.heads import Head
from ostinato.streaming.snapshot import Generating

MOST = 16
"""Tokens of one stream that are made ahead of being asked for."""
MOST_NS = 300_000
"""What making them may take, about."""
MOST_VALUES = 1 << 18
"""Outputs of all of them, 1 MiB."""


class Ticket:
    """What compiled code knows a stream by that goes on as ``going`` says: its slot, and the ``outputs`` of its last
    frame, which the next token is drawn from and those behind it replace. ``frames``: how many it had until then."""

    __slots__ = ("address", "frames", "going", "outputs", "values")

    def __init__(self, going: Generating, outputs: Float32, frames: int, slot: int) -> None:
        self.going = going
        self.outputs = outputs
        self.frames = frames
        row = how(going.sampling, len(outputs), frames - 1)
        self.values = np.array([*row, outputs.ctypes.data, slot], np.float64)
        self.address = int(self.values.ctypes.data)

    def of(self, state: Any) -> bool:
        """Whether it is about a decoder's state as that is now."""
        return state.outputs is self.outputs and state.frames == self.frames

    def next(self) -> None:
        """Another frame was taken in, whose outputs are there."""
        self.values[STEP] += 1


class Ahead:
    """Tokens of one stream that are made before they are told, and what was behind each: the first ``count`` of
    ``tokens``, their ``chances``, ``states`` and ``outputs``."""

    def __init__(self, program: Program, size: int) -> None:
        most = max(1, min(MOST, MOST_VALUES // size))
        self.most = most
        self.count = 0
        self.tokens = np.empty(most, np.int64)
        self.chances = np.empty(most)
        self.states = program.new_states(most)
        self.outputs = np.empty((most, size), np.float32)


class Drawing:
    """What lets the streams of one ``head`` go on with their texts, whose states are rows of ``states``. One call at
    a time: a lock makes others wait."""

    def __init__(self, program: Program, states: Float32, head: Head) -> None:
        prepare(generation.step, generation.ahead)
        self._step, self._ahead = entry(generation.step), entry(generation.ahead)
        self._program, self._states, self._size = program, states, head.region.size
        self._places = head.probabilities, program.input.offset, head.region.offset, head.region.size
        self._workspace, self._lock, self._room = Workspace(), threading.Lock(), 0
        self._weights = np.empty((ABREAST + 1, self._size))
        self._order = np.empty(3 * self._size + DIGITS, np.int64)
        self._sizes = np.zeros(1, np.int64)
        self._alone = program.new_states(1)
        self._ns = float(MOST_NS)  # that a token takes
        self._reserve(1)

    def _reserve(self, count: int) -> None:
        """Room for so many streams."""
        self._room = count
        self._workspace.prepare(self._program, count)
        self._rows = self._program.new_rows(count)
        self._slots, self._table, self._tokens, self._finite = np.zeros((4, count), np.int64)
        self._hows, self._chances = np.empty((count, generation.OUTPUTS)), np.empty(count)

    def step(self, tickets: Sequence[Ticket]) -> tuple[list[int], list[float], list[int]]:
        """A token of each stream, and the probability that the model gives it; both are taken in. Whether the outputs
        behind it are finite: where they are not, the stream's last ones are left as they were."""
        count = len(tickets)
        with self._lock:
            if count > self._room:
                self._reserve(count)
            tokens, chances, finite = self._tokens, self._chances, self._finite
            code = self._step(
                self._workspace.address, count, np.array([ticket.address for ticket in tickets], np.int64),
                *self._places, self._states, self._slots, self._sizes, self._rows, self._hows, self._weights,
                self._order, self._table, tokens, chances, finite,
            )  # fmt: skip
            if code:
                raise ValueError("a stream that is to go on has no slot among the states")
            return tokens[:count].tolist(), chances[:count].tolist(), finite[:count].tolist()

    def ahead(self, ticket: Ticket, state: Float32, most: int, end: int | None, run: Ahead) -> None:
        """At most ``most`` tokens of one stream, and no more than take a moment, up to ``end``: they are put into
        ``run``, and nothing of the stream is changed. None of a token behind which outputs are not finite."""
        most = max(1, min(most, run.most, int(MOST_NS / self._ns)))
        with self._lock:
            self._alone[0] = state
            begun = time.perf_counter_ns()
            run.count = self._ahead(
                self._workspace.address, most, -1 if end is None else end, ticket.values, *self._places, self._alone,
                self._slots, self._sizes, self._rows, self._hows, self._weights, self._order, self._table, run.tokens,
                run.chances, run.states, run.outputs,
            )  # fmt: skip
            self._ns = (time.perf_counter_ns() - begun) / max(run.count, 1)
