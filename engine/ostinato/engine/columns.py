"""Sessions of causal streams that do nothing but push, in columns: their numbers and credit are rows of a table, so
that the pushes of one message are taken, and answered, by a call.

A session is *held* by the columns, and its own numbers are stale, from `Columns.enter` to `Columns.leave`. It enters
after a turn that left it with nothing else to do. Whatever is then asked of it alone makes it leave before: `Engine`
sees to that, so that nobody else needs to know. Its pushes wait in `ColumnGroup`s.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from ostinato import streaming
from ostinato.engine.results import Answer, Answers, Part
from ostinato.engine.session import Message, ServedModel, Session
from ostinato.errors import InputError
from ostinato.events import Event
from ostinato.kernels import columns as kernels
from ostinato.kernels import prepare
from ostinato.streaming import Model

Int64 = npt.NDArray[np.int64]
FEWEST = 8
"""Streams that are worth a group: fewer are quicker one by one."""
MANY = 32
"""Pushes in a turn that let streams enter. A turn of columns costs a hundred calls, and is worth them from some 80
on; it is fewer, as streams that are held share no turn with others of the same messages: all or none is best."""


@dataclass(slots=True, eq=False)
class ColumnGroup:
    """Pushes of one message for streams that are held: sessions[i], of row rows[i], has message sequences[i], the
    next units[i] of checked ``data``. ``part`` tells their sender which they are."""

    columns: Columns
    arrived_ns: int
    sessions: list[Session]
    rows: Int64
    sequences: Int64
    units: Int64
    data: Any
    part: Part
    frames: int
    """About how many it makes."""

    @property
    def due(self) -> bool:
        """Whether its pushes are the next messages of their streams, all held."""
        return self.columns.due(self)

    def fits(self, other: ColumnGroup) -> bool:
        """Whether both can be computed in one call."""
        return bool(self.data.dtype == other.data.dtype)

    def split(self, most: int) -> ColumnGroup:
        """Its first streams, with about ``most`` frames, as a group that stands in no line; it keeps the others."""
        frames, count = self.frames, len(self.sessions)
        if frames <= most or count <= FEWEST:
            whole = replace(self)
            self.sessions = []
            return whole
        first = min(count, max(FEWEST, count * most // frames))
        own, places = int(self.units[:first].sum()), range(count)
        taken = replace(
            self,
            sessions=self.sessions[:first],
            rows=self.rows[:first],
            sequences=self.sequences[:first],
            units=self.units[:first],
            data=self.data[:own],
            part=self.part.only(places[:first]),
            frames=-(-frames * first // count),
        )
        self.sessions, self.data = self.sessions[first:], self.data[own:]
        self.rows, self.sequences, self.units = self.rows[first:], self.sequences[first:], self.units[first:]
        self.part, self.frames = self.part.only(places[first:]), frames - taken.frames
        return taken

    def scatter(self) -> None:
        """Put each push into its own stream's queue, and each stream in line; none of them is held any more, and the
        group is empty."""
        if not (sessions := self.sessions):
            return
        self.sessions = []
        ends = np.cumsum(self.units).tolist()
        numbers = zip(sessions, self.sequences.tolist(), self.units.tolist(), ends, strict=True)
        for session, sequence, units, end in numbers:
            self.columns.leave(session)
            part = self.data[end - units : end].copy()
            session.queue.append(Message("push", sequence, self.arrived_ns, part, units))
            session.served.enter(session)


class Left(NamedTuple):
    """A session that has left the columns: its message heads its queue, and this was computed of that."""

    session: Session
    events: list[Event]
    frames: int


class Computed(NamedTuple):
    """What a turn has computed of groups: columns of all their pushes, the events of those that decided something, by
    position, and what is ``left`` to be answered singly, at these ``positions``."""

    groups: Sequence[ColumnGroup]
    sessions: list[Session]
    rows: Int64
    sequences: Int64
    units: Int64
    counts: Int64
    told: dict[int, list[Event]]
    left: list[Left]
    positions: list[int]


class Columns:
    """The rows of an engine's sessions: those of a model one after the other, by their streams' slots."""

    def __init__(self, served: Collection[ServedModel], most: int) -> None:
        """``most`` messages of a stream may wait."""
        self._most = most
        self._held: Counter[ServedModel] = Counter()
        self._models: dict[ServedModel, tuple[streaming.Columns, int]] = {}
        """Those whose streams can be held, and where their rows begin."""
        count = 0
        for each in served:
            if each.causal and streaming.Columns.fit(each.model):
                self._models[each] = streaming.Columns(each.model), count
                count += each.model.max_streams
        if self._models:
            prepare(kernels.line_up, kernels.due, kernels.answer)
        self._table = np.zeros((count, kernels.LINED), np.int64)
        self._utterance_ms = self._table.view(np.float64)[:, kernels.UTTERANCE_MS]

    def enter(self, sessions: Sequence[Session], *, again: bool = False) -> None:
        """Hold those of one model of which nothing is unusual, and no message waits, if it is worth it. ``again``:
        they have just left, and what waits is in groups of columns.

        Where many are held already, a few that are not would make a turn of their own out of each message."""
        served = sessions[0].served
        if served not in self._models or self._held[served] + len(sessions) < MANY:
            return
        streams, first = self._models[served]
        for session in sessions:
            record = session.record
            busy = session.closed or session.row >= 0 or session.queue or (session.waits and not again)
            if busy or not streams.enter(record):
                continue
            session.row = row = first + record.slot
            self._held[served] += 1
            self._table[row] = (
                1, session.expected, session.done, session.waiting, session.credit, session.processed, session.events,
                record.utterance, 0,
            )  # fmt: skip
            self._utterance_ms[row] = record.utterance_ms

    def leave(self, session: Session) -> None:
        """Bring a session that is held up to date, and its stream; nothing if it is not."""
        if session.row >= 0:
            self._models[session.served][0].leave(session.record)
            self._let_go(session)

    def _let_go(self, session: Session) -> None:
        row = self._table[session.row]
        _, session.expected, session.done, session.waiting, _, session.processed, *_ = row.tolist()
        row[kernels.HELD], session.row = 0, -1
        self._held[session.served] -= 1

    def line_up(
        self,
        sessions: Sequence[Session | None],
        sequences: Sequence[int],
        units: Sequence[int],
        data: Any,
        arrived_ns: int,
        label: Any,
    ) -> Sequence[int]:
        """Let the messages of sessions that are held stand in line, a group for each model, if nothing is unusual
        about them: see `Engine.push_many`. Which are left."""
        places = [-1 if session is None else session.row for session in sessions]
        left: Sequence[int] = range(len(places))
        if not places or max(places) < 0:
            return left
        columns = np.array((places, sequences, units), np.int64)
        others = columns[0]
        while len(left) and others[at := int(others.argmax())] >= 0:
            session = sessions[at]
            assert session is not None
            served, first = session.served, self._models[session.served][1]
            last = first + served.model.max_streams
            if (block := checked(served.model, data)) is not None:
                taken = np.empty(len(places), np.int64)
                longest = int((served.share - 1) * served.units_per_frame)
                found = kernels.line_up(self._table, first, last, *columns, longest, self._most, taken)
                if found:
                    served.line.append(self._group(sessions, columns, taken[:found], block, arrived_ns, label))
                    left = np.setdiff1d(left, taken[:found]).tolist() if found < len(places) else ()
            if left:
                others = np.where((others >= first) & (others < last), -1, others)
        return left

    def _group(
        self,
        sessions: Sequence[Session | None],
        columns: Int64,
        taken: Int64,
        data: Any,
        arrived_ns: int,
        label: Any,
    ) -> ColumnGroup:
        """Those ``taken`` of a message's pushes, whose rows, numbers and units are ``columns`` [3, any]."""
        served, chosen = cast(Session, sessions[taken[0]]).served, cast(list[Session], sessions)
        part = Part(label, None, len(taken))
        if len(taken) < len(sessions):
            ends, numbers = np.cumsum(columns[2]), taken.tolist()
            chosen, part = [chosen[i] for i in numbers], Part(label, numbers, len(taken))
            data = np.concatenate([data[ends[i] - columns[2, i] : ends[i]] for i in numbers])
            columns = np.ascontiguousarray(columns[:, taken])
        frames = int(len(data) / served.units_per_frame) + 1
        rows, sequences, units = columns
        return ColumnGroup(self, arrived_ns, chosen, rows, sequences, units, data, part, frames)

    def due(self, group: ColumnGroup) -> bool:
        """See `ColumnGroup.due`."""
        return bool(kernels.due(self._table, group.rows, group.sequences))

    def compute(self, groups: Sequence[ColumnGroup]) -> Computed:
        """Compute groups of one model, which are due and fit each other."""
        sessions = [session for group in groups for session in group.sessions]
        rows = _joined([group.rows for group in groups])
        sequences, units = _joined([group.sequences for group in groups]), _joined([group.units for group in groups])
        served = sessions[0].served
        streams, first = self._models[served]
        data = [group.data for group in groups]
        done = streams.push(lambda i: sessions[i].record, rows - first, data, units, served.share)
        left = []
        if done.left:
            arrived = np.repeat([group.arrived_ns for group in groups], [len(group.sessions) for group in groups])
            for i, events in done.left.items():
                session = sessions[i]
                self._let_go(session)
                session.queue.append(Message("push", int(sequences[i]), int(arrived[i]), units=int(units[i])))
                left.append(Left(session, events, int(done.counts[i])))
        return Computed(groups, sessions, rows, sequences, units, done.counts, done.told, left, list(done.left))

    def answers(self, done: Computed, started_ns: int, took_ns: int) -> list[Answer | Answers]:
        """Of those that are held still, whose messages are done with."""
        groups, sessions, count = done.groups, done.sessions, len(done.rows)
        events = np.zeros(count, np.int64)
        for i, decided in done.told.items():
            events[i] = len(decided)
        events[done.positions] = kernels.LEFT
        sizes, out = [len(group.sessions) for group in groups], np.empty((count, kernels.ANSWERED), np.int64)
        waits = np.repeat([(started_ns - group.arrived_ns) / 1e6 for group in groups], sizes)
        plain = kernels.answer(self._table, done.rows, done.sequences, done.units, done.counts, waits, events, out)
        in_ms, computing_ms = out.view(np.float64)[:, : kernels.IN_MS], took_ns / 1e6
        answers: list[Answer | Answers] = []
        if plain < count:
            told = sorted(i for i, decided in done.told.items() if decided)
            last = slice(count - len(told), count)
            for i, numbers, times in zip(told, out[last].tolist(), in_ms[last].tolist(), strict=True):
                _, _, sequence, processed, first, utterance, frames = numbers
                answers.append(
                    Answer(
                        sessions[i].key,
                        "push",
                        sequence,
                        processed,
                        first,
                        done.told[i],
                        utterance,
                        False,
                        frames,
                        times[1],
                        computing_ms,
                        utterance_ms=times[0],
                    )
                )
        if not plain:
            return answers
        parts = [] if any(group.part.label is None for group in groups) else [group.part for group in groups]
        if plain < count:
            apart = set(told).union(done.positions)
            places = [i for i in range(count) if i not in apart]
            sessions = [sessions[i] for i in places]
            first = 0
            for k, part in enumerate(parts):
                last_one = first + part.size
                parts[k] = part.only([i - first for i in places if first <= i < last_one])
                first = last_one
        utterance_ms, waiting_ms = in_ms[:plain].T
        sequence, processed, first, utterance, frames = out[:plain, kernels.IN_MS :].T
        keys = [session.key for session in sessions]
        columns = keys, sequence, processed, first, utterance, utterance_ms, frames, waiting_ms
        return [*answers, Answers(*columns, computing_ms, parts)]


def _joined(columns: Sequence[Int64]) -> Int64:
    return columns[0] if len(columns) == 1 else np.concatenate(columns)


def checked(model: Model, data: Any) -> Any:
    """Input of several streams as the front end of one takes it; None if it does not, or not piece by piece."""
    try:
        found = model.front_end.check(data)
    except InputError:
        return None
    return found if len(found) == len(data) else None
