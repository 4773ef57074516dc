"""Streams in columns: whatever comes between their pushes, they are answered as streams of their own."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from engine_models import events, frames, sound
from hypothesis import given, settings
from hypothesis import strategies as st
from random_models import network

from ostinato.engine import Answer, Answers, Engine, Limits, columns, pace
from ostinato.errors import CreditError, DivergedError, SequenceError
from ostinato.model import Sequential
from ostinato.model.activation import Activation
from ostinato.model.decoders import Ctc
from ostinato.model.front_ends import Frames, LogMel
from ostinato.model.layers import Dense, Gru, Rnn, Softmax
from ostinato.streaming import Model

HEAD = (Gru(5), Dense(4), Softmax())
SYMBOLS = Ctc(("", "one", "two", "three"))
FRONT_ENDS = {"frames": Frames(3), "audio": LogMel(mels=13)}
OTHERS = ("flush", "mark", "snapshot", "reset", "push", "again", "gap", "bad", "long", "close")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("together"), st.sets(st.integers(0, 4), min_size=1), st.integers(0, 9)),
        st.tuples(st.sampled_from(OTHERS), st.integers(0, 4), st.integers(0, 9)),
        st.tuples(st.just("tick"), st.just(0), st.just(0)),
    ),
    max_size=40,
)


@cache
def model(name: str) -> Model:
    layers = HEAD if name != "sums" else (Rnn(5, activation=Activation("relu")), *HEAD[1:])
    return Model(network(Sequential(name, FRONT_ENDS.get(name, Frames(3)), layers, SYMBOLS)))


@pytest.fixture(autouse=True)
def few_are_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "FEWEST", 1)
    monkeypatch.setattr(columns, "MANY", 1)
    monkeypatch.setattr(pace, "MIN_ROWS", pace.MIN_ROWS)


def data(name: str, length: int, seed: int) -> Any:
    return sound(length / 100, seed) if name == "audio" else frames(length, seed)


class Played:
    """An engine with streams, and what each of them would say alone."""

    def __init__(self, name: str, share: int, tick_ms: float = 8.0) -> None:
        self.name = name
        self.engine = Engine({name: model(name)}, Limits(share=share, tick_ms=tick_ms))
        self.alone = {key: model(name).stream() for key in range(5)}
        self.opened = {key: self.engine.open(key, name) for key in range(5)}
        self.sent = dict.fromkeys(range(5), 0)
        self.wanted: dict[int, list[Any]] = {key: [] for key in range(5)}
        self.found: dict[int, list[Any]] = {key: [] for key in range(5)}
        self.answered: dict[int, list[int]] = {key: [] for key in range(5)}
        self.columns = self.singly = 0

    def tick(self) -> None:
        for done in self.engine.tick_columns():
            if isinstance(done, Answers) and done.head is not None:
                self.columns += 1
                assert len(done.numbers) == len(done.rows)
            self.singly += not isinstance(done, Answers) or done.head is None
            for answer in done if isinstance(done, Answers) else (done,):
                self.take(answer)

    def take(self, answer: Answer) -> None:
        key: Any = answer.key
        assert answer.first == len(self.found[key])
        self.found[key] += events([answer])
        self.answered[key].append(answer.sequence)

    def push(self, keys: list[int], length: int) -> None:
        """A message with a chunk for each, of lengths and contents of their own."""
        keys = [key for key in keys if key in self.alone]
        given = {key: data(self.name, length + key, 100 * self.sent[key] + key) for key in keys}
        if not keys:
            return
        parts, numbers = list(given.values()), [self.sent[key] + 1 for key in keys]
        rows = [self.opened[key].row for key in keys]
        left = self.engine.push_all((rows, numbers, list(map(len, parts))), np.concatenate(parts), 1)
        for i, key in enumerate(keys):
            if i in left:
                try:
                    self.engine.push(key, numbers[i], parts[i])
                except CreditError:
                    continue
            self.sent[key] += 1
            self.wanted[key] += self.alone[key].push(parts[i])

    def one(self, kind: str, key: int, length: int) -> None:
        if key not in self.alone:
            return
        stream, engine, number = self.alone[key], self.engine, self.sent[key] + 1
        try:
            if kind in ("push", "long"):
                piece = data(self.name, 60 * (kind == "long") + length, number)
                engine.push(key, number, piece)
                self.wanted[key] += stream.push(piece)
            elif kind == "bad":
                engine.push(key, number, np.zeros((2, 7, 3)))
            elif kind == "again":
                if number > 1:
                    again = engine.push_all(([self.opened[key].row], [number - 1], [1]), data(self.name, 1, 0), 1)
                    assert again == {0}
                return
            elif kind == "gap":
                assert engine.expected(key) == number
                with pytest.raises(SequenceError):
                    engine.push(key, number + 1, data(self.name, 1, 0))
                return
            elif kind == "close":
                engine.close(key)
                del self.alone[key]
                return
            elif kind == "mark":
                engine.mark(key, number, b"")
            else:
                getattr(engine, kind)(key, number)
                if kind == "flush":
                    self.wanted[key] += stream.flush()
                elif kind == "reset":
                    stream.reset()
        except CreditError:
            return
        self.sent[key] = number


@settings(deadline=None, max_examples=80)
@given(
    name=st.sampled_from(sorted(FRONT_ENDS)),
    share=st.sampled_from((3, 32)),
    rows=st.sampled_from((7, 64)),
    steps=STEPS,
)
def test_columns_answer_as_streams_alone(name: str, share: int, rows: int, steps: list[tuple[str, Any, int]]) -> None:
    pace.MIN_ROWS = rows
    played = Played(name, share, 8.0 if rows == 64 else 1e-6)
    played.push([0, 1, 2, 3, 4], 5)
    played.tick()
    for kind, who, length in steps:
        if kind == "together":
            played.push(sorted(who), length)
        elif kind == "tick":
            played.tick()
        else:
            played.one(kind, who, length)
    while played.engine.busy:
        played.tick()
    for key, stream in played.alone.items():
        assert played.found[key] == played.wanted[key]
        assert played.answered[key] == sorted(played.answered[key]) and played.answered[key][-1:] in (
            [],
            [played.sent[key]],
        )
        played.engine.snapshot(key, played.sent[key] + 1)
        (answer,) = played.engine.tick()
        assert answer.payload == stream.snapshot()
        assert answer.processed == stream.record.units_in
    for key in list(played.alone):
        played.engine.close(key)
    assert played.engine.usage.reserved_bytes == 0


def test_pushes_of_many_streams_are_answered_by_columns() -> None:
    played = Played("audio", 32)
    for _ in range(12):
        played.push([0, 1, 2, 3, 4], 4)
        played.tick()
    assert played.columns >= 10
    assert all(played.found[key] == played.wanted[key] for key in range(5))


def test_streams_that_fall_behind_are_held_all_the_same() -> None:
    """Something always waits for them; they were computed the slow way, and stayed behind."""
    played = Played("audio", 32)
    for _ in range(12):
        played.push([0, 1, 2, 3, 4], 4)
        played.push([0, 1, 2, 3, 4], 3)
        played.tick()
    while played.engine.busy:
        played.tick()
    assert played.singly == 0 and played.columns >= 12
    assert all(played.found[key] == played.wanted[key] for key in range(5))


def test_a_stream_that_overflows_in_a_column_is_lost_alone() -> None:
    played = Played("sums", 32)
    for _ in range(3):
        played.push([0, 1, 2], 2)
        played.tick()
    engine, rows = played.engine, [played.opened[key].row for key in (0, 1, 2)]
    given = frames(6, 1)
    given[2:4] = np.array([3e38, -3e38, 3e38], np.float32)  # which overflows in sums
    numbers = [played.sent[key] + 1 for key in (0, 1, 2)]
    assert not engine.push_all((rows, numbers, [2, 2, 2]), given, 1)
    answers = engine.tick()
    assert [type(answer.payload) for answer in answers if answer.kind == "error"] == [DivergedError]
    for key in (0, 2):
        played.sent[key] += 1
        played.wanted[key] += played.alone[key].push(given[2 * key : 2 * key + 2])
    for answer in answers:
        if answer.key != 1:
            played.take(answer)
    played.push([0, 2], 3)
    assert engine.push_all(([rows[1]], [numbers[1] + 1], [1]), given[:1], 1) == set()
    refused = []
    while engine.busy:
        for answer in engine.tick():
            if answer.key == 1:
                refused.append(answer.kind)
            else:
                played.take(answer)
    assert refused == ["error"]
    engine.flush(1, numbers[1] + 2)
    engine.push(1, numbers[1] + 3, given[:1])
    while engine.busy:
        played.tick()
    assert all(played.found[key] == played.wanted[key] for key in (0, 2))
