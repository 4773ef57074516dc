"""Several heads: each stream has the outputs and the events of its own, whoever is beside it. That it also has the
same bits in every cutting, company and snapshot is with the promises (test_promises, test_streaming_blocks)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import reference
from engine_models import events as all_events
from engine_models import heads, mixed
from hypothesis import given, settings
from hypothesis import strategies as st
from random_models import bits, made_frames, network, signal, specifications

from ostinato.engine import Engine
from ostinato.errors import DivergedError, InputError, SnapshotError, UnknownHeadError
from ostinato.events import Event
from ostinato.model import Head, Network, Node, Specification
from ostinato.model.activation import Activation
from ostinato.model.decoders import Outputs
from ostinato.model.front_ends import Frames
from ostinato.model.layers import Rnn
from ostinato.options import Options
from ostinato.streaming import Model, advance
from ostinato.streaming import snapshot as snapshots
from ostinato.streaming.packed import ProgramRunner

SMALL = settings(deadline=None, max_examples=25)


def model(direction: Any = "forward") -> Model:
    return Model(network(heads(direction), 3))


def frames(count: int, seed: int = 0) -> Any:
    return signal(heads(), count, seed)


def whole(which: Model, data: Any, **options: Any) -> list[Event]:
    with which.stream(**options) as stream:
        return stream.push(data) + stream.flush()


@SMALL
@given(specification=specifications(("frames",)), length=st.integers(1, 40), seed=st.integers(0, 99))
def test_each_head_has_the_outputs_of_its_node(specification: Specification, length: int, seed: int) -> None:
    made, data = network(specification, seed), signal(specification, length, seed)
    which = Model(made)
    for head in specification.heads:
        found = np.array([event.values for event in whole(which, data, head=head.name, decoder="outputs")])
        others = tuple(one for one in specification.heads if one is not head)
        wanted = reference.run(replace(specification, heads=(head, *others)), made.weights, made_frames(made, data))
        np.testing.assert_allclose(found, wanted, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
def test_each_head_has_its_own_decoder(direction: Any) -> None:
    """What it makes of a head's raw outputs is what the stream says."""
    which, data = model(direction), frames(30)
    for name, head in which.heads.all.items():
        state = head.decoder.start()
        raw = np.array([event.values for event in whole(which, data, head=name, decoder="outputs")], np.float32)
        wanted = head.decoder.step(state, raw) + head.decoder.flush(state)
        assert bits(whole(which, data, head=name)) == bits(wanted) != []
    assert {event.kind for event in whole(which, data, head="words")} == {"symbol"}
    with which.stream() as stream:
        assert stream.head.name == stream.options.head == "phones", "the first is the default"
    with which.stream(head="body") as stream:
        assert stream.head is which.heads.all["body"] and stream.delay == which.delay


def test_a_head_that_is_not_there_is_named_with_those_that_are() -> None:
    which = model()
    with pytest.raises(UnknownHeadError, match=r"'word': it has phones, words, body, all; did you mean 'words'\?"):
        which.stream(head="word")
    with pytest.raises(UnknownHeadError, match="no head ''"):
        which.stream(head="")
    with pytest.raises(InputError, match="no decoder 'ctc'"):
        which.stream(head="words", decoder="ctc")  # type: ignore[arg-type]
    assert len(which.states._released) == which.states._unused == 0, "nothing is kept of a stream that is refused"


@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
@SMALL
@given(
    heads=st.lists(st.sampled_from([None, "phones", "words", "body", "all"]), min_size=1, max_size=12),
    messages=st.lists(st.integers(0, 9), min_size=1, max_size=4),
    together=st.booleans(),
)
def test_streams_of_all_heads_share_the_engines_ticks(
    direction: Any, heads: list[str | None], messages: list[int], together: bool
) -> None:
    """Each is answered as it would be alone, whether its pushes come by themselves or with those of others."""
    which, keys = model(direction), range(len(heads))
    engine = Engine({"m": which})
    data = [frames(sum(messages), seed) for seed in keys]
    for key, head in enumerate(heads):
        assert engine.open(key, "m", Options(head=head)).options.head == (head or "phones")
    start, results = 0, []
    for number, count in enumerate(messages, 1):
        parts = [each[start : start + count] for each in data]
        left = set(keys)
        if together:
            left = engine.push_many(keys, [number] * len(keys), [count] * len(keys), np.concatenate(parts), 0)
        for key in left:
            engine.push(key, number, parts[key])
        start += count
        if number % 2:
            results += engine.tick()
    for key in keys:
        engine.flush(key, len(messages) + 1)
    while engine.busy:
        results += engine.tick()
    for key, head in enumerate(heads):
        mine = [result for result in results if result.key == key]
        assert bits(all_events(mine)) == bits(whole(which, data[key], head=head)) and mine[-1].final


