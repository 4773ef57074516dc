"""Beam search: the texts that a plain one finds, the best of all where it is wide enough; told once they are decided.
That company, cuts and snapshots change nothing of it is in test_generation, with all other ways to go on."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import pytest
from beam_reference import Scored, beam_search, best_text, logarithms, penalised
from hypothesis import given, settings
from hypothesis import strategies as st
from random_models import VOCABULARY, bits, language_models, network

from ostinato.errors import CapacityError, DivergedError, InputError, SnapshotError
from ostinato.events import Event
from ostinato.model import Network, Sequential, Specification
from ostinato.model.decoders import Generation
from ostinato.model.front_ends import Tokens
from ostinato.model.layers import Dense, Embedding, Gru, Softmax
from ostinato.pipeline.beam import extend, length_weight
from ostinato.pipeline.sampling import draw
from ostinato.sampling import Sampling
from ostinato.streaming import Model, Stream, advance
from ostinato.streaming import snapshot as snapshots
from ostinato.streaming.beam import Beam

PENALTIES = st.sampled_from((0.0, 0.6, 1.0, 3.0))


def settings_of(model: Model) -> Generation:
    decoder = model.network.specification.heads[0].decoder
    assert isinstance(decoder, Generation)
    return decoder


def searched(model: Model, prompt: str, how: Sampling, longest: int | None = None) -> list[Event]:
    with model.stream() as stream:
        stream.push(prompt)
        return list(stream.generate(how, longest))


def scored(events: list[Event], penalty: float) -> Scored:
    """What was told: tokens, their score by the probabilities of the events."""
    drawn = [event for event in events if event.index >= 0]
    total = sum(math.log(event.probability) for event in drawn)
    return Scored(tuple(event.index for event in drawn), penalised(total, len(drawn), penalty))


def assert_same(found: Scored, wanted: Scored) -> None:
    """The same text; or one that is as good but for the rounding of logarithms."""
    assert found.score == pytest.approx(wanted.score, rel=1e-9, abs=1e-12)
    assert found.tokens == wanted.tokens or found.score == pytest.approx(wanted.score, rel=1e-13)


# --- what is found --------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=25)
@given(
    specification=language_models(),
    prompt=st.text(st.sampled_from(VOCABULARY), min_size=1, max_size=9),
    how=st.builds(Sampling, beams=st.sampled_from((2, 3, 5, 16)), length_penalty=PENALTIES),
    longest=st.integers(1, 12),
    seed=st.integers(0, 99),
)
def test_a_plain_beam_search_finds_the_same(
    specification: Specification, prompt: str, how: Sampling, longest: int, seed: int
) -> None:
    model = Model(network(specification, seed))
    end = settings_of(model).end
    wanted = beam_search(logarithms(model, prompt, VOCABULARY), how.beams, how.length_penalty, end, longest)
    events = searched(model, prompt, how, longest)
    assert_same(scored(events, how.length_penalty), wanted)
    *tokens, last = events
    assert [event.kind for event in events] == ["token"] * len(tokens) + ["end-of-generation"]
    assert len(tokens) == longest if last.index < 0 else last.index == end and len(tokens) < longest
    first = len(prompt) - 1
    assert [event.frame for event in tokens] == list(range(first, first + len(tokens)))


SMALL = Tokens(("a", "b", "c"))


@settings(deadline=None, max_examples=60)
@given(
    end=st.sampled_from((None, 0, 2)),
    longest=st.integers(1, 4),
    penalty=PENALTIES,
    soft=st.booleans(),
    sharp=st.sampled_from((1.0, 6.0)),
    seed=st.integers(0, 999),
)
def test_a_beam_that_is_wide_enough_finds_the_best_of_all(
    end: int | None, longest: int, penalty: float, soft: bool, sharp: float, seed: int
) -> None:
    """Of three tokens: 16 hypotheses are all that there are before the last token; 27 of two tokens' children."""
    longest = longest if end is not None else min(longest, 3)
    layers = (Embedding(4), Gru(5), Dense(3), *((Softmax(),) if soft else ()))
    drawn = network(Sequential("small", SMALL, layers, Generation(end=end)), seed)
    weights = {name: x * np.float32(sharp if name.startswith("dense") else 1) for name, x in drawn.weights.items()}
    model = Model(Network(drawn.specification, weights))
    wanted = best_text(logarithms(model, "ab", SMALL.vocabulary), 3, penalty, end, longest)
    assert_same(scored(searched(model, "ab", Sampling(beams=16, length_penalty=penalty), longest), penalty), wanted)


