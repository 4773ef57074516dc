"""Streams that generate in an engine: a token a tick, among others, no further than their clients have room."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable
from typing import Any

import numpy as np
import pytest
from engine_models import encoder_decoder
from hypothesis import given, settings
from hypothesis import strategies as st
from random_models import VOCABULARY, bits, language_models, network

from ostinato.engine import Answer, Engine, Limits
from ostinato.engine.pace import Pace
from ostinato.errors import CapacityError, CreditError, DivergedError, InputError, StreamError
from ostinato.events import Event
from ostinato.model import Head, Network, Node, Sequential, Specification
from ostinato.model.decoders import Generation, Outputs
from ostinato.model.front_ends import Tokens
from ostinato.model.layers import Dense, Embedding, Gru
from ostinato.options import Options
from ostinato.sampling import Sampling
from ostinato.streaming import Model

NODES = (
    Node("letter", Embedding(4), ("frames",)),
    Node("body", Gru(8), ("letter",)),
    Node("next", Dense(8), ("body",)),
)
HEADS = (Head("text", "next", Generation(start=0)), Head("all", "next", Outputs()))
LETTERS = network(Specification("letters", Tokens(VOCABULARY), NODES, HEADS))


def engine(limits: Limits | None = None, model: Network = LETTERS) -> Engine:
    return Engine({"letters": Model(model)}, limits)


def until_idle(of: Engine, most: int = 10_000) -> list[Answer]:
    found: list[Answer] = []
    while of.busy:
        found += of.tick()
        assert (most := most - 1) > 0
    return found


def events(answers: list[Answer], key: Hashable = 0) -> list[Event]:
    """A stream's events, which are numbered without a gap."""
    found: list[Event] = []
    for answer in answers:
        if answer.key == key:
            assert answer.first == len(found) or not answer.events
            found += answer.events
    return found


def alone(prompt: str, how: Sampling, longest: int, model: Network = LETTERS) -> list[Any]:
    with Model(model).stream() as stream:
        stream.push(prompt)
        return bits(list(stream.generate(how, longest)))


