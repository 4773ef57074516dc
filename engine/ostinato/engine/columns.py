"""Sessions of causal streams that do nothing but push, in columns: their numbers and credit are rows of a table, so
that the pushes of one message are taken, and answered, by a call.

A session is *held* by the columns, and its own numbers are stale, from `Columns.enter` to `Columns.leave`. It enters
after a turn that left it with nothing else to do. Whatever is then asked of it alone makes it leave before: `Engine`
sees to that, so that nobody else needs to know. Its pushes wait in `ColumnGroup`s.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
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
"""Streams that are worth it: fewer are quicker one by one."""


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

    @property
    def frames(self) -> int:
        """About how many it makes."""
        return int(self.units.sum() / self.sessions[0].units_per_frame) + 1 if self.sessions else 0

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
        first = count if frames <= most else min(count, max(FEWEST, count * most // frames))
        own, sizes = int(self.units[:first].sum()), np.arange(count)
        taken = ColumnGroup(
            self.columns, self.arrived_ns, self.sessions[:first], self.rows[:first], self.sequences[:first],
            self.units[:first], self.data[:own], self.part if first == count else self.part.only(sizes[:first]),
        )  # fmt: skip
        self.sessions, self.data = self.sessions[first:], self.data[own:]
        self.rows, self.sequences, self.units = self.rows[first:], self.sequences[first:], self.units[first:]
        self.part = self.part.only(sizes[first:])
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
        """Hold those of one model of which nothing is unusual, and no message waits. ``again``: they have just left,
        and what waits is in groups of columns."""
        if sessions[0].served not in self._models:
            return
        streams, first = self._models[sessions[0].served]
        for session in sessions:
            record = session.record
            busy = session.closed or session.row >= 0 or session.queue or (session.waits and not again)
            if busy or not streams.enter(record):
                continue
            session.row = row = first + record.slot
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
        rows = np.array([session.row if session is not None else -1 for session in sessions], np.int64)
        columns = rows, np.array(sequences, np.int64), np.array(units, np.int64)
        left: Sequence[int] = range(len(rows))
        others = rows
        while len(left) and others[at := int(others.argmax())] >= 0:
            session = sessions[at]
            assert session is not None
            served, first = session.served, self._models[session.served][1]
            last = first + served.model.max_streams
            if (block := checked(served.model, data)) is not None:
                taken = np.empty(len(rows), np.int64)
                longest = int((served.share - 1) * served.units_per_frame)
                found = kernels.line_up(self._table, first, last, *columns, longest, self._most, taken)
                if found:
                    served.line.append(self._group(sessions, columns, taken[:found], block, arrived_ns, label))
                    left = np.setdiff1d(left, taken[:found]).tolist() if found < len(rows) else ()
            if left:
                others = np.where((others >= first) & (others < last), -1, others)
        return left

    def _group(
        self,
        sessions: Sequence[Session | None],
        columns: tuple[Int64, Int64, Int64],
        taken: Int64,
        data: Any,
        arrived_ns: int,
        label: Any,
    ) -> ColumnGroup:
        """Those ``taken`` of a message's pushes."""
        rows, sequences, units = columns
        if len(taken) == len(rows):
            everybody, part = cast(list[Session], sessions), Part(label, None, len(rows))
            return ColumnGroup(self, arrived_ns, everybody, rows, sequences, units, data, part)
        ends = np.cumsum(units)
        numbers = taken.tolist()
        chosen = [cast(Session, sessions[i]) for i in numbers]
        own = np.concatenate([data[ends[i] - units[i] : ends[i]] for i in numbers])
        part = Part(label, taken, len(taken))
        return ColumnGroup(self, arrived_ns, chosen, rows[taken], sequences[taken], units[taken], own, part)

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
        how = np.zeros(count, np.int64)
        how[done.positions] = kernels.LEFT
        told = [i for i, events in done.told.items() if events]
        how[told] = kernels.TOLD
        sizes, out = [len(group.sessions) for group in groups], np.empty((kernels.ANSWERED, count), np.int64)
        waits = np.repeat([(started_ns - group.arrived_ns) / 1e6 for group in groups], sizes)
        numbers = done.sequences, done.units, done.counts, waits
        plain = kernels.answer(self._table, done.rows, *numbers, how, out)
        ms, computing_ms, parts = (
            out[: kernels.IN_MS].view(np.float64),
            took_ns / 1e6,
            [group.part for group in groups],
        )
        answers: list[Answer | Answers] = []
        for at, i in zip(range(count - len(told), count), sorted(told), strict=True):
            utterance_ms, waiting_ms = ms[:, at].tolist()
            sequence, processed, first, utterance, frames = out[kernels.IN_MS :, at].tolist()
            events = done.told[i]
            self._table[done.rows[i], kernels.EVENTS] += len(events)
            answers.append(
                Answer(
                    sessions[i].key, "push", sequence, processed, first, events, utterance, False, frames, waiting_ms,
                    computing_ms, utterance_ms=utterance_ms,
                )
            )  # fmt: skip
        if not plain:
            return answers
        if plain < count:
            first = 0
            for k, size in enumerate(sizes):
                parts[k] = parts[k].only(np.flatnonzero(how[first : first + size] == 0))
                first += size
            sessions = [session for session, apart in zip(sessions, how.tolist(), strict=True) if not apart]
        utterance_ms, waiting_ms = ms[:, :plain]
        sequence, processed, first, utterance, frames = out[kernels.IN_MS :, :plain]
        if any(part.label is None for part in parts):
            parts = []
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
