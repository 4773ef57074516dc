"""A fault of ours while answers are told costs the streams that it met; nobody keeps, or gets, what is another's."""

from __future__ import annotations

import time
from typing import Any

import pytest
from engine_models import frames, model, models

from ostinato import protocol as wire
from ostinato.engine import Engine, Limits, ticks
from ostinato.server import dialogue as dialogues
from ostinato.server.dialogue import FAULT, Dialogue
from ostinato.server.directory import Directory
from ostinato.server.peer import Peer
from ostinato.server.results import Written
from ostinato.server.settings import Settings


class Served:
    """A dialogue with some peers, each of which has one stream, of its own number."""

    def __init__(self, count: int) -> None:
        directory = Directory(100)
        self.engine = Engine(models("frames"), Limits(max_streams=100), closed=directory.remove)
        self.dialogue = Dialogue(self.engine, directory, Settings())
        self.peers = [Peer(bytes([i]) * 5, 5 + i, 0.0) for i in range(count)]
        for i in range(count):
            self.open(i)
        self.told()

    def open(self, i: int) -> None:
        self.send(i, wire.Open(self.stream(i), "frames"))

    def push(self, i: int, seq: int) -> None:
        self.send(i, wire.Push(self.stream(i), seq, frames(3, i)))

    @staticmethod
    def stream(i: int) -> bytes:
        return bytes([i]) * 16

    def send(self, i: int, message: wire.Request) -> None:
        self.dialogue.take(self.peers[i], wire.encode(message), time.monotonic_ns())

    def told(self) -> list[list[Any]]:
        """What each peer is answered: results by their events, errors by their codes, all else by its kind."""
        self.dialogue.deliver()
        while self.engine.busy:
            self.dialogue.answer(self.engine.tick_columns())
        found: list[list[Any]] = []
        for peer in self.peers:
            replies = [wire.decode_reply(frame) for frame in peer.outgoing]
            peer.outgoing.clear()
            found.append([])
            for reply in replies:
                if isinstance(reply, wire.Results):
                    found[-1] += [[*result.events] for result in reply.results]
                else:
                    found[-1].append((reply.code, reply.message) if isinstance(reply, wire.Error) else type(reply))
        return found


def alone(i: int, count: int = 1) -> list[Any]:
    with model("frames").stream() as stream:
        return [stream.push(frames(3, i)) for _ in range(count)][-1]


def test_whose_stream_was_lost_does_not_keep_its_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine gives a stream up, and a second fault comes before its peer is told."""
    served = Served(1)
    row = served.peers[0].streams[served.stream(0)]
    with monkeypatch.context() as faulty:
        faulty.setattr(ticks, "push", lambda *_: 1 // 0)
        served.push(0, 1)
        served.dialogue.deliver()
        served.engine.tick_columns()  # what it says is lost
    other = Peer(b"other", 9, 0.0)
    served.peers.append(other)
    served.open(1)
    assert other.streams == {served.stream(1): row}, "it stands where the lost one stood"
    served.push(0, 1)
    served.send(0, wire.Pushes([served.stream(0)], [1], [3], frames(3, 0)))
    served.push(1, 1)
    (mine, others) = served.told()
    assert [code for code, _ in mine] == ["unknown_stream"] * 2
    assert others[1:] == [alone(1)], "nobody else's input is in it"
    served.dialogue.forget(served.peers[0])
    served.push(1, 2)
    assert served.told()[1] == [alone(1, 2)]


def test_what_cannot_be_told_closes_its_stream_and_costs_the_others_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    served = Served(3)
    for i in range(3):
        served.push(i, 1)
    packed = dialogues.packed
    with monkeypatch.context() as faulty:
        faulty.setattr(dialogues, "packed", lambda s, r: 1 // 0 if s == served.stream(1) else packed(s, r))
        told = served.told()
    assert told == [[alone(0)], [("internal", FAULT), wire.Closed], [alone(2)]]
    assert "ZeroDivisionError" in caplog.text and served.engine.streams == 2
    assert not served.peers[1].streams
    served.open(1)
    for i, seq in ((0, 2), (1, 1), (2, 2)):
        served.push(i, seq)
    assert served.told() == [[alone(0, 2)], [wire.Opened, alone(1)], [alone(2, 2)]]


@pytest.mark.parametrize("where", ["fits", "frames"])
def test_what_cannot_be_written_together_is_written_one_by_one(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    served = Served(40)
    wanted = [[alone(i)] for i in range(40)]
    for i in range(40):
        served.push(i, 1)
    monkeypatch.setattr(Written, where, lambda *_: 1 // 0)
    assert served.told() == wanted
