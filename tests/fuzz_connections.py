"""Connections that say anything but what they should. As a command, for a night: ``--connections 60000``."""

from __future__ import annotations

import argparse
import random
import socket
import struct
import sys
import time
from collections.abc import Callable
from functools import cache
from typing import Any

import msgpack
import numpy as np
from engine_models import models, sound
from random_models import bits, network
from raw_zmtp import GREETING, PING, command, frame, ready

from ostinato import protocol as wire
from ostinato.engine.columns import MANY
from ostinato.model.decoders import Ctc, Outputs
from ostinato.model.front_ends import LogMel
from ostinato.model.layers import Dense, Gru, Softmax
from ostinato.model.network import Network
from ostinato.model.specification import Sequential
from ostinato.streaming import Model
from ostinato.streaming.columns import Columns
from ostinato_client import Client

HELLO_TLS = bytes.fromhex("16030100c8010000c40303") + bytes(range(32)) + b"\x20" + bytes(150)
STRANGERS: dict[str, bytes] = {
    "five bytes, ZMTP 1": b"\x01\x00\x02\x00x",
    "ZMTP 1 with an identity": b"\x05\x00same\x02\x00x\x02\x00y",
    "ZMTP 2": b"\xff" + bytes(8) + b"\x7f\x01\x05\x00\x00\x00\x01x",
    "HTTP": b"GET / HTTP/1.1\r\nHost: 127.0.0.1:7077\r\nUser-Agent: Mozilla/5.0\r\nAccept: */*\r\n\r\n",
    "HTTP with a body": b"POST /v1/models HTTP/1.1\r\nContent-Length: 600\r\n\r\n" + b"x" * 600,
    "TLS": HELLO_TLS,
    "SSH": b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n",
    "Redis": b"*1\r\n$4\r\nPING\r\n",
    "half a greeting": GREETING[:20],
    "a greeting and no more": GREETING,
    "another mechanism": GREETING.replace(b"NULL\0", b"CURVE"),
    "PUB": GREETING + ready(b"PUB"),
    "no READY": GREETING + frame(b"x") * 50,
    "zeros": bytes(5000),
    "ones": b"\xff" * 5000,
    "nothing": b"",
}


def _message(rng: random.Random) -> bytes:
    kind = rng.choice([*range(16), 0x83, 255])
    fields = {
        name: rng.choice([0, -1, 2**63, 1.5, "x", b"x" * 16, b"", None, [1, 2], {"a": 1}, "digits-uni", "frames"])
        for name in rng.sample(["stream", "seq", "data", "dtype", "shape", "model", "token", "part", "parts"], 3)
    }
    return bytes((kind, rng.choice([0, 1, 1, 1, 2]))) + bytes(msgpack.packb(fields))


def _anything(rng: random.Random) -> bytes:
    return rng.choice(
        [
            lambda: frame(_message(rng)),
            lambda: frame(rng.randbytes(rng.randrange(300))),
            lambda: frame(rng.randbytes(rng.randrange(40)), True) * rng.randrange(1, 40),
            lambda: frame(b"") * rng.randrange(20),
            lambda: PING,
            lambda: command(rng.randbytes(rng.randrange(30))),
            lambda: bytes((rng.randrange(256),)) + struct.pack(">Q", rng.choice([0, 5, 1 << 17, 1 << 40, 2**64 - 1])),
            lambda: rng.randbytes(rng.randrange(1, 60)),
            lambda: frame(wire.encode(wire.Ping(b"z"))),
            lambda: frame(wire.encode(wire.Open(rng.randbytes(16), "frames"))),
        ]
    )()


def says(rng: random.Random) -> list[bytes]:
    """What one connection sends, piece by piece."""
    how = rng.random()
    if how < 0.25:
        return [rng.choice(list(STRANGERS.values()))]
    if how < 0.35:
        return [rng.randbytes(rng.randrange(200))]
    greeting = bytearray(GREETING + ready(identity=rng.choice([b"", b"", b"", b"x", b"\0abcd", b"x" * 255])))
    if how < 0.5:
        greeting[rng.randrange(len(greeting))] = rng.randrange(256)
    if how < 0.6:
        del greeting[rng.randrange(len(greeting)) :]
    return [bytes(greeting), *(_anything(rng) for _ in range(rng.randrange(1, 8)))]


