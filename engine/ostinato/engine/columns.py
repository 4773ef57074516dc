"""Sessions of causal streams that do nothing but push, in columns: their numbers and credit are rows of a table, so
that the pushes of one message are taken, and answered, by a call.

A session is *held* by the columns, and its own numbers are stale, from `Columns.enter` to `Columns.leave`. It enters
as a message comes that has pushes of several, if it has nothing else to do. Whatever is then asked of it alone makes
it leave before: `Engine` sees to that, so that nobody else needs to know. Its pushes wait in `ColumnGroup`s.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from ostinato import streaming
from ostinato.engine.limits import Limits
from ostinato.engine.results import Answers
from ostinato.engine.session import Message, ServedModel, Session
from ostinato.errors import InputError
from ostinato.events import Event
from ostinato.kernels import columns as kernels
from ostinato.kernels.compiler import entry, prepare
from ostinato.streaming import Model

Int64 = npt.NDArray[np.int64]
FEWEST = 2
"""Streams that are worth a group: one is quicker by itself."""
MANY = 2
"""Pushes of a message that let streams enter; one, too, if others are held already: streams that are held share no
turn with others of the same messages, so all or none is best."""


@dataclass(slots=True, eq=False)
class ColumnGroup:
    """Pushes of one message for streams of one model that are held: ``pushes`` int64 [3, n] are the streams' rows,
    the messages' numbers, and how many units each has of checked ``data``."""

    columns: Columns
    arrived_ns: int
    pushes: Int64
    data: Any
    frames: int
    """About how many it makes."""

    @property
    def due(self) -> bool:
        """Whether its pushes are the next messages of their streams, all held."""
        return self.columns.due(self)

    def fits(self, other: ColumnGroup) -> bool:
        """Whether both can be computed in one call."""
        return bool(self.data.dtype == other.data.dtype)

    def split(self, most: int) -> tuple[ColumnGroup, ColumnGroup | None]:
        """Its first streams, with about ``most`` frames, and the others, if there are some."""
        frames, count = self.frames, self.pushes.shape[1]
        first = count if frames <= most else min(count, max(FEWEST, count * most // frames))
        if first == count:
            return self, None
        own = int(self.pushes[2, :first].sum())
        taken = replace(
            self, pushes=self.pushes[:, :first].copy(), data=self.data[:own], frames=-(-frames * first // count)
        )
        left = max(1, frames - taken.frames)
        return taken, replace(self, pushes=self.pushes[:, first:].copy(), data=self.data[own:], frames=left)

    def scatter(self) -> None:
        """Put each push into its own stream's queue, and each stream in line; none of them is held any more, and the
        group is empty."""
        rows, sequences, units = self.pushes
        data, self.pushes = self.data, self.pushes[:, :0].copy()
        ends = np.cumsum(units).tolist()
        sessions = self.columns.sessions_of(rows)
        for session, sequence, length, end in zip(sessions, sequences.tolist(), units.tolist(), ends, strict=True):
            self.columns.leave(session)
            part = data[end - length : end].copy()
            session.queue.append(Message("push", sequence, self.arrived_ns, part, length))
            session.served.enter(session)


class Left(NamedTuple):
    """A session that has left the columns: its message heads its queue, and this was computed of that."""

    session: Session
    events: list[Event]
    frames: int


class Computed(NamedTuple):
    """What a turn has computed of groups: columns of all their pushes, or all are ``left`` to be answered singly."""

    groups: Sequence[ColumnGroup]
    pushes: Int64
    counts: Int64
    decisions: Int64
    left: list[Left]


class Columns:
    """The rows of an engine's sessions, and those that are held."""

    def __init__(self, served: Collection[ServedModel], limits: Limits) -> None:
        self._most = limits.inputs
        self.sessions: list[Session | None] = [None] * limits.max_streams
        self.keys: list[Any] = [None] * limits.max_streams
        """Both by their rows."""
        self._free = list(range(limits.max_streams))[::-1]
        self._held: Counter[ServedModel] = Counter()
        self._count = 0
        """All that are held."""
        fit = [each for each in served if each.causal and streaming.Columns.fit(each.model)]
        self._streams = {each: streaming.Columns(each.model) for each in fit}
        """Of the models whose streams can be held."""
        self._models = [None, *fit]
        self._numbers = {each: number for number, each in enumerate(fit, 1)}
        if fit:
            prepare(kernels.line_up)
            self._next_model, self._line_up = entry(kernels.next_model), entry(kernels.line_up)
            self._due, self._answer = entry(kernels.due), entry(kernels.answer)
        self._table = np.zeros((limits.max_streams, kernels.LINED), np.int64)
        self._utterance_ms = self._table.view(np.float64)[:, kernels.UTTERANCE_MS]

    # --- sessions ---------------------------------------------------------------------------------------------------

    def add(self, session: Session) -> None:
        """Give a session its row."""
        session.row = self._free.pop()
        self.sessions[session.row], self.keys[session.row] = session, session.key

    def remove(self, session: Session) -> None:
        """Its row is free."""
        self.leave(session)
        self.sessions[session.row] = self.keys[session.row] = None
        self._free.append(session.row)

    def sessions_of(self, rows: Int64) -> list[Session]:
        """Those of rows that have one."""
        return list(map(cast(list[Session], self.sessions).__getitem__, rows.tolist()))

    def admit(self, rows: Int64, which: Sequence[int]) -> bool:
        """Hold those of the streams of rows[i], for each of these i, for which no message waits: before theirs stands
        in line, so that who falls behind is held too. Whether some are held now that were not."""
        before, idle = self._count, dict[ServedModel, list[Session]]()
        for row in rows[which].tolist():
            session = self.sessions[row] if row >= 0 else None
            if session is not None and not session.held and not session.waits:
                idle.setdefault(session.served, []).append(session)
        for sessions in idle.values():
            self.enter(sessions)
        return self._count > before

    def enter(self, sessions: Sequence[Session]) -> None:
        """Hold those of one model of which nothing is unusual, if it is worth it. Messages that wait for them must be
        in groups of columns."""
        served = sessions[0].served
        if served not in self._streams or self._held[served] + len(sessions) < MANY:
            return
        streams, number = self._streams[served], self._numbers[served]
        for session in sessions:
            record = session.record
            if session.closed or session.held or session.queue:
                continue
            try:
                if not streams.enter(record):
                    continue
            except Exception:  # a fault of this stream's, which its own turn meets
                continue
            session.held = True
            self._held[served] += 1
            self._count += 1
            self._table[session.row] = (
                number, record.slot, session.expected, session.done, session.waiting, session.credit,
                session.processed, session.events, record.utterance, 0,
            )  # fmt: skip
            self._utterance_ms[session.row] = record.utterance_ms

    def leave(self, session: Session) -> None:
        """Bring a session that is held up to date, and its stream; nothing if it is not."""
        if not session.held:
            return
        self._streams[session.served].leave(session.record)
        row = self._table[session.row]
        _, _, session.expected, session.done, session.waiting, _, session.processed, session.events, *_ = row.tolist()
        row[kernels.HELD], session.held = 0, False
        self._held[session.served] -= 1
        self._count -= 1

    # --- messages ---------------------------------------------------------------------------------------------------

    def line_up(self, pushes: Int64, data: Any, arrived_ns: int) -> Sequence[int]:
        """Let the messages of sessions that are held stand in line, a group for each model, if nothing is unusual
        about them: see `Engine.push_all`. Which are left."""
        count = pushes.shape[1]
        if not self._count:
            return range(count)
        left = None  # all
        number = self._next_model(self._table, pushes[0], 0)
        while number:
            served = cast(ServedModel, self._models[number])
            if (block := checked(served.model, data)) is not None:
                taken = np.empty(count, np.bool_)
                longest = int((served.share - 1) * served.units_per_frame)
                found = self._line_up(self._table, number, pushes, longest, self._most, taken)
                if found:
                    served.line.append(self._group(served, pushes, block, arrived_ns, taken, found))
                if found == count:
                    return ()
                left = ~taken if left is None else left & ~taken
            number = self._next_model(self._table, pushes[0], number)
        return range(count) if left is None else np.flatnonzero(left).tolist()

    def _group(
        self, served: ServedModel, pushes: Int64, data: Any, arrived_ns: int, taken: npt.NDArray[np.bool_], found: int
    ) -> ColumnGroup:
        """Those ``taken`` of a message's pushes."""
        if found < len(taken):
            data = data[np.repeat(taken, pushes[2])]
            pushes = np.ascontiguousarray(pushes[:, taken])
        return ColumnGroup(self, arrived_ns, pushes, data, int(len(data) / served.units_per_frame) + 1)

    def due(self, group: ColumnGroup) -> bool:
        """See `ColumnGroup.due`."""
        return bool(self._due(self._table, group.pushes))

    def compute(self, groups: Sequence[ColumnGroup]) -> Computed:
        """Compute groups of one model, which are due and fit each other."""
        parts = [group.pushes for group in groups]
        pushes = parts[0] if len(parts) == 1 else np.ascontiguousarray(np.concatenate(parts, axis=1))
        rows, sequences, units = pushes
        served = self._models[self._table[rows[0], kernels.HELD]]
        streams, sessions = self._streams[served], list[Session]()

        def leave() -> list[streaming.Record]:
            sessions.extend(self.sessions_of(rows))
            for session in sessions:
                self.leave(session)
            return [session.record for session in sessions]

        slots, data = self._table[rows, kernels.SLOT], [group.data for group in groups]
        done = streams.push(slots, data, units, served.share, leave)
        left = list[Left]()
        if done.left is not None:
            arrived = np.repeat([group.arrived_ns for group in groups], [group.pushes.shape[1] for group in groups])
            columns = zip(
                sessions, done.left, *np.array((sequences, arrived, units, done.counts)).tolist(), strict=True
            )
            for session, events, sequence, arrived_ns, length, count in columns:
                session.queue.append(Message("push", sequence, arrived_ns, units=length))
                left.append(Left(session, events, count))
        return Computed(groups, pushes, done.counts, done.decisions, left)

    def answers(self, done: Computed, started_ns: int, took_ns: int) -> Answers:
        """Of those that are held still, whose messages are done with."""
        rows = done.pushes[0]
        waited_ms, at = np.empty(len(rows)), 0
        for group in done.groups:
            last = at + group.pushes.shape[1]
            waited_ms[at:last], at = (started_ns - group.arrived_ns) / 1e6, last
        numbers = np.empty((len(rows), kernels.ANSWERED), np.int64)
        self._answer(self._table, done.pushes, done.counts, waited_ms, done.decisions, numbers)
        head = self._streams[self._models[self._table[rows[0], kernels.HELD]]].head
        return Answers(rows, numbers, took_ns / 1e6, self.keys, done.decisions, head)


def checked(model: Model, data: Any) -> Any:
    """Input of several streams as the front end of one takes it; None if it does not, or not piece by piece."""
    try:
        found = model.front_end.check(data)
    except InputError:
        return None
    return found if len(found) == len(data) else None
