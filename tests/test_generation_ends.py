"""Language models that feed themselves: what goes on and what ends, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from random_models import VOCABULARY, bits, network, signal
from test_generation import made, said

from ostinato.errors import (
    BadModelFileError,
    DivergedError,
    InputError,
    SnapshotError,
    StreamClosedError,
    StreamError,
    UnknownTokenError,
)
from ostinato.events import Event
from ostinato.model import Head, Network, Node, Sequential, Specification
from ostinato.model.decoders import Generation, Labels
from ostinato.model.front_ends import Frames, Tokens
from ostinato.model.layers import Convolution, Dense, Embedding, Gru, OneHot, Softmax
from ostinato.pipeline.state import unpack
from ostinato.sampling import MAX_LONGEST, Sampling
from ostinato.streaming import Model
from ostinato.streaming import snapshot as snapshots

LETTERS = Tokens(VOCABULARY)
LAYERS = (Embedding(4), Gru(6), Dense(len(VOCABULARY)))


def model(**decoder: Any) -> Model:
    return made(Sequential("letters", LETTERS, LAYERS, Generation(**decoder)))


def test_a_stream_goes_on_behind_what_it_said() -> None:
    """The same seed goes on as if it had not stopped; and what is pushed then comes behind the last token."""
    with model(longest=7).stream() as stream, model(longest=7).stream() as other:
        stream.push("bad")
        first = said(list(stream.generate(Sampling(seed=4))))
        second = said(list(stream.generate(Sampling(seed=4))))
        other.push("bad")
        assert first + second == said(list(other.generate(Sampling(seed=4), 14))) and len(first) == 7
        for each in (stream, other):
            each.push("fed")
        assert said(list(stream.generate())) == said(list(other.generate()))
        assert stream.units_in == 6 and stream.frames_out == 6 + 14 + 7


def test_its_end_token_ends_it() -> None:
    sure = network(Sequential("sure", LETTERS, LAYERS, Generation(start=0, end=5)))
    weights = {name: array.copy() for name, array in sure.weights.items()}
    bias = next(name for name in weights if name.startswith("dense.") and weights[name].ndim == 1)
    weights[bias][5] = 50.0
    with Model(Network(sure.specification, weights)).stream() as stream:
        (end,) = stream.generate()
        assert (end.kind, end.index, end.text, end.frame) == ("end-of-generation", 5, "", 0)
        assert end.probability > 0.999 and stream.frames_out == 2
        assert [event.index for event in stream.generate()] == [5]


def test_words_are_complete_where_generation_begins() -> None:
    words = Tokens(("?", "so", "far", "good"), unit="word", unknown=0)
    made_of = made(Sequential("words", words, (Embedding(4), Gru(6), Dense(4)), Generation(separator=" ")))
    with made_of.stream() as stream, made_of.stream() as other:
        stream.push("so fa")
        stream.push("r")
        assert stream.frames_out == 1
        first = list(stream.generate(Sampling(), 5))
        other.push("so far ")
        assert bits(list(other.generate(Sampling(), 5))) == bits(first)
        stream.push("good ")
        assert stream.frames_out == 8


def test_input_waits_for_the_end() -> None:
    with model().stream() as stream:
        stream.push("a")
        tokens = stream.generate(longest=9)
        next(tokens)
        with pytest.raises(StreamError, match="let the generation end, or end it"):
            stream.push("b")
        assert stream.frames_out == 2 and stream.generating
        stream.end_generation()
        stream.push("b")
        assert list(tokens) == [] and stream.frames_out == 3


def test_it_can_be_given_other_settings_on_the_way() -> None:
    with model().stream() as stream:
        stream.push("a")
        tokens = stream.generate(longest=9)
        first = [next(tokens) for _ in range(4)]
        assert len(first + list(stream.generate(Sampling(temperature=0)))) == 10
        stream.generate(longest=MAX_LONGEST)
        assert stream.record.generating == snapshots.Generating(Sampling(), MAX_LONGEST)


def test_what_overflows_is_lost() -> None:
    grown = Network.random(Sequential("grown", LETTERS, (Embedding(4), Dense(8), Dense(8)), Generation()))
    weights = {name: np.full_like(array, 1e30 if array.ndim > 1 else 0) for name, array in grown.weights.items()}
    weights[next(name for name in weights if name.startswith("embedding."))][0] = 0  # "a" is harmless
    with Model(Network(grown.specification, weights)).stream() as stream:
        stream.push("a")
        events: list[Event] = []
        with pytest.raises(DivergedError) as caught:
            events += stream.generate(Sampling(seed=2))
        assert caught.value.events[0].kind == "token" and not stream.generating
        with pytest.raises(DivergedError):
            stream.generate()
        stream.reset()
        stream.push("a")


def test_there_must_be_something_to_begin_with() -> None:
    with model().stream() as stream:
        with pytest.raises(InputError, match=r"push a prompt first \(head 'main' of 'letters' has no start token\)"):
            stream.generate()
        assert not stream.generating
        with pytest.raises(UnknownTokenError, match="'z'"):
            stream.push("z")
        stream.push("a")
        for longest in (0, MAX_LONGEST + 1, 1.0, True):
            with pytest.raises(InputError, match="is not a whole number of tokens from 1 to 65536"):
                stream.generate(longest=longest)  # type: ignore[arg-type]
        tokens = stream.generate()
    with pytest.raises(StreamClosedError):
        next(tokens)
    with pytest.raises(StreamClosedError):
        stream.generate()


def test_only_heads_that_generate_do() -> None:
    nodes = (
        Node("letter", OneHot(), ("frames",)),
        Node("body", Gru(8), ("letter",)),
        Node("next", Dense(8), ("body",)),
        Node("soft", Softmax(), ("next",)),
    )
    heads = (Head("tags", "soft", Labels(VOCABULARY)), Head("text", "next", Generation()))
    two = made(Specification("two", LETTERS, nodes, heads))
    for options, cure in (
        ({}, "head 'tags' of 'two' does not generate: open the stream with head 'text'"),
        ({"head": "text", "decoder": "outputs"}, "open the stream without a decoder of its own"),
    ):
        with two.stream(**options) as stream:  # type: ignore[arg-type]
            stream.push("a")
            with pytest.raises(InputError, match=cure):
                stream.generate()
    one = made(replace(two.network.specification, heads=heads[:1]))
    with one.stream() as stream, pytest.raises(InputError, match="whose head has the decoder 'generation'"):
        stream.generate()
    with two.stream(head="text") as stream:
        stream.push("a")
        assert len(list(stream.generate(longest=3))) == 4


@pytest.mark.parametrize(
    ("front_end", "layers", "decoder", "message"),
    [
        (Frames(8), (Gru(8),), Generation(), "the front end makes no tokens"),
        (LETTERS, (OneHot(), Gru(7)), Generation(), "7 outputs are not one for each of the 8 entries"),
        (LETTERS, (OneHot(), Gru(4, direction="bidirectional")), Generation(), "node 'gru' runs backward"),
        (LETTERS, (Embedding(4), Convolution(8, 3, right=1)), Generation(), "layers re-frame"),
        (LETTERS, (OneHot(), Gru(8)), Generation(start=8), "start = 8 is outside the 8 outputs"),
        (LETTERS, (OneHot(), Gru(8)), Generation(end=-1), "end = -1 is outside the 8 outputs"),
        (LETTERS, (OneHot(), Gru(8)), Generation(longest=0), "longest = 0 is not from 1 to 65536"),
        (LETTERS, (OneHot(), Gru(8)), Generation(longest=MAX_LONGEST + 1), "longest = 65537"),
    ],
)
def test_what_cannot_feed_itself_is_refused_as_it_is_made(
    front_end: Any, layers: Any, decoder: Generation, message: str
) -> None:
    with pytest.raises(BadModelFileError, match=message):
        Sequential("wrong", front_end, layers, decoder)


@pytest.mark.parametrize(
    "wrong",
    [
        {"left": 0},
        {"left": MAX_LONGEST + 1},
        {"sampling": {"seed": -1, "temperature": 1.0, "top_k": None, "top_p": None}},
        {"sampling": {"seed": 0, "temperature": 1.0, "top_k": None, "top_p": 2.0}},
    ],
)
def test_forged_generations_are_refused(wrong: dict[str, Any]) -> None:
    source = model()
    with source.stream() as stream:
        stream.push("a")
        stream.generate()
        parts = snapshots.decode(stream.snapshot())
    parts[0]["generating"].update(wrong)
    with pytest.raises(SnapshotError):
        source.restore(snapshots.encode(parts))
    assert len(source.states.rows) == source.max_streams


def test_forged_outputs_are_refused() -> None:
    source = model()
    with source.stream() as stream:
        stream.push("a")
        stream.generate()
        kept = stream.snapshot()
    fresh = snapshots.decode(source.stream().snapshot())
    for change in ("outputs", "frames", "head"):
        parts = snapshots.decode(kept)
        if change == "outputs":
            parts[2]["outputs"] = {"shape": [2], "data": bytes(8)}
        elif change == "frames":
            parts[2] = fresh[2]
        else:
            parts[0]["options"]["decoder"] = "outputs"
            parts[2] = {"frames": 1}
        with pytest.raises(SnapshotError):
            source.restore(snapshots.encode(parts))
    assert unpack(snapshots.StreamRecord, snapshots.decode(kept)[0]).generating is not None
    assert signal(source.network.specification, 3, 0)