def test_equal_hypotheses_are_told_apart_by_their_order() -> None:
    (found,) = extend(np.zeros((2, 4), np.float32), False, [2], [5], 1, np.array([-1.0, -1.0]))
    assert list(zip(found.parents.tolist(), found.tokens.tolist(), strict=True)) == [
        (0, 0), (0, 2), (0, 3), (1, 0), (1, 2),
    ]  # fmt: skip
    assert found.ended is not None and found.ended[0] == 0
    (found,) = extend(np.zeros((2, 4), np.float32), False, [2], [2], 3, np.array([-1.0, -1.0]))
    assert found.tokens.tolist() == [0, 1] and found.ended is None  # two are before it
    flat = Sequential("flat", Tokens(VOCABULARY), (Embedding(4), Dense(8)), Generation(start=0))
    zeros = Network(flat, {name: x * 0 for name, x in Network.random(flat).weights.items()})
    assert [event.index for event in searched(Model(zeros), "", Sampling(beams=3), 5)][:5] == [0] * 5


@settings(deadline=None, max_examples=30)
@given(
    counts=st.lists(st.integers(1, 6), min_size=1, max_size=9),
    widths=st.integers(2, 16),
    probabilities=st.booleans(),
    end=st.sampled_from((None, 0, 8)),
    seed=st.integers(0, 99),
)
def test_other_beams_change_nothing(
    counts: list[int], widths: int, probabilities: bool, end: int | None, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    outputs = generator.normal(size=(sum(counts), 9)).astype(np.float32).round(1)
    outputs = np.abs(outputs) if probabilities else outputs
    scores = -generator.uniform(0, 3, sum(counts))
    wide = [max(2, widths - i) for i in range(len(counts))]
    together = extend(outputs, probabilities, counts, wide, end, scores)
    ends = np.cumsum(counts)
    for i, found in enumerate(together):
        mine = slice(ends[i] - counts[i], ends[i])
        (alone,) = extend(outputs[mine], probabilities, [counts[i]], [wide[i]], end, scores[mine])
        for name in ("parents", "tokens", "scores", "chances"):
            assert getattr(alone, name).tobytes() == getattr(found, name).tobytes()
        assert alone.ended == found.ended
        rows = draw(outputs[mine], probabilities, [Sampling(temperature=0)] * counts[i], [0] * counts[i])[1]
        assert found.chances.max() <= max(rows) and (np.diff(found.scores) <= 0).all()


def test_scores_are_the_same_on_every_machine() -> None:
    """Written down once; only arithmetic that IEEE 754 defines is used."""
    outputs = np.round(np.random.default_rng(1).normal(size=(4, 50)) * 64).astype(np.float32) / 32
    (found,) = extend(outputs, False, [4], [3], 7, np.array([0.0, -0.5, -1.0, -2.0]))
    assert found.tokens.tolist() == GOLDEN_TOKENS
    assert [score.hex() for score in found.scores.tolist()] == GOLDEN_SCORES
    assert [length_weight(0.6, n).hex() for n in (1, 2, 1000)] == GOLDEN_WEIGHTS
    assert length_weight(0.6, 9) == pytest.approx((14 / 6) ** -0.6, rel=1e-14) and length_weight(0.0, 99) == 1


GOLDEN_TOKENS = [30, 33, 24]
GOLDEN_SCORES = ["-0x1.2278e1c65b96dp+0", "-0x1.4a78e1c65b96dp+0", "-0x1.9efd83ea09ca7p+0"]
GOLDEN_WEIGHTS = ["0x1.0000000000000p+0", "0x1.d2c4d4e1399ebp-1", "0x1.7b4c6694a09cep-5"]


# --- when it is told ------------------------------------------------------------------------------------------------

LETTERS = Sequential("letters", Tokens(VOCABULARY), (Embedding(4), Gru(6), Dense(8)), Generation(start=0, longest=60))
HOW = Sampling(beams=4, length_penalty=0.7)


def letters(max_streams: int = 64, **decoder: Any) -> Model:
    return Model(network(replace(LETTERS, heads=(replace(LETTERS.heads[0], decoder=replace(
        settings_of(Model(network(LETTERS))), **decoder)),)), 3), max_streams=max_streams)  # fmt: skip


def test_what_is_decided_is_told_before_the_end() -> None:
    """While hypotheses go on, the stream says what they have in common, and its own state is behind that."""
    model = letters()
    with model.stream() as stream:
        tokens, early = stream.generate(HOW), 0
        said: list[Event] = []
        for event in tokens:
            said.append(event)
            beam = stream.record.beam
            if beam is not None and not beam.over:
                assert beam.ahead > 0 or len(beam.scores) == 1
                early += 1
        assert early > 30 and said[-1].kind == "end-of-generation" and len(said) == 61
        assert stream.frames_in == stream.frames_out == 61
        with model.stream() as other:
            other.push(VOCABULARY[0] + "".join(event.text for event in said))
            assert other.record.state.tobytes() == stream.record.state.tobytes()
            assert [e.index for e in other.generate(HOW, 9)] == [e.index for e in stream.generate(HOW, 9)]


@pytest.mark.parametrize("at", [0, 1, 20, 47])
def test_a_beam_that_is_ended_has_taken_in_what_it_told(at: int) -> None:
    model = letters()
    with model.stream() as stream, model.stream() as other:
        said = "".join(event.text for event in islice(stream.generate(HOW), at))
        stream.end_generation()
        assert not stream.generating and stream.record.beam is None
        stream.push("bad")
        other.push(VOCABULARY[0] + said + "bad")
        assert other.record.state.tobytes() == stream.record.state.tobytes()
        assert [e.index for e in other.generate(HOW, 9)] == [e.index for e in stream.generate(HOW, 9)]


def test_a_beam_that_is_given_anything_begins_anew_behind_what_it_told() -> None:
    model = letters()
    with model.stream() as stream, model.stream() as other:
        said = "".join(event.text for event in islice(stream.generate(HOW), 20))
        other.push(VOCABULARY[0] + said)
        for how, longest in ((Sampling(beams=2), None), (Sampling(seed=5), None), (HOW, 7), (None, 5)):
            left = stream.record.generating.left if stream.record.generating else None
            went_on = [e.index for e in islice(stream.generate(how, longest), 3)]
            again = list(islice(other.generate(how, longest or left), 3))
            assert went_on == [event.index for event in again]


def test_slots_are_given_back_however_it_ends() -> None:
    model = letters(max_streams=5)
    stream = model.stream()
    for ends in ("end_generation", "flush", "reset", "generate", "close"):
        list(islice(stream.generate(HOW), 9))
        with pytest.raises(CapacityError, match="all 5 stream states"):
            model.stream()
        if ends == "generate":
            list(stream.generate())
        else:
            getattr(stream, ends)()
        if ends != "close":
            for other in [model.stream() for _ in range(4)]:
                other.close()
    assert len([model.stream() for _ in range(5)]) == 5


def test_where_there_is_no_room_it_is_refused_by_name() -> None:
    model = letters(max_streams=4)
    with model.stream() as stream:
        with pytest.raises(CapacityError, match="a beam of 4 needs as many stream states, and 3 of this model's 4"):
            stream.generate(HOW)
        assert not stream.generating and stream.waiting == 0
        assert len(list(stream.generate(Sampling(beams=3), 9))) == 10
        list(islice(stream.generate(Sampling(beams=2), 20), 3))
        with pytest.raises(CapacityError):  # it goes on as it did
            stream.generate(Sampling(beams=3))
        assert stream.generating and len(list(stream.generate())) > 1


def test_what_overflows_is_lost() -> None:
    grown = Network.random(Sequential("grown", Tokens(VOCABULARY), (Embedding(4), Dense(8), Dense(8)), Generation()))
    weights = {name: np.full_like(array, 1e30 if array.ndim > 1 else 0) for name, array in grown.weights.items()}
    weights["embedding.E"][0] = 0  # "a" is harmless
    model = Model(Network(grown.specification, weights))
    with model.stream() as stream:
        stream.push("a")
        with pytest.raises(DivergedError, match="from frame 1 of the utterance"):
            list(stream.generate(Sampling(beams=3)))
        assert not stream.generating and stream.record.beam is None
        stream.reset()
        stream.push("a")


def test_many_beams_in_one_batch() -> None:
    """Beams of all widths, in one batch with drawn tokens and more rows than one call computes."""
    model = Model(network(LETTERS, 3))
    hows = [Sampling(beams=2 + i % 15, length_penalty=0.1 * (i % 7)) for i in range(200)]
    streams = [model.stream() for _ in hows]
    for stream, how in zip(streams, hows, strict=True):
        stream.generate(how, 12)
    found: list[list[Event]] = [[] for _ in streams]
    while any(stream.generating for stream in streams):
        for mine, events in zip(found, advance([stream.record for stream in streams]), strict=True):
            mine += events
    for i in (0, 14, 100, 199):
        assert bits(found[i]) == bits(searched(model, "", hows[i], 12))


# --- what cannot be -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"beams": 0}, "beams = 0 is not a whole number from 1 to 16"),
        ({"beams": 17}, "beams = 17"),
        ({"beams": 2, "length_penalty": -0.1}, "length_penalty = -0.1 is not a number from 0"),
        ({"beams": 2, "length_penalty": 11}, "length_penalty = 11.0"),
        ({"beams": 2, "length_penalty": float("nan")}, "length_penalty = nan"),
        ({"length_penalty": 0.6}, "length_penalty = 0.6 is of a beam"),
        ({"beams": 2, "temperature": 0}, "temperature = 0.0 says how tokens are drawn"),
        ({"beams": 2, "top_k": 3}, "leave top_k out, or beams"),
        ({"beams": 2, "top_p": 0.5}, "leave top_p out, or beams"),
    ],
)
def test_samplings_that_cannot_be(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Sampling(**wrong)


def matrix(array: Any, dtype: str) -> dict[str, Any]:
    values = np.asarray(array, dtype)
    return {"shape": list(values.shape), "data": values.tobytes()}


@pytest.mark.parametrize(
    "wrong",
    [
        {"told": -1},
        {"told": 65536},
        {"scores": matrix([0.0], "<f8")},
        {"scores": matrix([-4.0, -3.0, -2.0, -1.0], "<f8")},
        {"scores": matrix([1.0, -3.0, -4.0, -5.0], "<f8")},
        {"tokens": matrix(np.full((4, 2), 8), "<i4")},
        {"tokens": matrix(np.zeros((5, 2)), "<i4")},
        {"tokens": matrix(np.zeros((4, 70000)), "<i4"), "chances": matrix(np.zeros((4, 70000)), "<f8")},
        {"chances": matrix(np.zeros((4, 0)), "<f8")},
        {"outputs": matrix(np.zeros((4, 7)), "<f4")},
        {"states": b""},
        {"best_score": 0.0, "best_tokens": matrix(np.zeros(99), "<i4"), "best_chances": matrix(np.zeros(99), "<f8")},
        {"best_tokens": matrix([1], "<i4")},
        {"decided_tokens": matrix([1], "<i4")},
        {"decided_tokens": matrix([-1], "<i4"), "decided_chances": matrix([0.1], "<f8")},
        {"over": True},
        None,
    ],
)
def test_forged_beams_are_refused(wrong: dict[str, Any] | None) -> None:
    source = letters(max_streams=16)
    with source.stream() as stream:
        list(islice(stream.generate(HOW), 20))
        parts = snapshots.decode(stream.snapshot())
    if wrong is None:
        parts[0]["beam"] = None
    else:
        assert parts[0]["beam"].keys() > wrong.keys()
        parts[0]["beam"].update(wrong)
    with pytest.raises(SnapshotError):
        source.restore(snapshots.encode(parts))
    assert len([source.stream() for _ in range(16)]) == 16


def test_a_snapshot_finds_no_room() -> None:
    with letters().stream() as stream:
        list(islice(stream.generate(HOW), 5))
        kept = stream.snapshot()
    small = letters(max_streams=4)
    with pytest.raises(CapacityError):
        small.restore(kept)
    assert len([small.stream() for _ in range(4)]) == 4


def test_what_a_beam_may_come_to_hold() -> None:
    """A bound of the arrays of a beam that decides nothing."""
    model = letters()
    with model.stream() as stream:
        stream.generate(HOW, 50)
        most = Beam.held_bytes(4, 50, model.state_bytes, 8)
        while stream.generating:
            advance([stream.record])
            if (beam := stream.record.beam) is not None:
                arrays = (beam.tokens, beam.chances, beam.outputs, beam.scores, beam.last)
                assert sum(each.nbytes for each in arrays) + 4 * model.state_bytes <= most
    assert isinstance(stream, Stream)
