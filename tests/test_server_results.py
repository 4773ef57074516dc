"""Results of many streams are written as each would be by itself."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from random_models import network

from ostinato import protocol as wire
from ostinato.engine import Answers
from ostinato.kernels.columns import ANSWERED, DECIDED, DECISION, IN_MS, TOLD
from ostinato.model import Sequential
from ostinato.model.decoders import Ctc
from ostinato.model.front_ends import Frames
from ostinato.model.layers import Dense, Softmax
from ostinato.server.directory import Directory
from ostinato.server.peer import Peer
from ostinato.server.results import Written, on_the_wire, packed
from ostinato.streaming import Head, Model

SYMBOLS = ("", "one", "a symbol of more than 31 bytes, whose head is longer", "é", *map(str, range(300)))
number = st.one_of(*[st.integers(0, 2**bits - 1) for bits in (7, 8, 16, 32, 62)])
finite = st.floats(0, 1e300)
told = st.tuples(number, st.integers(1, len(SYMBOLS) - 1), finite)
rows = st.tuples(
    st.integers(0, 2), st.binary(min_size=16, max_size=16), finite, finite, *[number] * 5, st.lists(told, max_size=20)
)


@cache
def head(symbols: tuple[str, ...] = SYMBOLS) -> Head:
    specification = Sequential("letters", Frames(3, frame_ms=7.3), (Dense(len(symbols)), Softmax()), Ctc(symbols))
    return next(iter(Model(network(specification)).heads.all.values()))


Keys = list[tuple[Peer, bytes]]


def opened(keys: Keys) -> tuple[Directory, Written, Any]:
    """For the results of these streams, and the rows that they have, from the highest down."""
    directory, places = Directory(2 * len(keys)), 2 * len(keys) - 1 - np.arange(len(keys))
    for (peer, stream), row in zip(keys, places.tolist(), strict=True):
        directory.add(peer, stream, row)
    return directory, Written(directory), places


def by_row(places: Any, keys: Keys) -> list[Any]:
    found = dict(zip(places.tolist(), keys, strict=True))
    return [found.get(row) for row in range(2 * len(keys))]


@settings(deadline=None, max_examples=100)
@given(st.lists(rows, min_size=1, max_size=400, unique_by=lambda row: row[:2]), finite, st.booleans())
def test_results_of_many_streams_are_written_as_each_would_be(many, computing_ms, without):
    peers = [Peer(bytes([i]), i, 0.0) for i in range(3)]
    numbers = np.empty((len(many), ANSWERED), np.int64)
    decisions = []
    for i, (_, _, at_ms, waited_ms, *values, events) in enumerate(many):
        events = [] if without else events
        numbers[i].view(np.float64)[:IN_MS] = at_ms, waited_ms
        numbers[i, IN_MS:TOLD] = values
        numbers[i, [TOLD, DECISION]] = len(events), len(decisions)
        decisions += [(i, frame, index, np.float64(value).view(np.int64)) for frame, index, value in events]
    keys = [(peers[row[0]], row[1]) for row in many]
    _, written, places = opened(keys)
    found = np.array(decisions, np.int64).reshape(-1, DECIDED)
    answers = Answers(places, numbers, computing_ms, by_row(places, keys), found, None if without else head())
    wanted = {peer: [] for peer in peers}
    for answer in sorted(answers, key=lambda answer: bool(answer.events)):
        wanted[answer.key[0]].append(on_the_wire(answer.key[1], answer))
    for _ in range(2):  # its memory is used again
        made = dict(written.frames(answers))
        assert set(made) == {peer for peer, results in wanted.items() if results}
        for peer, frames in made.items():
            assert frames == wire.encode_results(wanted[peer])
            for frame in frames:
                wire.decode_reply(frame)


def test_messages_are_as_few_as_fit():
    count = 1000
    numbers = np.zeros((count, ANSWERED), np.int64)
    peer = Peer(b"p", 1, 0.0)
    keys = [(peer, i.to_bytes(16, "big")) for i in range(count)]
    _, written, places = opened(keys)
    ((_, frames),) = written.frames(Answers(places, numbers, 1.0, by_row(places, keys)))
    read = [wire.decode_reply(frame).results for frame in frames]
    assert [int.from_bytes(result.stream, "big") for results in read for result in results] == list(range(count))
    assert len(frames) == -(-count * len(wire.PLAIN) // wire.MAX_RESULT_BYTES)


def test_what_is_too_long_for_a_message_is_cut() -> None:
    """Thirty symbols of three thousand characters: the server wrote empty messages without end."""
    numbers = np.zeros((2, ANSWERED), np.int64)
    numbers[0, TOLD] = 30
    decisions = np.zeros((30, DECIDED), np.int64)
    decisions[:, 1], decisions[:, 2] = np.arange(30), 1
    peer = Peer(b"p", 1, 0.0)
    keys = [(peer, bytes([i]) * 16) for i in range(2)]
    _, written, places = opened(keys)
    short = Answers(places, numbers, 1.0, by_row(places, keys), decisions, head())
    assert written.fits(short)
    long = replace(short, head=head(("", "a" * 3000)))
    assert not written.fits(long)
    singly = list(long)
    assert [len(answer.events) for answer in singly] == [30, 0]
    frames = wire.encode_results(packed(answer.key[1], answer) for answer in singly)
    read = [result for frame in frames for result in wire.decode_reply(frame).results]
    assert len(frames) > 1 and sum(len(result.events) for result in read) == 30


def test_results_of_streams_that_are_closed_meanwhile_are_left_out() -> None:
    peers = [Peer(bytes([i]), i, 0.0) for i in range(2)]
    keys = [(peers[i % 2], bytes([i]) * 16) for i in range(5)]
    directory, written, places = opened(keys)
    answers = Answers(places, np.zeros((5, ANSWERED), np.int64), 1.0, by_row(places, keys))
    for closed in (0, 1, 3):
        directory.remove(keys[closed])
    ((peer, (frame,)),) = written.frames(answers)
    read = wire.decode_reply(frame)
    assert peer is peers[0] and isinstance(read, wire.Results)
    assert [result.stream for result in read.results] == [keys[2][1], keys[4][1]]
    directory.remove(keys[2])
    directory.remove(keys[4])
    assert list(written.frames(answers)) == []