@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
def test_what_overflows_in_one_head_is_no_fault_of_streams_of_another(direction: Any) -> None:
    nodes = (
        Node("grows", Rnn(2, direction=direction, activation=Activation("relu")), ("frames",)),
        Node("bounded", Rnn(2), ("grows",)),
    )
    heads = (Head("bounded", "bounded", Outputs()), Head("grows", "grows", Outputs()))
    specification = Specification("growing", Frames(1), nodes, heads)
    weights = {name: np.full_like(each, 9) for name, each in Network.random(specification).weights.items()}
    which, data = Model(Network(specification, weights)), np.ones((80, 1), np.float32)
    with pytest.raises(DivergedError):
        whole(which, data, head="grows")
    streams = [which.stream(head=name) for name in ("grows", "bounded", "grows", "bounded")]
    for stream in streams:
        stream.record.accept(data)
        if direction != "forward":
            stream.record.end_utterance()
    found = advance([stream.record for stream in streams])
    assert [stream.fault is None for stream in streams] == [False, True, False, True]
    assert bits(found[1]) == bits(found[3]) == bits(whole(which, data))
    assert bits(found[0]) == bits(found[2]) and 0 <= len(found[0]) < 80


@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
def test_a_snapshot_keeps_its_head(direction: Any) -> None:
    which, data = model(direction), frames(20)
    wanted = whole(which, data, head="words")
    with which.stream(head="words") as stream:
        before = stream.push(data[:7])
        snapshot = stream.snapshot()
    for options in (Options(), Options(head="words")):
        with which.restore(snapshot, options) as again:
            assert again.head.name == "words"
            assert bits(before + again.push(data[7:]) + again.flush()) == bits(wanted)
    with pytest.raises(InputError, match="head = 'phones' is not what the stream of the snapshot has"):
        which.restore(snapshot, Options(head="phones"))
    for forged, why in (("nobody", "no head 'nobody'"), ("phones", "state"), (7, "options.head")):
        parts = snapshots.decode(snapshot)
        parts[0]["options"]["head"] = forged
        with pytest.raises(SnapshotError, match=why):
            which.restore(snapshots.encode(parts))


@pytest.mark.parametrize("streams", [1, 3])
def test_what_a_runner_gives_is_nobody_elses(streams: int) -> None:
    """Its rows are scratch memory, which the next call, of another thread maybe, writes over."""
    runner = ProgramRunner(model("bidirectional").network.program)
    regions, slots, data = list(runner.program.outputs), list(range(streams)), [frames(6)] * streams
    states = runner.program.new_states(streams)
    given = runner.run_blocks(states, slots, data, 6, regions)
    given += runner.run(states, slots, np.concatenate(data), [6] * streams, regions)
    assert not any(np.shares_memory(each, runner._rows) for each in given)


def test_each_head_has_a_delay_and_answers_as_it_says() -> None:
    which, data = Model(network(mixed(), 3)), frames(30)
    assert which.direction == "bidirectional" and which.delay.frames == 0, "that of the first head"
    assert {name: which.delay_of(name).ms for name in which.heads.all} == {
        "phones": 0, "words": None, "body": 0, "all": 0,
    }  # fmt: skip
    with which.stream() as phones, which.stream(head="words") as words:
        assert len(phones.push(data)) == 30 and words.push(data) == []
        assert (phones.delay.frames, words.delay.frames) == (0, None)
        assert words.flush() != []
    with which.stream(head="words", block_ms=40, lookahead_ms=20, decoder="outputs") as blocks:
        assert len(blocks.push(data)) == 28 and blocks.delay.frames == 5
    with pytest.raises(InputError, match="head 'phones' of 'heads' is causal"):
        which.stream(head="phones", block_ms=40)
    with which.stream(head="body", decoder="outputs") as stream:
        parts = snapshots.decode(stream.snapshot())
        parts[0]["options"]["head"] = "words"
        with pytest.raises(SnapshotError, match="recurrent state"):
            which.restore(snapshots.encode(parts))


@SMALL
@given(
    names=st.lists(st.sampled_from(["phones", "words", "body", "blocks"]), min_size=1, max_size=10),
    messages=st.lists(st.integers(0, 9), min_size=1, max_size=4),
    together=st.booleans(),
)
def test_heads_that_answer_at_once_and_heads_that_wait_share_an_engine(
    names: list[str], messages: list[int], together: bool
) -> None:
    which, keys = Model(network(mixed(), 3)), range(len(names))
    ways: list[dict[str, Any]] = [
        {"head": "words", "block_ms": 40.0, "lookahead_ms": 20.0} if name == "blocks" else {"head": name}
        for name in names
    ]
    engine, data = Engine({"m": which}), [frames(sum(messages), seed) for seed in keys]
    for key, options in enumerate(ways):
        assert engine.open(key, "m", Options(**options)).delay.frames == {"words": None, "blocks": 5}.get(
            names[key], 0
        )
    start, results = 0, []
    for number, count in enumerate(messages, 1):
        parts = [each[start : start + count] for each in data]
        left = set(keys)
        if together:
            left = engine.push_many(keys, [number] * len(keys), [count] * len(keys), np.concatenate(parts), 0)
        for key in left:
            engine.push(key, number, parts[key])
        start += count
        while engine.busy:
            results += engine.tick()
        for key, name in enumerate(names):
            if name in ("phones", "body"):
                assert len(all_events([one for one in results if one.key == key])) == start, "at once"
    for key in keys:
        engine.flush(key, len(messages) + 1)
    while engine.busy:
        results += engine.tick()
    for key, options in enumerate(ways):
        mine = [result for result in results if result.key == key]
        assert bits(all_events(mine)) == bits(whole(which, data[key], **options)) and mine[-1].final