def test_a_token_counts_as_what_it_looks_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams that attend to long sources share a tick with fewer others, and take turns."""
    monkeypatch.setattr(Pace, "rows", lambda self, ms: 100)
    told: dict[int, list[int]] = {}
    for length in (3, 3000):
        of = Engine({"letters": encoder_decoder()})
        for key in range(40):
            of.open(key, "letters", Options())
            of.push(key, 1, "ab" * (length // 2), 0)
            of.generate(key, 2, 30, HOW, 30)
        answers = until_idle(of)
        per_tick = told[length] = []
        for key in range(40):
            assert len(events(answers, key)) >= 1
            of.generate(key, 3, 5, Sampling(seed=key), 5)
        while of.busy:
            per_tick.append(len({answer.key for answer in of.tick() if answer.kind == "tokens"}))
    assert max(told[3]) == 40
    assert 1 < max(told[3000]) <= 5


HOW = Sampling(seed=3)
BEAM = Sampling(beams=4, length_penalty=0.7)


@settings(deadline=None, max_examples=25)
@given(
    specification=language_models(),
    streams=st.lists(
        st.tuples(
            st.text(st.sampled_from(VOCABULARY), min_size=1, max_size=40),
            st.sampled_from((None, HOW, BEAM)),
            st.integers(1, 30),
        ),
        min_size=1,
        max_size=12,
    ),
    share=st.sampled_from((1, 32)),
    room=st.integers(1, 9),
    data=st.data(),
)
def test_a_token_a_tick_with_the_bits_of_a_stream_alone(
    specification: Specification,
    streams: list[tuple[str, Sampling | None, int]],
    share: int,
    room: int,
    data: st.DataObject,
) -> None:
    """Prompts come at any tick, while others generate, draw or search, and others are pushed."""
    made = network(specification)
    of = engine(Limits(share=share), made)
    found: list[Answer] = []
    numbers: dict[int, int] = defaultdict(int)
    most = {key: room for key in range(len(streams))}
    """Tokens that its client has room for."""

    def next_number(key: int) -> int:
        numbers[key] += 1
        return numbers[key]

    def tick() -> None:
        now = of.tick()
        for key in range(len(streams)):
            told = sum(event.kind == "token" for answer in now if answer.key == key for event in answer.events)
            at_once = min(of.limits.share_of(1.0), most[key])
            assert told <= (at_once if streams[key][1] is BEAM else 1)
            most[key] -= told
        found.extend(now)

    for key, (prompt, how, longest) in enumerate(streams):
        of.open(key, "letters", Options(decoder=None if how else "outputs"))
        of.push(key, next_number(key), prompt)
        if how:
            of.generate(key, next_number(key), room, how, longest)
        for _ in range(data.draw(st.integers(0, 5))):
            tick()
    for _ in range(60):
        for key, (_, how, _) in enumerate(streams):
            if not how:
                of.push(key, next_number(key), "ab")
        for _ in range(4):
            tick()
        for key, (_, how, _) in enumerate(streams):
            if how:
                of.more(key, next_number(key), 1)
                most[key] += 1
    found += until_idle(of)
    for key, (prompt, how, longest) in enumerate(streams):
        if how:
            given = alone(prompt, how, longest, made)
            assert bits(events(found, key)) == given[: len(events(found, key))]
            assert len(events(found, key)) >= min(len(given), room + 50)
        else:
            with Model(made).stream(decoder="outputs") as stream:
                assert bits(events(found, key)) == bits(stream.push(prompt + 60 * "ab"))
    answered = [answer.sequence for answer in found if answer.key == 0 and answer.kind != "tokens"]
    assert answered == list(range(1, numbers[0] + 1))


def test_who_does_not_ask_for_more_pauses_its_own_stream() -> None:
    of = engine()
    for key in (0, 1):
        of.open(key, "letters")
        of.generate(key, 1, 5, HOW, 20)
    found = until_idle(of)
    assert len(events(found)) == len(events(found, 1)) == 5 and not of.busy
    of.more(0, 2, 4)
    found += until_idle(of)
    assert (len(events(found)), len(events(found, 1))) == (9, 5)
    of.more(0, 3, 200)
    found += until_idle(of)
    assert bits(events(found)) == alone("", HOW, 20)
    assert events(found)[-1].kind == "end-of-generation"
    of.more(0, 4, 3)  # it has ended: nothing comes
    of.push(0, 5, "abc")
    of.generate(0, 6, 2)
    found += until_idle(of)
    assert [answer.kind for answer in found[-5:]] == ["more", "push", "generate", "tokens", "tokens"]
    assert len(events(found)) == 23


def test_what_may_be_asked_for_is_bounded() -> None:
    of = engine(Limits(tokens=10))
    of.open(0, "letters")
    for tokens in (0, 11):
        with pytest.raises(CreditError, match=f"{tokens} tokens cannot be asked for at once, but 1 to 10"):
            of.generate(0, 1, tokens)
        with pytest.raises(CreditError):
            of.more(0, 1, tokens)
    of.generate(0, 1, 8, HOW)
    of.more(0, 2, 3)
    found = of.tick()
    assert [answer.kind for answer in found] == ["generate", "error"]
    assert isinstance(found[1].payload, InputError) and "11 tokens would be on their way" in str(found[1].payload)
    assert len(events(until_idle(of))) == 8


def test_all_but_input_is_done_between_two_tokens() -> None:
    of = engine()
    of.open(0, "letters")
    of.generate(0, 1, 100, HOW, 50)
    found = [answer for _ in range(11) for answer in of.tick()]
    assert len(events(found)) == 10
    of.push(0, 2, "abc")
    of.mark(0, 3, b"here")
    of.snapshot(0, 4)
    found += of.tick()
    error, mark, snapshot, token = found[-4:]
    assert isinstance(error.payload, StreamError) and "generating" in str(error.payload) and error.sequence == 2
    assert (mark.kind, mark.payload, token.kind) == ("mark", b"here", "tokens")
    found += until_idle(of)
    assert bits(events(found)) == alone("", HOW, 50)
    of.open(1, "letters", snapshot=snapshot.payload)
    assert until_idle(of) == []  # until its client says for how many it has room
    of.more(1, 1, 100)
    again = until_idle(of)
    assert bits(events(again, 1)) == alone("", HOW, 50)[10:]


@pytest.mark.parametrize("ends", ["flush", "reset", "end_generation"])
def test_what_ends_a_generation(ends: str) -> None:
    of = engine()
    of.open(0, "letters")
    of.generate(0, 1, 100, HOW)
    found = [answer for _ in range(6) for answer in of.tick()]
    getattr(of, ends)(0, 2)
    of.more(0, 3, 5)
    of.push(0, 4, "bad")
    of.generate(0, 5, 100, HOW, 9)
    found += until_idle(of)
    assert [answer.kind for answer in found if answer.kind not in ("tokens", "generate")] == [
        ends.replace("_", "-"),
        "more",
        "push",
    ]
    tokens = events(found)
    assert len(tokens) == 5 + 10 and tokens[-1].kind == "end-of-generation"
    if ends != "end_generation":
        assert [event.index for event in tokens[5:]] == [each[4] for each in alone("bad", HOW, 9)]


def test_a_stream_is_closed_while_it_generates() -> None:
    of = engine()
    for key in (0, 1):
        of.open(key, "letters")
        of.generate(key, 1, 50, HOW, 30)
    of.tick()
    of.tick()
    of.close(0)
    found = until_idle(of)
    assert {answer.key for answer in found} == {1} and of.streams == 1
    of.close(1)
    assert of.usage.reserved_bytes == 0


def test_what_overflows_ends_alone() -> None:
    grown = Network.random(
        Sequential("letters", Tokens(VOCABULARY), (Embedding(4), Dense(8), Dense(8)), Generation())
    )
    weights = {name: np.full_like(array, 1e30 if array.ndim > 1 else 0) for name, array in grown.weights.items()}
    weights["embedding.E"][0] = 0
    of = engine(model=Network(grown.specification, weights))
    of.open(0, "letters")
    of.push(0, 1, "a")
    of.generate(0, 2, 100, Sampling(seed=2))
    found = until_idle(of)
    assert [answer.kind for answer in found[:2]] == ["push", "generate"]
    assert isinstance(found[-1].payload, DivergedError) and found[-1].kind == "tokens"
    of.push(0, 3, "a")
    of.reset(0, 4)
    of.push(0, 5, "a")
    assert [answer.kind for answer in until_idle(of)] == ["error", "reset", "push"]


def test_a_stream_without_such_a_head_is_told_so() -> None:
    of = engine()
    of.open(0, "letters", Options(head="all"))
    of.generate(0, 1, 5)
    of.push(0, 2, "a")
    error, push = until_idle(of)
    assert isinstance(error.payload, InputError) and "open the stream with head 'text'" in str(error.payload)
    assert push.kind == "push"


# --- beams ----------------------------------------------------------------------------------------------------------


def test_a_beam_is_told_as_far_as_its_client_has_room() -> None:
    of = engine()
    wanted = alone("", BEAM, 40)
    for key in (0, 1):
        of.open(key, "letters")
    of.generate(0, 1, 5, BEAM, 40)
    found = until_idle(of)
    assert len(events(found)) == 5 and not of.busy
    of.snapshot(0, 2)
    (kept,) = until_idle(of)
    of.more(0, 3, 200)
    found += until_idle(of)
    assert bits(events(found)) == wanted
    of.open(2, "letters", snapshot=kept.payload)
    assert until_idle(of) == []
    of.more(2, 1, 200)
    again = until_idle(of)
    assert bits(events(again, 2)) == wanted[5:]
    of.push(0, 4, "bad")
    of.push(2, 2, "bad")
    of.generate(0, 5, 100, HOW, 9)
    of.generate(2, 3, 100, HOW, 9)
    last = until_idle(of)
    assert [event.index for event in events_of(last, 0)] == [event.index for event in events_of(last, 2)]


def events_of(answers: list[Answer], key: int) -> list[Event]:
    """A stream's events, whatever their numbers."""
    return [event for answer in answers if answer.key == key for event in answer.events]


