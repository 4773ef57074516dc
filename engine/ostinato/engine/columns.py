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
from ostinato.engine.limits import Limits
from ostinato.engine.results import Answers
from ostinato.engine.session import Message, ServedModel, Session
from ostinato.errors import InputError
from ostinato.events import Event
from ostinato.kernels import columns as kernels
from ostinato.kernels import prepare
from ostinato.streaming import Model

Int64 = npt.NDArray[np.int64]
FEWEST = 8
"""Streams that are worth a group: fewer are quicker one by one."""
MANY = 16
"""Pushes in a turn that let streams enter; fewer, too, if so many are held already: streams that are held share no
turn with others of the same messages, so all or none is best."""


@dataclass(slots=True, eq=False)
class ColumnGroup:
    """Pushes of one message for streams of one model that are held: that of row rows[i] has message sequences[i], the
    next units[i] of checked ``data``."""

    columns: Columns
    arrived_ns: int
    rows: Int64
    sequences: Int64
    units: Int64
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

    def split(self, most: int) -> ColumnGroup:
        """Its first streams, with about ``most`` frames, as a group that stands in no line; it keeps the others."""
        frames, count = self.frames, len(self.rows)
        first = count if frames <= most else min(count, max(FEWEST, count * most // frames))
        own = len(self.data) if first == count else int(self.units[:first].sum())
        taken = replace(
            self,
            rows=self.rows[:first],
            sequences=self.sequences[:first],
            units=self.units[:first],
            data=self.data[:own],
            frames=-(-frames * first // count),
        )
        self.rows, self.sequences, self.units = self.rows[first:], self.sequences[first:], self.units[first:]
        self.data, self.frames = self.data[own:], max(1, frames - taken.frames)
        return taken

    def scatter(self) -> None:
        """Put each push into its own stream's queue, and each stream in line; none of them is held any more, and the
        group is empty."""
        if not len(self.rows):
            return
        group = self.split(self.frames)
        ends = np.cumsum(group.units).tolist()
        sessions = self.columns.sessions_of(group.rows)
        for session, sequence, units, end in zip(
            sessions, group.sequences.tolist(), group.units.tolist(), ends, strict=True
        ):
            self.columns.leave(session)
            part = group.data[end - units : end].copy()
            session.queue.append(Message("push", sequence, self.arrived_ns, part, units))
            session.served.enter(session)


class Left(NamedTuple):
    """A session that has left the columns: its message heads its queue, and this was computed of that."""

    session: Session
    events: list[Event]
    frames: int


class Computed(NamedTuple):
    """What a turn has computed of groups: columns of all their pushes, or all are ``left`` to be answered singly."""

    groups: Sequence[ColumnGroup]
    rows: Int64
    sequences: Int64
    units: Int64
    counts: Int64
    decisions: Int64
    left: list[Left]


class Columns:
    """The rows of an engine's sessions, and those that are held."""

    def __init__(self, served: Collection[ServedModel], limits: Limits) -> None:
        self._most = limits.inputs
        self.sessions: list[Session | None] = [None] * limits.max_streams
        """By their rows."""
        self._keys: list[Any] = [None] * limits.max_streams
        self._free = list(range(limits.max_streams))[::-1]
        self._held: Counter[ServedModel] = Counter()
        fit = [each for each in served if each.causal and streaming.Columns.fit(each.model)]
        self._streams = {each: streaming.Columns(each.model) for each in fit}
        """Of the models whose streams can be held."""
        self._models = [None, *fit]
        self._numbers = {each: number for number, each in enumerate(fit, 1)}
        if fit:
            prepare(kernels.line_up)
        self._table = np.zeros((limits.max_streams, kernels.LINED), np.int64)
        self._utterance_ms = self._table.view(np.float64)[:, kernels.UTTERANCE_MS]

    # --- sessions ---------------------------------------------------------------------------------------------------

    def add(self, session: Session) -> None:
        """Give a session its row."""
        session.row = self._free.pop()
        self.sessions[session.row], self._keys[session.row] = session, session.key

    def remove(self, session: Session) -> None:
        """Its row is free."""
        self.leave(session)
        self.sessions[session.row] = self._keys[session.row] = None
        self._free.append(session.row)

    def sessions_of(self, rows: Int64) -> list[Session]:
        """Those of rows that have one."""
        return list(map(cast(list[Session], self.sessions).__getitem__, rows.tolist()))

    def enter(self, sessions: Sequence[Session], *, again: bool = False) -> None:
        """Hold those of one model of which nothing is unusual, and no message waits, if it is worth it. ``again``:
        they have just left, and what waits is in groups of columns.

        Where many are held already, a few that are not would make a turn of their own out of each message."""
        served = sessions[0].served
        if served not in self._streams or self._held[served] + len(sessions) < MANY:
            return
        streams, number = self._streams[served], self._numbers[served]
        for session in sessions:
            record = session.record
            busy = session.closed or session.held or session.queue or (session.waits and not again)
            if busy or not streams.enter(record):
                continue
            session.held = True
            self._held[served] += 1
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

    # --- messages ---------------------------------------------------------------------------------------------------

    def line_up(self, rows: Int64, sequences: Int64, units: Int64, data: Any, arrived_ns: int) -> Sequence[int]:
        """Let the messages of sessions that are held stand in line, a group for each model, if nothing is unusual
        about them: see `Engine.push_many`. Which are left."""
        left = None  # all
        number = kernels.next_model(self._table, rows, 0) if self._held else 0
        while number:
            served = cast(ServedModel, self._models[number])
            if (block := checked(served.model, data)) is not None:
                taken = np.empty(len(rows), np.bool_)
                longest = int((served.share - 1) * served.units_per_frame)
                found = kernels.line_up(self._table, number, rows, sequences, units, longest, self._most, taken)
                if found:
                    served.line.append(self._group(served, rows, sequences, units, block, arrived_ns, taken, found))
                if found == len(rows):
                    return ()
                left = ~taken if left is None else left & ~taken
            number = kernels.next_model(self._table, rows, number)
        return range(len(rows)) if left is None else np.flatnonzero(left).tolist()

    def _group(
        self,
        served: ServedModel,
        rows: Int64,
        sequences: Int64,
        units: Int64,
        data: Any,
        arrived_ns: int,
        taken: npt.NDArray[np.bool_],
        found: int,
    ) -> ColumnGroup:
        """Those ``taken`` of a message's pushes."""
        if found < len(rows):
            data = data[np.repeat(taken, units)]
            rows, sequences, units = rows[taken], sequences[taken], units[taken]
        return ColumnGroup(
            self, arrived_ns, rows, sequences, units, data, int(len(data) / served.units_per_frame) + 1
        )

    def due(self, group: ColumnGroup) -> bool:
        """See `ColumnGroup.due`."""
        return bool(kernels.due(self._table, group.rows, group.sequences))

    def compute(self, groups: Sequence[ColumnGroup]) -> Computed:
        """Compute groups of one model, which are due and fit each other."""
        rows = _joined([group.rows for group in groups])
        sequences, units = _joined([group.sequences for group in groups]), _joined([group.units for group in groups])
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
            arrived = np.repeat([group.arrived_ns for group in groups], [len(group.rows) for group in groups])
            columns = zip(
                sessions, done.left, *np.array((sequences, arrived, units, done.counts)).tolist(), strict=True
            )
            for session, events, sequence, arrived_ns, length, count in columns:
                session.queue.append(Message("push", sequence, arrived_ns, units=length))
                left.append(Left(session, events, count))
        return Computed(groups, rows, sequences, units, done.counts, done.decisions, left)

    def answers(self, done: Computed, started_ns: int, took_ns: int) -> Answers:
        """Of those that are held still, whose messages are done with."""
        waited = [(started_ns - group.arrived_ns) / 1e6 for group in done.groups]
        waited_ms = np.repeat(waited, [len(group.rows) for group in done.groups])
        numbers = np.empty((len(done.rows), kernels.ANSWERED), np.int64)
        kernels.answer(
            self._table, done.rows, done.sequences, done.units, done.counts, waited_ms, done.decisions, numbers
        )
        head = self._streams[self._models[self._table[done.rows[0], kernels.HELD]]].head
        keys = list(map(self._keys.__getitem__, done.rows.tolist()))
        return Answers(keys, numbers, took_ns / 1e6, done.decisions, head)


def _joined(columns: Sequence[Int64]) -> Int64:
    return columns[0] if len(columns) == 1 else np.concatenate(columns)


def checked(model: Model, data: Any) -> Any:
    """Input of several streams as the front end of one takes it; None if it does not, or not piece by piece."""
    try:
        found = model.front_end.check(data)
    except InputError:
        return None
    return found if len(found) == len(data) else None
