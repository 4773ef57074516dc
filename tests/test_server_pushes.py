"""Pushes that come each in a message of its own are gathered, and answered as if they had not been."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from engine_models import frames, model, models

from ostinato import protocol as wire
from ostinato.engine import Engine, Limits
from ostinato.server.dialogue import Dialogue
from ostinato.server.directory import Directory
from ostinato.server.peer import Peer
from ostinato.server.settings import Settings

STREAMS = [bytes([i]) * 16 for i in range(10)]


class Served:
    """A dialogue with two peers, of whose streams each has five."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        directory = Directory(100)
        self.engine = Engine(models("frames"), Limits(max_streams=100), closed=directory.remove)
        self.dialogue = Dialogue(self.engine, directory, Settings())
        self.peers = [Peer(bytes(4) + bytes([i]), 5 + i, 0.0) for i in range(2)]
        self.groups: list[int] = []
        push_all = self.engine.push_all

        def counted(pushes: Any, *others: Any) -> set[int]:
            self.groups.append(len(pushes[0]))
            return push_all(pushes, *others)

        monkeypatch.setattr(self.engine, "push_all", counted)
        for i, stream in enumerate(STREAMS):
            self.send(i, wire.Open(stream, "frames"))
        self.replies()

    def send(self, i: int, message: wire.Request) -> None:
        self.dialogue.take(self.peers[i % 2], wire.encode(message), time.monotonic_ns())

    def push(self, i: int, seq: int, data: Any) -> None:
        self.send(i, wire.Push(STREAMS[i], seq, data))

    def replies(self) -> list[tuple[int, wire.Reply]]:
        """All that is answered, and to whom."""
        self.dialogue.deliver()
        while self.engine.busy:
            self.dialogue.answer(self.engine.tick_columns())
        found = [(i, wire.decode_reply(frame)) for i, peer in enumerate(self.peers) for frame in peer.outgoing]
        for peer in self.peers:
            peer.outgoing.clear()
        return found


def test_single_pushes_are_a_group(monkeypatch: pytest.MonkeyPatch) -> None:
    served, alone = Served(monkeypatch), [model("frames").stream() for _ in STREAMS]
    for seq in (1, 2, 3):
        given = [frames(3 + i, 10 * seq + i) for i in range(len(STREAMS))]
        for i, data in enumerate(given):
            served.push(i, seq, data)
        found = {}
        for peer, reply in served.replies():
            assert isinstance(reply, wire.Results)
            for result in reply.results:
                assert STREAMS.index(result.stream) % 2 == peer and result.seq == seq
                found[result.stream] = [*result.events]
        wanted = [stream.push(data) for stream, data in zip(alone, given, strict=True)]
        assert [found[stream] for stream in STREAMS] == wanted
    assert served.groups == [10, 10, 10]


def test_what_is_unusual_among_single_pushes_is_done_in_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    served = Served(monkeypatch)
    for i in range(9):
        served.push(i, 1, frames(2, i))
    served.push(8, 2, frames(2, 8))  # a second one of a stream
    served.push(9, 2, frames(2, 9))  # out of turn
    served.send(0, wire.Flush(STREAMS[0], 2))
    served.push(1, 2, np.zeros((2, 3), np.int16))  # of another kind
    served.send(2, wire.Close(STREAMS[2]))
    served.push(2, 2, frames(2, 2))
    answered: dict[bytes, list[Any]] = {stream: [] for stream in STREAMS}
    for _, reply in served.replies():
        if isinstance(reply, wire.Results):
            for result in reply.results:
                answered[result.stream].append((result.seq, result.final))
        elif isinstance(reply, wire.Error):
            answered[reply.stream or b""].append(reply.code)
        elif isinstance(reply, wire.Closed):
            answered[reply.stream].append("closed")
    assert answered[STREAMS[0]] == [(1, False), (2, True)]
    assert answered[STREAMS[1]] == [(1, False), "bad_dtype"]
    assert answered[STREAMS[2]] == ["closed", "unknown_stream"]
    assert answered[STREAMS[8]] == [(1, False), (2, False)]
    assert answered[STREAMS[9]] == ["sequence_gap"]
    assert all(answered[STREAMS[i]] == [(1, False)] for i in range(3, 8))


def test_a_fault_among_single_pushes_is_told_to_each(monkeypatch: pytest.MonkeyPatch) -> None:
    served = Served(monkeypatch)
    monkeypatch.setattr(served.engine, "push_all", lambda *_: 1 // 0)
    for i in range(10):
        served.push(i, 1, frames(2, i))
    replies = served.replies()
    assert {reply.stream for _, reply in replies if isinstance(reply, wire.Error)} == set(STREAMS)
    served.send(0, wire.Ping(b"still there"))
    assert [reply for _, reply in served.replies()] == [wire.Pong(b"still there")]
