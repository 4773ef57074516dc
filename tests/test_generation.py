"""Language models that feed themselves: the promises of docs/architecture.md, for random models, greedy and drawn."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_models import VOCABULARY, Case, bits, language_models, network, quantized
from resumed import Resumed, generate_the_rest

from ostinato.events import Event
from ostinato.model import Head, Network, Sequential, Specification
from ostinato.model.decoders import Generation, Outputs
from ostinato.model.front_ends import Tokens
from ostinato.model.layers import Dense, Embedding, Gru
from ostinato.sampling import Sampling
from ostinato.streaming import Model, Stream, advance

SAMPLINGS = st.sampled_from(
    (
        Sampling(temperature=0),
        Sampling(seed=1),
        Sampling(seed=2, temperature=0.7, top_k=5),
        Sampling(seed=3, temperature=1.5, top_p=0.8),
        Sampling(beams=2),
        Sampling(beams=4, length_penalty=0.7),
    )
)
LENGTHS = st.integers(1, 30)
TURNS = 65
"""In which the longest is done: a beam finds a token in one, or tells one that it has found."""
PROMPTS = st.text(st.sampled_from(VOCABULARY), max_size=12)


def made(specification: Specification, seed: int = 0, int8: bool = False) -> Model:
    drawn = network(specification, seed)
    return Model(quantized(drawn, seed) if int8 else drawn)


def settings_of(model: Model) -> Generation:
    decoder = model.network.specification.heads[0].decoder
    assert isinstance(decoder, Generation)
    return decoder


def begun(model: Model, prompt: str) -> Stream:
    """A stream behind the prompt; a model without a start token gets one that is not empty."""
    stream = model.stream()
    stream.push(prompt or ("" if settings_of(model).start is not None else "a"))
    return stream


def whole(model: Model, prompt: str, how: Sampling, longest: int | None) -> list[Event]:
    with begun(model, prompt) as stream:
        return list(stream.generate(how, longest))


def said(events: list[Event]) -> str:
    return "".join(event.text for event in events)


@settings(deadline=None, max_examples=40)
@given(specification=language_models(), prompt=PROMPTS, longest=LENGTHS, int8=st.booleans(), seed=st.integers(0, 99))
def test_each_token_is_the_next_input(
    specification: Specification, prompt: str, longest: int, int8: bool, seed: int
) -> None:
    """Greedy tokens are the likeliest ones of an ordinary stream that is given prompt and tokens by hand."""
    model, how = made(specification, seed, int8), Sampling(temperature=0)
    decoder = settings_of(model)
    with begun(model, prompt) as stream:
        events = list(stream.generate(how, longest))
        assert not stream.generating and stream.frames_in == stream.frames_out
        state = stream.record.state.copy()
    *tokens, last = events
    assert [event.kind for event in events] == ["token"] * len(tokens) + ["end-of-generation"]
    fed = said(tokens) + ("" if last.index < 0 else VOCABULARY[last.index])
    first = prompt or VOCABULARY[0 if decoder.start is None else decoder.start]
    with model.stream(decoder="outputs") as other:
        outputs = np.array([event.values for event in other.push(first + fed)])
        assert other.record.state.tobytes() == state.tobytes()
    drawn = outputs[len(first) - 1 : -1]
    assert [event.index for event in events if event.index >= 0] == drawn.argmax(axis=1).tolist()
    assert len(tokens) == longest if last.index < 0 else last.index == decoder.end and len(tokens) < longest
    assert [event.frame for event in tokens] == list(range(len(first) - 1, len(first) - 1 + len(tokens)))
    if model.heads.all["main"].probabilities:
        chances = (drawn / drawn.sum(axis=1, keepdims=True)).max(axis=1)
    else:
        chances = 1 / np.exp(drawn - drawn.max(axis=1, keepdims=True)).sum(axis=1)
    assert [e.probability for e in events if e.index >= 0] == pytest.approx(chances.tolist(), rel=1e-5)


def test_a_prompt_has_what_its_text_begins_and_ends_with() -> None:
    layers = (Embedding(5), Gru(6), Dense(len(VOCABULARY)))
    plain = Network.random(Sequential("plain", Tokens(VOCABULARY), layers, Generation(start=2)), seed=1)
    ends = replace(plain.specification, front_end=Tokens(VOCABULARY, begin=2, end=3))
    model, other = Model(Network(ends, plain.weights)), Model(plain)
    how, (begin, end) = Sampling(seed=4), VOCABULARY[2:4]
    stream = model.stream()
    stream.push("a")
    stream.push("b")
    first = list(stream.generate(how, 5))
    assert bits(first) == bits(whole(other, f"{begin}ab{end}", how, 5))
    stream.push("a")  # a second text, behind the first and what came of it
    assert said(list(stream.generate(how, 5))) == said(
        whole(other, f"{begin}ab{end}{said(first)}{begin}a{end}", how, 5)
    )
    assert said(whole(model, "", how, 5)) == said(whole(other, "", how, 5))  # which begins by the head's start


@settings(deadline=None, max_examples=40)
@given(
    specification=language_models(),
    prompt=PROMPTS,
    cuts=st.lists(st.integers(0, 99), max_size=4),
    how=SAMPLINGS,
    longest=LENGTHS,
    pauses=st.lists(st.integers(0, 9), max_size=5),
)
def test_1_how_the_prompt_was_cut_and_where_it_paused_do_not_matter(
    specification: Specification, prompt: str, cuts: list[int], how: Sampling, longest: int, pauses: list[int]
) -> None:
    model = made(specification)
    wanted = whole(model, prompt, how, longest)
    prompt = prompt or ("" if settings_of(model).start is not None else "a")
    with model.stream() as stream:
        for piece in Case(model.network, prompt).pieces(cuts):
            assert stream.push(piece) == []
        tokens = stream.generate(how, longest)
        events = [event for count in pauses for event in islice(tokens, count)]
        events += list(tokens)
    assert bits(events) == bits(wanted)


@settings(deadline=None, max_examples=10)
@given(
    specification=language_models(),
    streams=st.lists(st.tuples(PROMPTS, SAMPLINGS, LENGTHS, st.booleans()), min_size=1, max_size=9),
    count=st.sampled_from((2, 64)),
    int8=st.booleans(),
    max_frames=st.sampled_from((None, 1, 3)),
    data=st.data(),
)
def test_2_company_does_not_matter(
    specification: Specification,
    streams: list[tuple[str, Sampling, int, bool]],
    count: int,
    int8: bool,
    max_frames: int | None,
    data: st.DataObject,
) -> None:
    """Streams that generate, among others of all outputs whose text comes letter by letter."""
    specification = replace(
        specification, heads=(*specification.heads, Head("all", specification.heads[0].node, Outputs()))
    )
    model = made(specification, int8=int8)
    streams = (streams * count)[:count]
    opened: list[Stream] = []
    events: list[list[Event]] = [[] for _ in streams]
    for prompt, how, longest, generates in streams:
        opened.append(begun(model, prompt) if generates else model.stream(head="all"))
        if generates:
            opened[-1].generate(how, longest)
    for turn in range(TURNS):
        for (_, _, _, generates), stream in zip(streams, opened, strict=True):
            if not generates:
                stream.record.accept("ab"[turn % 2])
        order = data.draw(st.permutations(range(len(opened)))) if turn < 3 else list(range(len(opened)))
        for i, some in zip(order, advance([opened[i].record for i in order], max_frames), strict=True):
            assert len(some) <= (2 if streams[i][3] else 1)
            events[i] += some
    with model.stream(head="all") as stream:
        ordinary = bits([event for turn in range(TURNS) for event in stream.push("ab"[turn % 2])])
    alone = {(each[0], each[1], each[2]): bits(whole(model, *each[:3])) for each in dict.fromkeys(streams) if each[3]}
    for (prompt, how, longest, generates), found in zip(streams, events, strict=True):
        assert bits(found) == (alone[prompt, how, longest] if generates else ordinary)


@pytest.mark.parametrize("how", [Sampling(temperature=0), Sampling(seed=2, temperature=0.9, top_k=3)])
@pytest.mark.parametrize("at", [1, 2, 9])
def test_what_is_made_ahead_is_not_to_be_seen_between_two_tokens(how: Sampling, at: int) -> None:
    """Whatever happens to a stream of whose tokens some were told: as if each had been made by itself."""
    layers = (Embedding(5), Gru(6), Dense(len(VOCABULARY)))
    model = Model(Network.random(Sequential("model", Tokens(VOCABULARY), layers, Generation(start=0)), seed=1))

    def told(one_by_one: bool) -> Stream:
        stream = begun(model, "ab")
        tokens = stream.generate(how, 40)
        for _ in range(at):
            if one_by_one:
                advance([stream.record])
            else:
                next(tokens)
        stream.record.ticket, kept = None, stream.record.ticket
        assert kept is not None and stream.record.decoder_state.outputs is kept.outputs
        return stream

    def rest(stream: Stream, then: int) -> list[Event]:
        if then == 1:
            return list(stream.fork().generate())
        if then == 2:
            stream.generate(Sampling(seed=9), 5)
        elif then == 3:
            stream.end_generation()
            stream.push("cab")
            stream.generate(how, 3)
        elif then == 4:
            return advance([stream.record])[0] + list(stream.generate())
        return list(stream.generate())

    for then in range(5):
        ahead, single = told(False), told(True)
        assert ahead.snapshot() == single.snapshot()
        assert bits(rest(ahead, then)) == bits(rest(single, then))
        assert (ahead.frames_in, ahead.frames_out) == (single.frames_in, single.frames_out)
        assert ahead.record.state.tobytes() == single.record.state.tobytes()
    tokens = (stream := begun(model, "ab")).generate(how, 40)
    first = [next(tokens) for _ in range(at)]
    other = list(islice(stream.generate(), 3))  # another iteration of the same text, then the first one again
    assert bits([*first, *other, *tokens]) == bits(whole(model, "ab", how, 40))


@settings(deadline=None, max_examples=40)
@given(specification=language_models(), prompt=PROMPTS, how=SAMPLINGS, longest=LENGTHS, at=st.integers(0, 31))
def test_3_a_snapshot_goes_on_with_the_same_tokens(
    specification: Specification, prompt: str, how: Sampling, longest: int, at: int
) -> None:
    model = made(specification)
    wanted = whole(model, prompt, how, longest)
    stream = begun(model, prompt)
    before = list(islice(stream.generate(how, longest), at))
    restored = Model(model.network).restore(stream.snapshot())
    assert restored.snapshot() == stream.snapshot() and restored.generating == stream.generating
    for each in (restored, stream):
        if each.generating:
            assert bits(before + list(each.generate())) == bits(wanted)
    assert restored.snapshot() == stream.snapshot()


@settings(deadline=None, max_examples=20)
@given(specification=language_models(), prompt=PROMPTS, longest=LENGTHS, at=st.integers(0, 20))
def test_3_forks_go_on_with_seeds_of_their_own(
    specification: Specification, prompt: str, longest: int, at: int
) -> None:
    """Two continuations of one beginning, each with the tokens that it would have had alone."""
    model = made(replace(specification, heads=(replace(specification.heads[0], decoder=Generation(start=0)),)))
    one, other = Sampling(seed=5), Sampling(seed=6, temperature=0.9)
    with begun(model, prompt) as stream:
        before = said(list(islice(stream.generate(one, at + longest), at)))
        with stream.fork() as fork:
            forked = list(fork.generate(other, longest))
            rest = list(stream.generate())
    assert before + said(rest) == said(whole(model, prompt, one, at + longest))
    with begun(model, prompt) as again:
        again.push(before if prompt else VOCABULARY[0] + before)
        assert [e.index for e in again.generate(other, longest)] == [e.index for e in forked]


@settings(deadline=None, max_examples=20)
@given(specification=language_models(), how=SAMPLINGS, at=st.integers(0, 9), ends=st.sampled_from(("reset", "flush")))
def test_3_after_reset_and_flush_a_stream_is_as_new(
    specification: Specification, how: Sampling, at: int, ends: str
) -> None:
    model = made(specification)
    with model.stream() as stream:
        stream.push("bad ")
        list(islice(stream.generate(how), at))
        getattr(stream, ends)()
        assert not stream.generating and stream.utterance == 1
        stream.push("face")
        events = list(stream.generate(how, 20))
    assert [(e.kind, e.frame, e.index, e.probability) for e in events] == [
        (e.kind, e.frame, e.index, e.probability) for e in whole(model, "face", how, 20)
    ]


def test_3_another_process_resumes_with_the_same_tokens(tmp_path: Path) -> None:
    resumed = Resumed(tmp_path, generate_the_rest)

    @settings(deadline=None, max_examples=8, database=None)
    @given(specification=language_models(), how=SAMPLINGS)
    def prepare(specification: Specification, how: Sampling) -> None:
        head = replace(specification.heads[0], decoder=Generation(start=3))
        model = resumed.model(network(replace(specification, heads=(head,)), len(resumed.events)))
        stream = model.stream()
        assert len(list(islice(stream.generate(how, 200), 60))) == 60
        resumed.leave(model, stream)

    prepare()
    resumed.check()
    assert set(resumed.events) == {141}
