"""The end of speech by a decoder's trailing blanks: where a few lines of Python find it, whatever the cuts, the
company and the snapshots, of causal heads and of blocks; refused by name where no blank could tell in time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_models import Case, bits, network

from ostinato import pipeline
from ostinato.errors import BadMessageError, InputError, SnapshotError
from ostinato.events import Event
from ostinato.model.decoders import Ctc, CtcBeam, Labels
from ostinato.model.front_ends import Frames
from ostinato.model.layers import Dense, Gru, Softmax
from ostinato.model.network import Network
from ostinato.model.specification import Head, Sequential
from ostinato.options import Options
from ostinato.pipeline.decoders.trailing_blanks import TrailingBlanksDecoder
from ostinato.server import Server
from ostinato.streaming import Model, Stream
from ostinato.streaming import snapshot as snapshots
from ostinato.streaming.batch import push
from ostinato_client import Client

FRAME_MS, BLANKS = 10.0, 4
SYMBOLS = ("a", "", "b", "other")
CTC = Ctc(SYMBOLS, blank=1, separator="", silent=("other",))
BEAM = CtcBeam(SYMBOLS, blank=1, separator="", silent=("other",), width=4, lag=6)
ASKED: list[dict[str, Any]] = [
    {"trailing_blanks_ms": 35.0},
    {"trailing_blanks_ms": 35.0, "head": "beam"},
    {},
    {"trailing_blanks_ms": 20.0, "head": "beam", "hotwords": ["ab"]},
    {"trailing_blanks_ms": 35.0},
    {"head": "beam"},
]


def made(direction: Any) -> Model:
    """A model of frames whose outputs often rest at the blank, with three heads over them."""
    body = (Gru(6, direction=direction), Dense(len(SYMBOLS)), Softmax())
    (head,) = (specification := Sequential("letters", Frames(3, frame_ms=FRAME_MS), body, CTC)).heads
    others = (Head("beam", head.node, BEAM), Head("labels", head.node, Labels(SYMBOLS)))
    drawn = network(replace(specification, heads=(head, *others)))
    weights = {name: weight.copy() for name, weight in drawn.weights.items()}
    (bias,) = (name for name in weights if weights[name].shape == (len(SYMBOLS),))
    weights[bias][1] += 0.5
    return Model(Network(drawn.specification, weights))


CAUSAL, BOTH = made("forward"), made("bidirectional")
FRAMES = [np.random.default_rng(seed).normal(0, 3, (90, 3)).astype(np.float32) for seed in range(len(ASKED))]


def whole(stream: Stream, frames: np.ndarray) -> list[Event]:
    """What a stream makes of frames, and of their end."""
    with stream:
        return stream.push(frames) + stream.flush()


def ends(events: list[Event]) -> list[Event]:
    return [event for event in events if event.kind == "end-of-speech"]


def without(events: list[Event]) -> list[Event]:
    return [event for event in events if event.kind != "end-of-speech"]


def expected(path: list[int], blanks: int) -> list[tuple[int, float]]:
    """The frame and the time of each end of speech on this path of outputs."""
    found, heard, last = [], False, -1
    for frame, index in enumerate(path):
        if index != 1:
            heard, last = heard or index != 3, frame
        if heard and frame - last == blanks:
            found.append((frame, (last + 1) * FRAME_MS))
            heard = False
    return [*found, (len(path) - 1, (last + 1) * FRAME_MS)] if heard else found


@settings(max_examples=200, deadline=None)
@given(path=st.lists(st.sampled_from((0, 1, 1, 1, 2, 3)), min_size=1, max_size=60), beam=st.booleans())
def test_it_ends_where_enough_blanks_follow_a_symbol_that_is_told(path: list[int], beam: bool) -> None:
    weights = {"scores": np.zeros((1, 4), np.float32), "contexts": np.zeros((1, 4), np.float32)}
    own = pipeline.decoder(BEAM if beam else CTC, FRAME_MS, 0.0, weights if beam else {})
    decoder = TrailingBlanksDecoder(own, 35.0)
    outputs = np.full((len(path), 4), 0.1, np.float32)
    outputs[np.arange(len(path)), path] = 0.7
    state = decoder.start()
    events = decoder.step(state, outputs) + decoder.flush(state)
    assert [(event.frame, event.time_ms) for event in ends(events)] == expected(path, BLANKS)
    alone = own.start()
    assert bits(without(events)) == bits(own.step(alone, outputs) + own.flush(alone))


ALONE = [whole(CAUSAL.stream(**asked), frames) for asked, frames in zip(ASKED, FRAMES, strict=True)]


def test_the_examples_have_ends_between_symbols() -> None:
    for asked, frames, events in zip(ASKED, FRAMES, ALONE, strict=True):
        own = {name: value for name, value in asked.items() if name != "trailing_blanks_ms"}
        assert bits(without(events)) == bits(whole(CAUSAL.stream(**own), frames)), "it changes nothing else"
        assert len(ends(events)) >= 2 if own != asked else not ends(events)


def test_neither_company_nor_cuts_nor_snapshots_matter() -> None:
    streams = [CAUSAL.stream(**asked) for asked in ASKED]
    assert streams[0].head is streams[4].head is not streams[2].head, "asked for the same"
    found: list[list[Event]] = [[] for _ in streams]
    for start in range(0, 90, 3):
        parts = [frames[start : start + 3] for frames in FRAMES]
        together = push([stream.record for stream in streams], parts, [3] * len(parts))
        for events, more in zip(found, together, strict=True):
            events += more
        if start % 21 == 0:
            other = Model(CAUSAL.network)
            streams = [other.restore(stream.snapshot()) for stream in streams]
        if start == 45:
            streams = [stream.fork() for stream in streams]
    for stream, events, wanted in zip(streams, found, ALONE, strict=True):
        assert bits(events + stream.flush()) == bits(wanted)


@settings(max_examples=40, deadline=None)
@given(
    cuts=st.lists(st.integers(0, 1 << 20), max_size=20),
    case=st.sampled_from(range(len(ASKED))),
    model=st.sampled_from((CAUSAL, BOTH)),
)
def test_chunking_does_not_matter(cuts: list[int], case: int, model: Model) -> None:
    blocks = {"block_ms": 70.0, "lookahead_ms": 20.0} if model is BOTH else {}
    wanted = whole(model.stream(**ASKED[case], **blocks), FRAMES[case])
    with model.stream(**ASKED[case], **blocks) as stream:
        pieces = Case(model.network, FRAMES[case]).pieces(cuts)
        found = [event for piece in pieces for event in stream.push(piece)] + stream.flush()
    assert bits(found) == bits(wanted)


def test_in_blocks_too_while_the_utterance_goes_on() -> None:
    with BOTH.stream(trailing_blanks_ms=35.0, block_ms=70.0, lookahead_ms=20.0) as stream:
        first = stream.push(FRAMES[0])
        assert ends(first) and {event.utterance for event in first} == {0}
        snapshot = stream.snapshot()
        rest = stream.flush()
    with BOTH.restore(snapshot) as again:
        assert bits(again.flush()) == bits(rest)


def test_a_server_tells_it_beside_streams_that_did_not_ask() -> None:
    with Server({"letters": CAUSAL}) as server, Client(server.endpoint) as client:
        streams = [client.open("letters", **asked) for asked in ASKED]
        for start in range(0, 90, 5):
            for stream, frames in zip(streams, FRAMES, strict=True):
                stream.push(frames[start : start + 5])
        for stream, wanted in zip(streams, ALONE, strict=True):
            results = [*stream.results(), *stream.flush()]
            assert bits([event for result in results for event in result.events]) == bits(wanted)
        with pytest.raises(InputError, match="'labels'"):
            client.open("letters", head="labels", trailing_blanks_ms=100.0)
        with pytest.raises(BadMessageError, match="trailing_blanks_ms"):
            client.open("letters", trailing_blanks_ms=0.0)


@pytest.mark.parametrize(
    ("model", "asked", "what"),
    [
        (CAUSAL, {"head": "labels"}, "'labels' of letters is decoded by 'labels': leave it out"),
        (CAUSAL, {"decoder": "outputs"}, "is decoded by 'outputs'"),
        (CAUSAL, {"trailing_blanks_ms": 0}, "trailing_blanks_ms = 0 is not above 0"),
        (CAUSAL, {"trailing_blanks_ms": float("nan")}, "trailing_blanks_ms = nan"),
        (CAUSAL, {"end_of_speech_ms": 300}, "give one of them"),
        (BOTH, {}, "before the utterance has ended.*: give block_ms too, or end_of_speech_ms instead"),
    ],
)
def test_what_no_blank_could_tell_is_refused(model: Model, asked: dict[str, Any], what: str) -> None:
    with pytest.raises(InputError, match=what):
        model.stream(**{"trailing_blanks_ms": 500, **asked})


def test_a_forged_snapshot_is_refused() -> None:
    with CAUSAL.stream(trailing_blanks_ms=35.0) as stream:
        stream.push(FRAMES[0][:20])
        right = stream.snapshot()
    with pytest.raises(InputError, match="trailing_blanks_ms"):
        CAUSAL.restore(right, Options(trailing_blanks_ms=70.0))
    changes: list[dict[str, Any]] = [
        {"frames": 21}, {"frames": -1}, {"blanks": BLANKS, "heard": True}, {"blanks": 1, "heard": False},
        {"blanks": -1}, {"heard": 1}, {"more": 1},
    ]  # fmt: skip
    for change in changes:
        parts = snapshots.decode(right)
        parts[2]["count"] |= change
        with pytest.raises(SnapshotError):
            CAUSAL.restore(snapshots.encode(parts))
    for forged in ({}, [], None, {"count": parts[2]["count"]}, {"count": None, "said": None}):
        parts = snapshots.decode(right)
        parts[2] = forged
        with pytest.raises(SnapshotError):
            CAUSAL.restore(snapshots.encode(parts))
