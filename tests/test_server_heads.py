"""Several heads over the wire: listed, asked for by both clients, told once in OPENED, kept by snapshots."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import msgpack
import numpy as np
import pytest
from engine_models import frames, heads, mixed
from random_models import bits, network
from server_raw import Raw

from ostinato import protocol as wire
from ostinato.errors import InputError, OstinatoError, UnknownHeadError
from ostinato.events import Event
from ostinato.model import Head, Specification
from ostinato.model.decoders import Labels, Outputs
from ostinato.model.front_ends import Frames
from ostinato.model.layers import Dense, Gru, Softmax
from ostinato.model.limits import MAX_HEADS
from ostinato.model.specification import Sequential
from ostinato.options import Options
from ostinato.server import Server
from ostinato.streaming import Model
from ostinato_client import AsyncClient, Client

LONG = 20.0
CAUSAL = Model(network(heads(), 3))
WHOLE = Model(network(heads("bidirectional"), 3))
NAMES = ("phones", "words", "body", "all")
SYMBOLS = {"phones": ("p", "t", "k"), "words": ("", "one", "two", "three"), "body": (), "all": ("p", "t", "k")}
KINDS = {"phones": "labels", "words": "ctc", "body": "outputs", "all": "sequence-class"}


def served() -> dict[str, Model]:
    return {"causal": CAUSAL, "whole": WHOLE}


def alone(model: Model, data: Any, **options: Any) -> list[Event]:
    with model.stream(**options) as stream:
        return stream.push(data) + stream.flush()


def test_a_model_lists_its_heads_and_a_stream_says_which_it_has() -> None:
    with Server(served()) as server, Client(server.endpoint, timeout=LONG) as client:
        listed = {info.name: info for info in client.models()}
        for name, delay in (("causal", 0), ("whole", None)):
            assert [(head.name, head.decoder, head.delay_frames) for head in listed[name].heads] == [
                (head, KINDS[head], delay) for head in NAMES
            ]
            assert all(head.symbols == () for head in listed[name].heads)
            for head in NAMES:
                with client.open(name, head=head) as stream:
                    assert stream.model == listed[name]
                    wanted = next(each for each in listed[name].heads if each.name == head)
                    assert stream.head == replace(wanted, symbols=SYMBOLS[head])
        with client.open("causal") as stream:
            assert stream.head.name == "phones"
        with client.open("whole", head="words", decoder="outputs", block_ms=40, lookahead_ms=20) as stream:
            assert stream.head == wire.HeadInfo("words", "outputs", delay_frames=5, delay_ms=50.0)
            assert stream.delay_ms == 50.0


def test_each_head_says_its_own_delay_and_keeps_to_it() -> None:
    which, data = Model(network(mixed(), 3)), frames(30)
    with Server({"mixed": which}) as server, Client(server.endpoint, timeout=LONG) as client:
        (info,) = client.models()
        assert info.direction == "bidirectional"
        assert [(head.name, head.delay_ms) for head in info.heads] == [
            ("phones", 0), ("words", None), ("body", 0), ("all", 0)
        ]  # fmt: skip
        with client.open("mixed") as phones, client.open("mixed", head="words") as words:
            for stream in (phones, words):
                stream.push(data)
                stream.mark()
            at_once = [event for result in phones.results() for event in result.events]
            assert bits(at_once) == bits(alone(which, data)) and len(at_once) == 30
            assert not any(result.events for result in words.results())
            late = [event for result in words.flush() for event in result.events]
            assert bits(late) == bits(alone(which, data, head="words")) != []
        with pytest.raises(InputError, match="head 'phones' of 'heads' is causal"):
            client.open("mixed", block_ms=40.0)


def test_streams_of_all_heads_in_one_connection_have_the_bits_that_they_have_alone() -> None:
    data = frames(40)

    async def talk(endpoint: str, model: str, options: list[dict[str, Any]]) -> list[list[Event]]:
        async with AsyncClient(endpoint, timeout=LONG) as client:
            streams = [await client.open(model, **each) for each in options]
            for start in range(0, len(data), 7):
                for stream in streams:
                    await stream.push(data[start : start + 7])
            return [[event for r in await stream.flush() for event in r.events] for stream in streams]

    ways: list[dict[str, Any]] = [{"head": name, "decoder": raw} for name in NAMES for raw in (None, "outputs")]
    with Server(served()) as server:
        for name, model in served().items():
            options = ways if name == "causal" else ways + [each | {"block_ms": 50.0} for each in ways]
            found = asyncio.run(talk(server.endpoint, name, options))
            for each, some in zip(options, found, strict=True):
                assert bits(some) == bits(alone(model, data, **each)) != []


def test_texts_are_joined_as_the_head_says() -> None:
    """Words with spaces, phones without."""
    data = frames(40)
    with Server(served()) as server, Client(server.endpoint, timeout=LONG) as client:
        for name, separator in (("words", " "), ("phones", "")):
            with client.open("causal", head=name) as stream:
                stream.push(data)
                text = "".join(result.text for result in stream.flush())
                assert text == separator.join(event.text for event in alone(CAUSAL, data, head=name)) != ""


def test_a_head_that_is_not_there_is_an_error_of_its_own_for_both_clients() -> None:
    async def wrong(endpoint: str) -> None:
        async with AsyncClient(endpoint, timeout=LONG) as client:
            await client.open("causal", head="phone")

    says = r"'phone': it has phones, words, body, all; did you mean 'phones'\?"
    with Server(served()) as server, Client(server.endpoint, timeout=LONG) as client:
        with client.open("causal") as other:
            with pytest.raises(UnknownHeadError, match=says):
                client.open("causal", head="phone")
            for name in ("", "n" * 65):
                with pytest.raises(OstinatoError, match="'head'"):
                    client.open("causal", head=name)
            other.push(frames(1))
            assert other.flush()[-1].final, "the connection and its streams go on"
        with pytest.raises(UnknownHeadError, match=says):
            asyncio.run(wrong(server.endpoint))
        with Raw(server.endpoint) as raw:
            assert raw.refused(wire.Open(bytes(16), "causal", Options(head="phone"))).code == "unknown_head"


@pytest.mark.parametrize("name", ["causal", "whole"])
def test_snapshots_and_forks_keep_the_head(name: str) -> None:
    data, model = frames(20), served()[name]
    wanted = bits(alone(model, data, head="words", decoder="outputs"))
    with Server(served()) as server, Client(server.endpoint, timeout=LONG) as client:
        with client.open(name, head="words", decoder="outputs") as stream:
            stream.push(data[:9])
            snapshot = stream.snapshot()
            before = [event for result in stream.results() for event in result.events]
            for again in (client.open(name, snapshot=snapshot), stream.fork()):
                with again:
                    assert again.head == stream.head
                    again.push(data[9:])
                    after = [event for result in again.flush() for event in result.events]
                assert bits([*before, *after]) == wanted
        with pytest.raises(InputError, match="head = 'body' is not what the stream of the snapshot has"):
            client.open(name, head="body", snapshot=snapshot)


def test_the_most_heads_and_the_most_symbols_fit_the_wire() -> None:
    assert MAX_HEADS == wire.MAX_HEADS
    long = tuple(f"{i:04}{'ä' * 60}" for i in range(wire.MAX_SYMBOLS))
    chain = Sequential("many", Frames(1), (Gru(2), Dense(len(long)), Softmax()), Outputs(), description="d" * 2000)
    names = [f"{i:02}{'n' * 62}" for i in range(MAX_HEADS)]
    made = (Head(name, chain.nodes[-1].name, Labels(long) if i else Outputs()) for i, name in enumerate(names))
    specification = replace(chain, heads=tuple(made))
    with (
        Server({"m" * 256: Model(network(specification))}) as server,
        Client(server.endpoint, timeout=LONG) as client,
    ):
        (info,) = client.models()
        assert [head.name for head in info.heads] == names
        with client.open(info.name, head=names[-1]) as stream:
            assert (stream.head.name, stream.head.symbols) == (names[-1], ()), "they do not fit one message"
            stream.push(np.zeros((1, 1), np.float32))
            assert stream.flush()[-1].final


@pytest.mark.parametrize("wrong", [{}, {"name": 3}, {"name": "a", "decoder": "ctc", "tail": 1}, None, []])
def test_what_is_wrong_with_a_heads_description_is_named(wrong: Any) -> None:
    """A client that meets a broken server says what is broken."""
    head = wire.HeadInfo("main", "ctc")
    info = wire.ModelInfo("m", "unidirectional", "frame", 10.0, 4, (head,), frame_size=1)
    frame = wire.encode(wire.Opened(bytes(16), info, head, 1, 1, 1.0))
    body = msgpack.unpackb(frame[2:])
    for place, where in ((body, "OPENED head"), (body["model"]["heads"], "OPENED model head 0")):
        key: Any = "head" if place is body else 0
        kept, place[key] = place[key], wrong
        with pytest.raises(OstinatoError, match=where):
            wire.decode_reply(frame[:2] + msgpack.packb(body))
        place[key] = kept
    body["model"]["heads"] = []
    with pytest.raises(OstinatoError, match="'heads' is empty"):
        wire.decode_reply(frame[:2] + msgpack.packb(body))


def test_a_specification_with_too_many_heads_is_refused() -> None:
    chain = Sequential("many", Frames(1), (Gru(2),), Outputs())
    made = tuple(Head(f"h{i}", chain.nodes[0].name, Outputs()) for i in range(MAX_HEADS + 1))
    with pytest.raises(OstinatoError, match=f"{MAX_HEADS + 1} heads are over the limit of {MAX_HEADS}"):
        Specification("many", Frames(1), chain.nodes, made)
