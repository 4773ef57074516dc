"""Models that make a text of a source: what goes on and what ends, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import pytest
from random_models import VOCABULARY, bits, network
from test_encoder_decoder import GREEDY

from ostinato.errors import DivergedError, InputError, SnapshotError, StreamError, UtteranceTooLongError
from ostinato.events import Event
from ostinato.model import Head, Network, Node, Specification
from ostinato.model.decoders import Generation, Outputs
from ostinato.model.front_ends import LogMel, Tokens
from ostinato.model.layers import Attention, Concatenate, Dense, Embedding, Gru, OneHot
from ostinato.options import MAX_SOURCE
from ostinato.sampling import Sampling
from ostinato.streaming import Model
from ostinato.streaming import snapshot as snapshots

LETTERS = Tokens(VOCABULARY)
ENCODER = Specification(
    "reader",
    LETTERS,
    (Node("one-hot", OneHot(), ("frames",)), Node("gru", Gru(6), ("one-hot",))),
    (Head("made", "gru", Outputs()),),
)
BODY = (
    Node("embedding", Embedding(4), ("frames",)),
    Node("gru", Gru(6), ("embedding", "encoder.made")),
    Node("attention", Attention(), ("gru", "encoder.made", "encoder.made")),
    Node("both", Concatenate(), ("gru", "attention")),
    Node("out", Dense(len(VOCABULARY)), ("both",)),
)


def model(encoder: Specification = ENCODER, **decoder: Any) -> Model:
    head = Head("main", "out", Generation(**{"start": 0, **decoder}))
    return Model(network(Specification("letters", LETTERS, BODY, (head,), encoder=encoder)))


def surely(made: Model, token: int) -> Model:
    """The model, which gives that token whatever it reads."""
    weights = {name: array.copy() for name, array in made.network.weights.items()}
    weights["out.b"][token] = 80.0
    return Model(Network(made.network.specification, weights))


BACKWARD = replace(ENCODER, nodes=(ENCODER.nodes[0], replace(ENCODER.nodes[1], layer=Gru(3, "bidirectional"))))


@pytest.mark.parametrize("encoder", [ENCODER, BACKWARD], ids=["forward", "bidirectional"])
def test_one_source_after_the_other(encoder: Specification) -> None:
    """A source ends with its text; another text may be made of it, none is pushed until a flush; then all is new."""
    how = Sampling(seed=3)
    with model(encoder, longest=9).stream() as stream:
        assert stream.push("bad") == [] and stream.delay.frames is None and stream.head.name == "main"
        first = list(stream.generate(how))
        assert [event.kind for event in first] == ["token"] * 9 + ["end-of-generation"]
        with pytest.raises(StreamError, match="source of this text has ended: flush the stream"):
            stream.push("c")
        assert bits(list(stream.generate(how))) == bits(first), "another text, of the same seed"
        assert [e.text for e in stream.generate(replace(how, seed=4))] != [e.text for e in first]
        assert stream.flush() == [] and stream.utterance == 1
        stream.push("bad")
        again = list(stream.generate(how))
        assert [(e.text, e.probability) for e in again] == [(e.text, e.probability) for e in first]
        assert {event.utterance for event in again} == {1} and stream.frames_in == stream.frames_out == 6
        tokens = stream.generate(how)
        next(tokens)
        stream.end_generation()
        assert list(tokens) == [] and not stream.generating
        stream.reset()
        stream.push("b")


def test_a_text_ends_with_its_end_token_but_never_before_its_source() -> None:
    made = surely(model(end=5), 5)
    with made.stream() as stream:
        stream.push("bad")
        (end,) = stream.generate()
        assert (end.kind, end.index, end.frame) == ("end-of-generation", 5, 0) and end.probability > 0.999
    with made.stream(wait_k=2, sampling=Sampling(temperature=0)) as stream:
        assert stream.delay.frames == 1
        counts = [len(stream.push(letter)) for letter in "badfe"]
        assert counts == [0, 1, 1, 1, 1], "one for each letter, from the second on"
        (end,) = stream.generate()
        assert (end.kind, end.index, end.frame, end.time_ms) == ("end-of-generation", 5, 4, 5.0)


def test_a_text_without_an_end_stops_at_its_bound() -> None:
    with model(longest=3).stream(wait_k=1) as stream:
        events = stream.push("badfacade")
        assert [event.kind for event in events] == ["token"] * 3
        assert stream.push("b") == [] and not stream.generating
        (end,) = stream.generate()
        assert (end.kind, end.index, end.frame, end.time_ms) == ("end-of-generation", -1, 2, 3.0)
        assert len(list(stream.generate())) == 4, "another text"
        stream.flush()
        stream.push("badfacade")
        assert len(list(stream.generate(longest=5))) == 6, "goes on to another bound"


def test_a_search_finds_what_a_language_model_alone_would() -> None:
    """Where nothing comes of the source; told at the end at the latest, behind what was drawn before."""
    weights = {name: array.copy() for name, array in model(end=5).network.weights.items()}
    for name in weights:
        if name.startswith("encoder."):
            weights[name][:] = 0
    weights["out.W"][:, 6:] = 0
    silent = Model(Network(model(end=5).network.specification, weights))
    nodes = (BODY[0], Node("gru", Gru(6), ("embedding",)), Node("out", Dense(len(VOCABULARY)), ("gru",)))
    own = {name: array for name, array in weights.items() if not name.startswith("encoder.")}
    own["out.W"] = own["out.W"][:, :6]
    alone = Model(Network(Specification("alone", LETTERS, nodes, (Head("main", "out", Generation(0, 5)),)), own))
    for beams, penalty in ((2, 0.0), (4, 0.6), (8, 2.0)):
        how = Sampling(beams=beams, length_penalty=penalty)
        with silent.stream() as stream, alone.stream() as other:
            stream.push("bad")
            found, wanted = list(stream.generate(how, 20)), list(other.generate(how, 20))
            assert [(e.kind, e.index, e.probability) for e in found] == [
                (e.kind, e.index, e.probability) for e in wanted
            ]
            assert [event.frame for event in found if event.kind == "token"] == list(range(len(found) - 1))
            assert {event.time_ms for event in found} == {3.0}
    with silent.stream() as stream:
        stream.push("bad")
        tokens = stream.generate(how)
        next(tokens, None)
        if stream.generating:
            with pytest.raises(InputError, match="a search goes on"):
                stream.generate(Sampling())
        stream.end_generation()
        assert stream.record.beam is None and len(list(stream.generate(Sampling(seed=1), 3))) >= 1


def test_with_wait_k_the_rest_is_searched_for_once_the_source_has_ended() -> None:
    """What is said before is drawn; where nothing is, all is as if the stream had waited for the end."""
    made, how = model(end=5), Sampling(beams=4, length_penalty=0.6)
    with made.stream() as whole, made.stream(wait_k=9) as late, made.stream(wait_k=2, sampling=GREEDY) as stream:
        whole.push("bad")
        late.push("bad")
        wanted = list(whole.generate(how, 20))
        assert bits(list(late.generate(how, 20))) == bits(wanted)
        early = stream.push("bad")
        fork = stream.fork()
        tail = list(stream.generate(how, 20))
        assert [event.frame for event in early + tail if event.kind == "token"] == list(range(len(early + tail) - 1))
        assert len(early) == 2 and {event.time_ms for event in tail} == {3.0}
        drawn = list(fork.generate(GREEDY, 20))

        def likelihood(events: list[Event]) -> float:
            return float(np.log([event.probability for event in events if event.index >= 0]).sum())

        assert [event.index for event in tail] != [event.index for event in drawn]
        assert likelihood(tail) / len(tail) > likelihood(drawn) / len(drawn)
    with made.stream(wait_k=2, sampling=GREEDY) as stream:
        stream.push("bad")
        list(islice(stream.generate(how, 20), 2))
        parts = snapshots.decode(stream.snapshot())
    made.restore(snapshots.encode(parts)).close()
    parts[0]["writing"]["count"] = 1
    with pytest.raises(SnapshotError, match="searched for before its source has ended"):
        made.restore(snapshots.encode(parts))


def test_there_must_be_a_source() -> None:
    with model().stream() as stream:
        with pytest.raises(InputError, match="nothing to generate from: push a source of 'letters' first"):
            stream.generate()
        with pytest.raises(InputError, match="'z'"):
            stream.push("z")
        stream.push("a")
        with pytest.raises(InputError, match="is not a whole number of tokens"):
            stream.generate(longest=0)
        assert not stream.generating and stream.push("b") == []
    heard = replace(ENCODER, front_end=LogMel(mels=20, high_hz=3800.0), nodes=(Node("gru", Gru(6), ("frames",)),))
    for encoder in (heard, replace(heard, nodes=(Node("gru", Gru(3, "bidirectional"), ("frames",)),))):
        with model(encoder).stream() as stream:
            stream.push(np.zeros(50, np.float32))
            (end,) = stream.generate()
            assert (end.kind, end.index) == ("end-of-generation", -1), "no frame was heard, so nothing is said"


def test_a_source_has_a_bound() -> None:
    with model().stream() as stream:
        stream.push("a" * MAX_SOURCE)
        with pytest.raises(UtteranceTooLongError, match=f"longer than 60 s or {MAX_SOURCE} frames"):
            stream.push("b")
        assert len(list(islice(stream.generate(), 2))) == 2
    with model().stream(max_utterance_s=0.01) as stream:
        stream.push("a" * 10)
        with pytest.raises(UtteranceTooLongError, match=r"longer than 0\.01 s"):
            stream.push("b")


def test_the_texts_end_may_be_a_token_of_the_source() -> None:
    """One that the front end adds, as if it had been pushed."""
    ended, longer = model(replace(ENCODER, front_end=replace(LETTERS, end=7))), model()
    with ended.stream() as stream, longer.stream() as other:
        stream.push("bad")
        other.push("bad" + VOCABULARY[7])
        assert bits(list(stream.generate())) == bits(list(other.generate()))


@pytest.mark.parametrize(
    ("encoder", "options", "message"),
    [
        (BACKWARD, {"wait_k": 3}, "because of its node 'gru': wait_k is for encoders that run forward"),
        (ENCODER, {"wait_k": 0}, "wait_k = 0 is not a whole number of frames from 1 to 4096"),
        (ENCODER, {"wait_k": 2.0}, "is not a whole number"),
        (ENCODER, {"sampling": Sampling()}, "open the stream with wait_k"),
        (ENCODER, {"wait_k": 2, "sampling": Sampling(beams=2)}, "them can be taken back: leave beams out here"),
        (ENCODER, {"decoder": "outputs"}, "its heads have their own decoder alone"),
        (ENCODER, {"end_of_speech_ms": 600.0}, "leave end_of_speech_ms out"),
        (ENCODER, {"block_ms": 3.0}, "is causal and answers each frame at once"),
    ],
)
def test_options_that_do_not_fit_are_refused(encoder: Specification, options: dict[str, Any], message: str) -> None:
    made = model(encoder)
    for _ in range(2):
        with pytest.raises(InputError, match=message):
            made.stream(**options)
    assert made.states.acquire() == 0, "no state was taken"


def test_what_has_no_encoder_waits_for_none() -> None:
    alone = Model(network(replace(ENCODER, heads=(Head("main", "gru", Outputs()),))))
    with pytest.raises(InputError, match="'reader' has no encoder, which wait_k is for"):
        alone.stream(wait_k=1)


def test_what_overflows_is_lost() -> None:
    """In the encoder, or in what generates: the source is lost, until a flush."""
    summing = model(replace(ENCODER, nodes=(ENCODER.nodes[0], Node("gru", Dense(6), ("one-hot",)))))
    for where in ("encoder.gru", "out"):
        weights = {key: array.copy() for key, array in summing.network.weights.items()}
        weights[f"{where}.W"][:, 1 if where == "encoder.gru" else slice(None)] = 3e38
        weights[f"{where}.b"][:] = 3e38
        broken = Model(Network(summing.network.specification, weights))
        with broken.stream() as stream:
            if where == "out":
                stream.push("ab")
                with pytest.raises(DivergedError):
                    list(stream.generate())
            else:
                with pytest.raises(DivergedError, match="frame 1"):
                    stream.push("ab")
            assert not stream.generating
            with pytest.raises(DivergedError):
                stream.generate()
            stream.flush()
            assert stream.utterance == 1 and stream.fault is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("writing", None),
        ("written", bytes(8)),
        ("memory", {"shape": [3, 5], "data": bytes(60)}),
        ("memory", {"shape": [2, 6], "data": bytes(48)}),
        ("token", len(VOCABULARY)),
        ("token", -1),
        ("count", -1),
        ("ended", False),
        ("left", -1),
        ("frames", 40),
    ],
)
def test_forged_texts_are_refused(field: str, value: Any) -> None:
    source = model()
    with source.stream() as stream:
        stream.push("bad")
        next(stream.generate())
        parts = snapshots.decode(stream.snapshot())
    if field in ("token", "count", "ended"):
        parts[0]["writing"][field] = value
    elif field == "left":
        parts[0]["generating"]["left"] = value
    elif field == "frames":
        parts[2]["frames"] = value
    else:
        parts[0][field] = value
    with pytest.raises(SnapshotError):
        source.restore(snapshots.encode(parts))
    assert source.states.acquire() == 0 and source.writer is not None and source.writer.states.acquire() == 0
