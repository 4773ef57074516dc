"""Hotwords that a stream brings: as if its model's head had them, whatever the company; bounded, and refused by name
where there is no beam to expect them."""

from __future__ import annotations

import weakref
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from random_models import bits, network

from ostinato.engine import Engine
from ostinato.errors import BadMessageError, InputError, SnapshotError
from ostinato.events import Event
from ostinato.model.decoders import Ctc, CtcBeam
from ostinato.model.front_ends import Frames
from ostinato.model.layers import Dense, Gru, Softmax
from ostinato.model.network import Network
from ostinato.model.specification import Head, Sequential
from ostinato.options import Options
from ostinato.server import Server
from ostinato.streaming import Model, Stream
from ostinato.streaming import snapshot as snapshots
from ostinato.streaming.batch import push
from ostinato_client import Client

LETTERS = ("", " ", *"abcde")
BEAM = CtcBeam(LETTERS, separator="", width=4, lag=6, number_of_contexts=3, language_weight=0.5, hotword_boost=4.0)
WORDS: list[dict[str, Any]] = [
    {"hotwords": ["abba", "dead"]},
    {"hotwords": ("dead", "bee"), "hotword_boost": 8.0},
    {},
    {"hotwords": ["abba", "dead"]},
    {"hotwords": []},
    {"head": "greedy"},
]


def made(*hotwords: str) -> Network:
    """A model of letters, that expects these by itself, and whose second head searches for nothing."""
    body = (Gru(6), Dense(len(LETTERS)), Softmax())
    specification = Sequential("letters", Frames(3), body, replace(BEAM, hotwords=hotwords))
    (head,) = specification.heads
    heads = (head, Head("greedy", head.node, Ctc(LETTERS, separator="")))
    return network(replace(specification, heads=heads))


MODEL = Model(made("cab"))
FRAMES = [np.random.default_rng(seed).normal(0, 3, (60, 3)).astype(np.float32) for seed in range(len(WORDS))]


def whole(stream: Stream, frames: np.ndarray) -> list[Event]:
    """What a stream makes of frames, and of their end."""
    with stream:
        return stream.push(frames) + stream.flush()


ALONE = [whole(MODEL.stream(**words), frames) for words, frames in zip(WORDS, FRAMES, strict=True)]


def test_they_count_as_if_they_were_the_heads_own() -> None:
    own = Model(Network(replace_hotwords(MODEL.network, ("abba", "dead"), 4.0), MODEL.network.weights))
    assert bits(ALONE[0]) == bits(whole(own.stream(), FRAMES[0]))
    assert bits(ALONE[4]) == bits(whole(Model(made()).stream(), FRAMES[4])), "an empty list is none"
    changed = [bits(each) != bits(whole(MODEL.stream(), frames)) for each, frames in zip(ALONE, FRAMES, strict=True)]
    assert changed[0] and changed[1] and not changed[2]


def replace_hotwords(model: Network, words: tuple[str, ...], boost: float) -> Any:
    """The model's specification with hotwords in its first head."""
    head, *others = model.specification.heads
    head = replace(head, decoder=replace(head.decoder, hotwords=words, hotword_boost=boost))
    return replace(model.specification, heads=(head, *others))


def test_neither_company_nor_cuts_nor_snapshots_matter() -> None:
    streams = [MODEL.stream(**words) for words in WORDS]
    found: list[list[Event]] = [[] for _ in streams]
    for start in range(0, 60, 4):
        parts = [frames[start : start + 4] for frames in FRAMES]
        together = push([stream.record for stream in streams], parts, [4] * len(parts))
        for events, more in zip(found, together, strict=True):
            events += more
        if start == 28:
            other = Model(MODEL.network)
            streams = [other.restore(stream.snapshot()) for stream in streams]
        if start == 40:
            streams = [stream.fork() for stream in streams]
    for stream, events, wanted in zip(streams, found, ALONE, strict=True):
        assert bits(events + stream.flush()) == bits(wanted)


def test_streams_with_the_same_words_share_them_and_the_last_one_takes_them_along() -> None:
    model = Model(MODEL.network)
    one, other, third = (model.stream(**WORDS[i]) for i in (0, 3, 1))
    assert one.head is other.head is not third.head
    with pytest.raises(InputError, match=r"hotwords = .* is not what the stream of the snapshot has"):
        model.restore(one.snapshot(), Options(hotwords=("bee",)))
    left, kept = weakref.ref(one.head), weakref.ref(third.head)
    del one
    assert left() is other.head
    del other
    assert left() is None and kept() is third.head


def test_a_server_counts_them_and_a_client_brings_them() -> None:
    engine = Engine({"letters": MODEL})
    reserved = [engine.usage.reserved_bytes]
    for i, words in enumerate(((), ("ab" * 60,) * 3)):
        engine.open(i, "letters", Options(hotwords=words))
        reserved.append(engine.usage.reserved_bytes)
    none, some = np.diff(reserved)
    assert some - none >= 120 * len(LETTERS) * 6, "an automaton's factors and states are reserved"
    with Server({"letters": MODEL}) as server, Client(server.endpoint) as client:
        streams = [client.open("letters", **words) for words in WORDS]
        for stream, frames in zip(streams, FRAMES, strict=True):
            stream.push(frames)
        for stream, wanted in zip(streams, ALONE, strict=True):
            results = [*stream.results(), *stream.flush()]
            assert bits([event for result in results for event in result.events]) == bits(wanted)
        for words, error, what in (
            ({"hotwords": ["ab"], "head": "greedy"}, InputError, "ask for head 'main'"),
            ({"hotwords": ["a"] * 257}, BadMessageError, "hotwords"),
            ({"hotwords": ["a" * 129]}, BadMessageError, "hotwords"),
            ({"hotword_boost": 1.0}, InputError, "give both"),
        ):
            with pytest.raises(error, match=what):
                client.open("letters", **words)


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ({"hotwords": ["ab"], "head": "greedy"}, "'greedy' of letters is decoded by 'ctc': ask for head 'main'"),
        ({"hotwords": ["ab"], "decoder": "outputs"}, "is decoded by 'outputs'"),
        ({"hotwords": "ab"}, "'ab' is one text: give a list"),
        ({"hotwords": ["axe"]}, "hotword 'axe' cannot be said"),
        ({"hotwords": ["ab\ud800"]}, "half a character"),
        ({"hotwords": [""]}, "hotword '' is no text of 1 to 128 characters"),
        ({"hotwords": ["a" * 129]}, "is no text of 1 to 128 characters"),
        ({"hotwords": ["a"] * 257}, "257 hotwords are more than 256"),
        ({"hotwords": ["ab" * 60] * 20}, "hotwords of more than 2048 symbols"),
        ({"hotwords": [7]}, "hotword 7 is no text"),
        ({"hotword_boost": 2.0}, "give both"),
        ({"hotwords": ["ab"], "hotword_boost": 20.5}, "hotword_boost = 20.5"),
        ({"hotwords": ["ab"], "hotword_boost": float("nan")}, "hotword_boost = nan"),
    ],
)
def test_what_cannot_be_expected_is_refused(words: dict[str, Any], what: str) -> None:
    with pytest.raises(InputError, match=what):
        MODEL.stream(**words)


def test_a_forged_snapshot_brings_no_others() -> None:
    with MODEL.stream(hotwords=["dead"]) as stream:
        parts = snapshots.decode(stream.snapshot())
    for words in (["axe"], ["a"] * 257, [3], "dead", {"a": 1}):
        parts[0]["options"]["hotwords"] = words
        with pytest.raises(SnapshotError, match="damaged"):
            MODEL.restore(snapshots.encode(parts))