def connect(endpoint: str, rng: random.Random) -> None:
    """One connection, from its first byte to its end, which may be abrupt."""
    host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=5) as end:
            pieces = says(rng)
            for n, piece in enumerate(pieces):
                end.sendall(piece)
                if n == 0 and len(pieces) > 1 and rng.random() < 0.8:
                    end.settimeout(0.05)
                    try:
                        while len(end.recv(4096)) == 64:  # the greeting, then READY
                            pass
                    except TimeoutError:
                        pass
                    end.settimeout(5)
            if rng.random() < 0.5:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    except OSError:
        pass  # cut, as it should be


def fuzz(endpoint: str, connections: int, seed: int, between: Callable[[int], None]) -> None:
    """So many connections; ``between`` is called after each hundred."""
    rng = random.Random(seed)
    for n in range(1, connections + 1):
        connect(endpoint, rng)
        if n % 100 == 0:
            between(n)


@cache
def talking() -> Model:
    """A model that can be held in columns, and says something new again and again, of noise too."""
    front_end, body = LogMel(mels=13), network(Sequential("said", LogMel(mels=13), (Gru(5),), Outputs()))
    own = {name: weight * (0.05 if name == "gru.forward.W" else 1) for name, weight in body.weights.items()}
    with Model(Network(body.specification, own)).stream() as stream:
        states = np.array([event.values for event in stream.push(sound(1.0))])
    W = 1e3 * np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
    own |= {"dense.W": W, "dense.b": -W @ states.mean(axis=0)}
    said = Sequential("said", front_end, (Gru(5), Dense(3), Softmax()), Ctc(("", "a", "b")))
    return Model(Network(said, own))


class Crowd:
    """An honest client whose many streams are held in columns, and at the end have the bits they have alone."""

    CHUNK = 640

    def __init__(self, endpoint: str, count: int = 24) -> None:
        assert Columns.fit(talking()) and count >= MANY, "else they are not held"
        self._client = Client(endpoint)
        self._streams = [self._client.open("said") for _ in range(count)]
        self._sounds = [sound(4.0, seed) for seed in range(count)]
        self._found: list[list[Any]] = [[] for _ in range(count)]
        self._pushed = 0

    def go_on(self) -> None:
        """Push a chunk to each stream, all at once, the sound over and over, and read what has come."""
        for stream, samples in zip(self._streams, self._sounds, strict=True):
            stream.push(self._chunk(samples, self._pushed))
        for stream, found in zip(self._streams, self._found, strict=True):
            found += stream.results()
        self._pushed += 1

    def finish(self) -> None:
        """Flush, and compare."""
        for stream, samples, found in zip(self._streams, self._sounds, self._found, strict=True):
            found += stream.flush()
            with talking().stream() as alone:
                wanted = [e for n in range(self._pushed) for e in alone.push(self._chunk(samples, n))] + alone.flush()
            assert len(wanted) > 2 and bits([event for result in found for event in result.events]) == bits(wanted)
        self._client.close()

    def _chunk(self, samples: Any, number: int) -> Any:
        start = number * self.CHUNK % len(samples)
        return samples[start : start + self.CHUNK]


def main() -> None:
    """Fuzz a server of one's own, with honest clients beside it."""
    from server_raw import Bystander

    from ostinato.server import Server

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, default=60_000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    print(f"{arguments.connections} connections, seed {arguments.seed}", flush=True)
    with Server(models("frames") | {"said": talking()}) as server:
        bystander, crowd = Bystander(server.endpoint), Crowd(server.endpoint)
        slowest = 0.0

        def between(n: int) -> None:
            nonlocal slowest
            start = time.monotonic()
            bystander.go_on()
            slowest = max(slowest, time.monotonic() - start)
            crowd.go_on()
            if n % 5000 == 0:
                print(f"{n}: an honest client waited {1000 * slowest:.0f} ms at most", flush=True)

        fuzz(server.endpoint, arguments.connections, arguments.seed, between)
        bystander.finish()
        crowd.finish()
    print("the server is well, and the honest clients have their bits")


if __name__ == "__main__":
    sys.exit(main())
