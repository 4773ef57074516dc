"""Texts made of sources over the wire, by both clients."""

from __future__ import annotations

import asyncio
from itertools import islice

import msgpack
import pytest
from engine_models import encoder_decoder
from random_models import bits
from server_raw import Raw

from ostinato import protocol as wire
from ostinato.errors import InputError, StreamError, UnknownTokenError
from ostinato.events import Event
from ostinato.sampling import Sampling
from ostinato.server import Server
from ostinato_client import AsyncClient, Client

LONG = 20.0
HOW = Sampling(seed=3, temperature=0.9, top_k=7)
FORWARD, BACKWARD = encoder_decoder(longest=200), encoder_decoder(True, longest=200)
SERVED = {"forward": FORWARD, "backward": BACKWARD}


def alone(name: str, source: str, wait_k: int | None = None) -> list[Event]:
    with SERVED[name].stream(wait_k=wait_k, sampling=HOW if wait_k else None) as stream:
        return stream.push(source) + list(stream.generate(HOW))


def test_both_clients_read_the_tokens_of_a_stream_alone() -> None:
    async def other(endpoint: str, name: str) -> list[Event]:
        async with AsyncClient(endpoint, timeout=LONG) as client, await client.open(name) as stream:
            await stream.push("fed a bad cab")
            first = [event async for event in stream.generate(HOW)]
            await stream.flush()
            await stream.push("dad")
            return first + [event async for event in stream.generate(HOW)]

    with Server(SERVED) as server, Client(server.endpoint, timeout=LONG) as client:
        for name in SERVED:
            with client.open(name) as stream:
                assert stream.head.decoder == "generation" and stream.head.delay_frames is None
                stream.push("fed a bad cab")
                events = list(stream.generate(HOW))
                assert bits(events) == bits(alone(name, "fed a bad cab")) and len(events) == 201
                stream.push("a")
                with pytest.raises(StreamError, match="flush the stream"):
                    stream.mark()
                (flushed,) = [result for result in stream.flush() if result.final]
                assert flushed.events == ()
                stream.push("dad")
                events += stream.generate(HOW)
            assert bits(asyncio.run(other(server.endpoint, name))) == bits(events)


def test_wait_k_gives_tokens_while_the_source_goes_on() -> None:
    """Read with the results of what is pushed, or, unread, as the first that `generate` gives."""
    with Server(SERVED) as server, Client(server.endpoint, timeout=LONG) as client:
        with client.open("forward", wait_k=2, sampling=HOW) as stream:
            assert stream.head.delay_frames == 1
            events: list[Event] = []
            for letter in "bad cab":
                stream.push(letter)
                stream.mark()
                events += [event for result in stream.results() for event in result.events]
            assert len(events) == 6
            events += stream.generate()
            assert bits(events) == bits(alone("forward", "bad cab", 2))
        with client.open("forward", wait_k=2, sampling=HOW) as stream:
            stream.push("bad cab")
            assert bits(list(stream.generate())) == bits(events)
        with pytest.raises(InputError, match="node 'gru': wait_k is for encoders that run forward"):
            client.open("backward", wait_k=2)


@pytest.mark.parametrize("name", SERVED)
def test_snapshots_and_forks_take_a_text_along(name: str) -> None:
    with Server(SERVED) as server, Client(server.endpoint, timeout=LONG) as client, client.open(name) as stream:
        stream.push("fed a bad cab")
        kept = stream.snapshot()
        wanted = alone(name, "fed a bad cab")
        first = list(islice(stream.generate(HOW), 5))
        with client.open(name, snapshot=kept) as again, stream.fork() as fork:
            assert bits(list(again.generate(HOW))) == bits(wanted)
            rest = list(fork.generate())
        assert bits(rest) == bits(wanted[-len(rest) :]) and len(rest) >= 100
        assert bits(first + list(stream.generate())) == bits(wanted)


def test_what_is_wrong_with_a_source_is_told() -> None:
    with Server(SERVED) as server, Client(server.endpoint, timeout=LONG) as client, client.open("forward") as stream:
        with pytest.raises(InputError, match="push a source of 'letters' first"):
            list(stream.generate())
        stream.push("bad")
        stream.push("zoo")
        with pytest.raises(UnknownTokenError, match="'z'"):
            stream.mark()
        assert bits(list(stream.generate(HOW))) == bits(alone("forward", "bad"))


def test_fields_are_read_strictly() -> None:
    with Server(SERVED) as server, Raw(server.endpoint) as raw:
        for number, (fields, named) in enumerate(
            [
                ({"wait_k": 0}, "wait_k"),
                ({"wait_k": 2, "sampling": {"seed": -1}}, "seed"),
                ({"wait_k": 2, "sampling": {"sed": 1}}, "does not know"),
                ({"wait_k": 2, "sampling": 3}, "is not a map"),
            ]
        ):
            body = {"stream": bytes([number]) * 16, "model": "forward", **fields}
            error = raw.refused(bytes((wire.Open.TYPE, wire.VERSION)) + msgpack.packb(body))
            assert error.code == "bad_message" and named in error.message
