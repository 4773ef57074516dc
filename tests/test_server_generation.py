"""Language models over the wire: both clients read tokens as they come; who does not read pauses its own stream."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator
from itertools import islice
from typing import Any

import msgpack
import numpy as np
import pytest
from random_models import VOCABULARY, bits, network
from server_raw import Raw

from ostinato import protocol as wire
from ostinato.errors import BadMessageError, DivergedError, InputError, StreamError
from ostinato.events import Event
from ostinato.model import Head, Network, Node, Sequential, Specification
from ostinato.model.decoders import Generation, Outputs
from ostinato.model.front_ends import Tokens
from ostinato.model.layers import Dense, Embedding, Gru
from ostinato.sampling import Sampling
from ostinato.server import Server
from ostinato.streaming import Model
from ostinato_client import AsyncClient, Client, Stream
from ostinato_client.stream_core import AHEAD

LONG = 20.0
NODES = (
    Node("letter", Embedding(4), ("frames",)),
    Node("body", Gru(8), ("letter",)),
    Node("next", Dense(8), ("body",)),
)
HEADS = (Head("text", "next", Generation(start=0, longest=400)), Head("all", "next", Outputs()))
LETTERS = Model(network(Specification("letters", Tokens(VOCABULARY), NODES, HEADS)))
HOW = Sampling(seed=3, temperature=0.9, top_k=7, top_p=0.97)


def served() -> dict[str, Model]:
    return {"letters": LETTERS}


def alone(prompt: str, how: Sampling | None = HOW, longest: int | None = None) -> list[Event]:
    with LETTERS.stream() as stream:
        stream.push(prompt)
        return list(stream.generate(how, longest))


@contextlib.contextmanager
def opened(server: Server) -> Iterator[Stream]:
    with Client(server.endpoint, timeout=LONG) as client, client.open("letters") as stream:
        yield stream


def test_both_clients_read_the_tokens_of_a_stream_alone() -> None:
    async def other(endpoint: str) -> list[Event]:
        async with AsyncClient(endpoint, timeout=LONG) as client, await client.open("letters") as stream:
            await stream.push("bad")
            return [event async for event in stream.generate(HOW)]

    with Server(served()) as server, Client(server.endpoint, timeout=LONG) as client:
        with client.open("letters") as stream:
            stream.push("bad")
            events = list(stream.generate(HOW))
            assert len(events) == 401 and bits(events) == bits(alone("bad"))
            stream.push("fed")
            more = list(stream.generate(longest=3))
            assert [event.kind for event in more] == 3 * ["token"] + ["end-of-generation"]
        assert bits(asyncio.run(other(server.endpoint))) == bits(alone("bad"))


def test_who_breaks_off_pauses_it_and_goes_on() -> None:
    with Server(served()) as server, opened(server) as stream, opened(server) as others:
        first = list(islice(stream.generate(HOW), 5))
        deadline = time.monotonic() + LONG
        while stream.unread < AHEAD - 5:
            assert time.monotonic() < deadline
            time.sleep(0.002)
        assert len(list(others.generate(HOW))) == 401  # nobody else waits for it
        stream.mark()
        assert stream.unread <= AHEAD  # it is not ahead by more
        with pytest.raises(StreamError, match="a generation is in progress"):
            stream.generate(longest=4)
        stream.push("a")
        with pytest.raises(StreamError, match="its own tokens are its input"):
            stream.mark()
        assert bits(first + list(stream.generate())) == bits(alone(""))


def test_what_was_not_read_is_told_when_it_is_ended() -> None:
    with Server(served()) as server, opened(server) as stream, LETTERS.stream() as same:
        said = list(islice(stream.generate(HOW), 3)) + stream.end_generation()
        assert bits(said) == bits(alone("")[: len(said)]) and 3 <= len(said) <= AHEAD + 3
        stream.push("bad")
        again = list(stream.generate(HOW, 10))
        same.push(VOCABULARY[0] + "".join(event.text for event in said) + "bad")
        assert [event.index for event in again] == [event.index for event in same.generate(HOW, 10)]
        assert stream.end_generation() == []


def test_a_snapshot_takes_a_generation_along() -> None:
    with Server(served()) as server, Client(server.endpoint, timeout=LONG) as client:
        with client.open("letters") as stream:
            list(islice(stream.generate(HOW), 3))
            kept = stream.snapshot()
            with stream.fork() as fork:
                assert fork.results() == []
                rest = list(fork.generate())
        assert bits(rest) == bits(alone("")[-len(rest) :]) and len(rest) > 300
        with client.open("letters", snapshot=kept) as stream:
            with pytest.raises(StreamError, match="generating"):
                stream.push("a")
                stream.mark()
            first, last = list(islice(stream.generate(), 2)), alone("")
            assert any(bits(first) == bits(last[i : i + 2]) for i in range(len(last)))
            stream.reset()
            stream.push("bad")
            assert [e.index for e in stream.generate(HOW)] == [e.index for e in alone("bad")]


def test_flush_ends_it() -> None:
    with (
        Server(served()) as server,
        Client(server.endpoint, timeout=LONG) as client,
        client.open("letters") as stream,
    ):
        list(islice(stream.generate(HOW), 3))
        assert stream.flush()[-1].final
        stream.push("bad")
        assert [e.index for e in stream.generate(HOW)] == [e.index for e in alone("bad")]


def test_errors_are_told_at_once() -> None:
    with Server(served()) as server, Client(server.endpoint, timeout=LONG) as client:
        with client.open("letters", head="all") as stream:
            with pytest.raises(InputError, match="open the stream with head 'text'"):
                stream.generate()
            stream.push("a")
            assert len(stream.flush()) == 2
        with client.open("letters") as stream:
            for _ in range(2):
                assert len(list(stream.generate(longest=2))) == 3


def test_what_overflows_is_told_and_the_stream_goes_on() -> None:
    layers = (Embedding(4), Dense(8), Dense(8))
    grown = Network.random(Sequential("grown", Tokens(VOCABULARY), layers, Generation()))
    weights = {name: np.full_like(array, 1e30 if array.ndim > 1 else 0) for name, array in grown.weights.items()}
    weights["embedding.E"][0] = 0
    which = {"grown": Model(Network(grown.specification, weights))}
    with Server(which) as server, Client(server.endpoint, timeout=LONG) as client, client.open("grown") as stream:
        stream.push("a")
        with pytest.raises(DivergedError):
            list(stream.generate(Sampling(seed=2)))
        stream.reset()
        stream.push("a")
        stream.mark()


def test_beams_over_the_wire() -> None:
    """Tokens come several at a time, as far as the client has room, and a snapshot takes the beam along."""
    how = Sampling(beams=4, length_penalty=0.7)
    with (
        Server(served()) as server,
        Client(server.endpoint, timeout=LONG) as client,
        client.open("letters") as stream,
    ):
        first = list(islice(stream.generate(how), 30))
        stream.mark()
        assert stream.unread <= AHEAD
        with stream.fork() as fork:
            rest = list(fork.generate())
        assert bits(first + list(stream.generate())) == bits(alone("", how))
        assert 300 < len(rest) < 401 and bits(rest) == bits(alone("", how)[-len(rest) :])
        list(islice(stream.generate(how), 5))
        said = stream.end_generation()
        assert len(said) <= AHEAD + 5
        assert asyncio.run(found_by_the_other(server.endpoint, how)) == bits(alone("bad", how))


async def found_by_the_other(endpoint: str, how: Sampling) -> list[Any]:
    async with AsyncClient(endpoint, timeout=LONG) as client, await client.open("letters") as stream:
        await stream.push("bad")
        return bits([event async for event in stream.generate(how)])


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"tokens": 0}, "'tokens' is not an integer from 1 to 256"),
        ({"tokens": 257}, "'tokens'"),
        ({"seed": 2**53}, "'seed'"),
        ({"temperature": -1.0}, "'temperature'"),
        ({"top_k": 0}, "'top_k'"),
        ({"top_p": 1.5}, "top_p = 1.5 is not above 0 and at most 1"),
        ({"longest": 65537}, "'longest'"),
        ({"beams": 17}, "'beams' is not an integer from 1 to 16"),
        ({"beams": 4, "length_penalty": 11.0}, "length_penalty = 11.0 is not a number from 0"),
        ({"beams": 4, "top_k": 2}, "leave top_k out, or beams"),
        ({"voices": 4}, "does not know"),
    ],
)
def test_wrong_fields_are_named(changes: dict[str, Any], says: str) -> None:
    fields = {"stream": bytes(16), "seq": 1, "tokens": 5} | changes
    with pytest.raises(BadMessageError, match=says):
        wire.decode_request(bytes((wire.Generate.TYPE, 1)) + msgpack.packb(fields))


def test_tokens_come_as_far_as_there_is_room() -> None:
    """Without a client: MORE asks for more, END_GENERATION for no more."""
    with Server(served()) as server, Raw(server.endpoint) as raw:
        stream = raw.open("letters")
        found: list[Event] = []

        def until(seq: int, events: int) -> None:
            done = 0
            while done < seq or len(found) < events:
                reply = raw.receive()
                assert isinstance(reply, wire.Results)
                for result in reply.results:
                    assert result.first == len(found)
                    done, found[len(found) :] = result.seq, result.events

        raw.send(wire.Generate(stream, 1, 3, HOW))
        until(1, 3)
        raw.send(wire.More(stream, 2, 2))
        until(2, 5)
        raw.send(wire.EndGeneration(stream, 3), wire.More(stream, 4, 9), wire.Push(stream, 5, "a"))
        until(5, 5)
        assert bits(found) == bits(alone("")[:5])
        assert raw.refused(wire.Generate(stream, 7, 3)).code == "sequence_gap"