@pytest.mark.parametrize("share", [1, 32])
@pytest.mark.parametrize("ends", ["flush", "reset", "end_generation", "close", "generate", None])
def test_what_a_beam_holds_is_free_when_it_ends(ends: str | None, share: int) -> None:
    of = engine(Limits(max_streams=6, share=share))
    of.open(0, "letters")
    of.open(1, "letters")
    one = of.usage.reserved_bytes
    of.generate(0, 1, 200, BEAM, 30)
    found = [answer for _ in range(20) for answer in of.tick()]
    assert of.usage.reserved_bytes > one + 30 * 4 * 12
    with pytest.raises(CapacityError, match="all 6 streams are in use"):
        of.open(2, "letters")
    of.generate(1, 1, 5, Sampling(beams=2))
    error = [answer for answer in of.tick() if answer.kind == "error"]
    assert isinstance(error[0].payload, CapacityError) and error[0].sequence == 1
    assert "a beam of 2 needs 2 stream states, and 0 of the server's 6 are left" in str(error[0].payload)
    if ends == "close":
        of.close(0)
    elif ends == "generate":
        of.generate(0, 2, 200, HOW, 3)
    elif ends:
        getattr(of, ends)(0, 2)
    found += until_idle(of)
    assert of.usage.reserved_bytes == (one // 2 if ends == "close" else one)
    of.open(2, "letters")
    if ends == "end_generation":  # what it told, and had not taken in, is taken in without being asked
        said = "".join(event.text for event in events(found))
        of.push(0, 3, "bad")
        of.generate(0, 4, 20, HOW, 9)
        with Model(LETTERS).stream() as stream:
            stream.push(VOCABULARY[0] + said + "bad")
            wanted = [event.index for event in stream.generate(HOW, 9)]
        assert [event.index for event in events_of(until_idle(of), 0)] == wanted


def test_memory_for_beams_is_reserved() -> None:
    of = engine(Limits(max_buffer_bytes=1 << 20))
    of.open(0, "letters")
    of.generate(0, 1, 5, BEAM, 65536)
    of.generate(0, 2, 5, BEAM, 2000)
    first, second = of.tick()[:2]
    assert isinstance(first.payload, CapacityError) and "a beam of 4 could come to hold" in str(first.payload)
    assert second.kind == "generate"


def test_a_snapshot_with_a_beam_needs_room_for_it() -> None:
    of = engine()
    of.open(0, "letters")
    of.generate(0, 1, 5, BEAM, 40)
    until_idle(of)
    of.snapshot(0, 2)
    (kept,) = until_idle(of)
    small = engine(Limits(max_streams=4))
    with pytest.raises(CapacityError):
        small.open(0, "letters", snapshot=kept.payload)
    assert small.usage.reserved_bytes == 0
    for key in range(4):
        small.open(key, "letters")


def test_a_beam_that_overflows_ends_alone() -> None:
    grown = Network.random(
        Sequential("letters", Tokens(VOCABULARY), (Embedding(4), Dense(8), Dense(8)), Generation())
    )
    weights = {name: np.full_like(array, 1e30 if array.ndim > 1 else 0) for name, array in grown.weights.items()}
    weights["embedding.E"][0] = 0
    of = engine(model=Network(grown.specification, weights))
    of.open(0, "letters")
    before = of.usage.reserved_bytes
    of.push(0, 1, "a")
    of.generate(0, 2, 100, BEAM)
    found = until_idle(of)
    assert isinstance(found[-1].payload, DivergedError) and found[-1].kind == "tokens"
    assert of.usage.reserved_bytes == before
    of.reset(0, 3)
    of.push(0, 4, "a")
    assert [answer.kind for answer in until_idle(of)] == ["reset", "push"]
