"""The engine: each stream's messages are done in order and answered once, with the bits that the stream has alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable
from typing import Any

import numpy as np
import pytest
from engine_models import events, frames, model, models, run, sound
from hypothesis import example, given, settings
from hypothesis import strategies as st
from random_models import bits

from ostinato.engine import Answer, Engine, Limits, Usage
from ostinato.errors import (
    DtypeError,
    InputError,
    NotFiniteError,
    SequenceError,
    ShapeError,
    SnapshotError,
    StreamInUseError,
    UnknownModelError,
    UnknownStreamError,
    UnknownTokenError,
)
from ostinato.events import Event
from ostinato.options import Options
from ostinato.streaming import Stream

NAMES = ("frames", "frames-bi", "audio", "audio-bi", "text")
KINDS = ("push", "push", "push", "flush", "mark", "snapshot", "reset", "error")
WAITS = st.sampled_from(({}, {"block_ms": 30.0, "lookahead_ms": 20.0}, {"block_ms": 10.0}))
"""Options of bidirectional streams."""
MESSAGES = st.tuples(st.sampled_from(KINDS), st.integers(0, 60), st.integers(0, 9))


def data(name: str, length: int, seed: int) -> Any:
    """Input of about ``length`` frames."""
    if name == "text":
        return "".join(np.random.default_rng(seed).choice(list("abcd "), length))
    return frames(length, seed) if name.startswith("frames") else sound(length / 100, seed)


def alone(stream: Stream, kind: str, given_data: Any) -> list[Event]:
    """What a stream of its own does with a message."""
    if kind == "push":
        return stream.push(given_data)
    if kind == "flush":
        return stream.flush()
    if kind == "reset":
        stream.reset()
    return []


@settings(deadline=None, max_examples=60)
@given(
    streams=st.lists(
        st.tuples(st.sampled_from(NAMES), WAITS, st.lists(MESSAGES, max_size=8)), min_size=1, max_size=8
    ),
    ticks=st.lists(st.integers(0, 3), max_size=40),
    share=st.sampled_from((1, 5, 32)),
    slice_ms=st.sampled_from((0.01, 1.5)),
    max_run_bytes=st.sampled_from((1, 1 << 18, 1 << 29)),
    together=st.booleans(),
)
def test_messages_are_answered_in_order_with_the_bits_of_a_stream_alone(
    streams: list[tuple[str, dict[str, float], list[tuple[str, int, int]]]],
    ticks: list[int],
    share: int,
    slice_ms: float,
    max_run_bytes: int,
    together: bool,
) -> None:
    """Streams of several models, their messages mixed with ticks as chance has it; or a turn's pushes together."""
    engine = Engine(models(), Limits(share=share, slice_ms=slice_ms, max_run_bytes=max_run_bytes))
    streams = [(name, wait if name.endswith("-bi") else {}, messages) for name, wait, messages in streams]
    for key, (name, wait, _) in enumerate(streams):
        engine.open(key, name, Options(**wait))  # type: ignore[arg-type]
    found: dict[Hashable, list[Answer]] = defaultdict(list)

    def tick() -> None:
        for result in engine.tick():
            found[result.key].append(result)

    pauses = iter(ticks)
    for turn in range(8):
        due = {
            key: (name, *messages[turn]) for key, (name, _, messages) in enumerate(streams) if turn < len(messages)
        }
        if together:
            due = send_together(engine, due, turn + 1)
        for key, message in due.items():
            send(engine, key, turn + 1, *message)
            for _ in range(0 if together else next(pauses, 0)):
                tick()
        for _ in range(next(pauses, 0)):
            tick()
    for name_of, results in run(engine).items():
        found[name_of] += results
    for key, (name, wait, messages) in enumerate(streams):
        check(name, wait, messages, found[key])
        engine.close(key)
    assert engine.streams == 0
    assert engine.usage == Usage(0, 0, 0, 0), "all memory is given back"


Message = tuple[str, str, int, int]


def send_together(engine: Engine, due: dict[int, Message], sequence: int) -> dict[int, Message]:
    """Push what is audio or frames in one go each; returns what is left to be sent singly."""
    for kind in ("audio", "frames"):
        parts = {
            key: data(name, length, seed)
            for key, (name, what, length, seed) in due.items()
            if what == "push" and name.startswith(kind)
        }
        if parts:
            keys, arrays = list(parts), list(parts.values())
            left = engine.push_many(keys, [sequence] * len(keys), list(map(len, arrays)), np.concatenate(arrays), 1)
            due = {key: message for key, message in due.items() if key not in parts or keys.index(key) in left}
    return due


def send(engine: Engine, key: int, sequence: int, name: str, kind: str, length: int, seed: int) -> None:
    if kind == "push":
        assert engine.push(key, sequence, data(name, length, seed)) is None
    elif kind == "error":
        assert engine.push(key, sequence, np.zeros((2, 2, 2), np.float32)) is None
    elif kind == "mark":
        assert engine.mark(key, sequence, bytes([seed])) is None
    else:
        assert getattr(engine, kind)(key, sequence) is None


def check(name: str, wait: dict[str, Any], messages: list[tuple[str, int, int]], results: list[Answer]) -> None:
    """Each message is answered once, in order, and says what a stream of its own says."""
    assert [result.kind for result in results] == [kind for kind, _, _ in messages]
    assert [result.sequence for result in results] == list(range(1, len(messages) + 1))
    processed = count = 0
    with model(name).stream(**wait) as stream:
        for result, (kind, length, seed) in zip(results, messages, strict=True):
            given_data = data(name, length, seed)
            processed += len(given_data) if kind == "push" else 0
            utterance = stream.utterance
            wanted = alone(stream, kind, given_data)
            assert bits(result.events) == bits(wanted)
            assert (result.first, result.processed) == (count, processed)
            assert result.final == (kind == "flush")
            assert result.utterance == (utterance if result.final else stream.utterance)
            assert min(result.waiting_ms, result.computing_ms, result.buffered_ms) >= 0
            count += len(wanted)
            if kind == "mark":
                assert result.payload == bytes([seed])
            if kind == "snapshot":
                assert result.payload == stream.snapshot()
            if kind == "error":
                assert isinstance(result.payload, InputError)


STEPS = st.one_of(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 12)), min_size=1, max_size=7),
    st.tuples(st.sampled_from(("mark", "flush", "reset", "error")), st.integers(0, 4)),
    st.just("tick"),
)


@settings(deadline=None, max_examples=100)
@given(steps=st.lists(STEPS, max_size=25), share=st.sampled_from((4, 32)), name=st.sampled_from(("frames", "audio")))
@example(steps=[[(0, 12)], [(0, 1)], "tick", [(0, 1)]], share=4, name="frames")
def test_messages_for_many_may_wait_behind_each_other(steps: list[Any], share: int, name: str) -> None:
    """One message for several streams after another, some twice in one, and in between what has to wait for them."""
    engine = Engine(models(name), Limits(share=share))
    sent: dict[int, list[tuple[str, int, int]]] = {key: [] for key in range(5)}
    found: dict[Hashable, list[Answer]] = defaultdict(list)
    for key in sent:
        engine.open(key, name)
    for number, step in enumerate(steps):
        if step == "tick":
            for result in engine.tick():
                found[result.key].append(result)
        elif isinstance(step, tuple):
            kind, key = step
            sent[key].append((kind, 0, number))
            send(engine, key, len(sent[key]), name, *sent[key][-1])
        else:
            sequences = []
            for key, length in step:
                sent[key].append(("push", length, number))
                sequences.append(len(sent[key]))
            parts = [data(name, length, number) for _, length in step]
            keys = [key for key, _ in step]
            left = engine.push_many(keys, sequences, list(map(len, parts)), np.concatenate(parts), 1)
            for i in sorted(left):
                assert engine.push(keys[i], sequences[i], parts[i]) is None
    for name_of, results in run(engine).items():
        found[name_of] += results
    for key, messages in sent.items():
        check(name, {}, messages, found[key])
        engine.close(key)
    assert not engine.busy


def test_a_snapshot_goes_on_in_another_engine() -> None:
    for name in NAMES:
        first, second = data(name, 50, 1), data(name, 70, 2)
        engine = Engine(models(name))
        engine.open("one", name)
        engine.push("one", 1, first)
        engine.snapshot("one", 2)
        engine.push("one", 3, second)
        engine.flush("one", 4)
        results = run(engine)["one"]
        other = Engine(models(name))
        other.open("two", name, snapshot=results[1].payload)
        other.push("two", 1, second)
        other.flush("two", 2)
        assert bits(events(run(other)["two"])) == bits(events(results[2:]))


def test_options_given_as_whole_numbers_are_in_snapshots_too() -> None:
    engine = Engine(models("audio"), Limits(max_utterance_s=20))
    engine.open("s", "audio", Options(end_of_speech_ms=300, max_utterance_s=10))
    engine.snapshot("s", 1)
    (result,) = run(engine)["s"]
    engine.open("t", "audio", Options(end_of_speech_ms=300.0), snapshot=result.payload)


@pytest.mark.parametrize("name", ["frames", "frames-bi"])
def test_the_repeat_of_a_flush_is_final_once_it_is_done(name: str) -> None:
    engine = Engine(models(name))
    engine.open("s", name)
    engine.push("s", 1, frames(5))
    engine.flush("s", 2)
    waits = engine.flush("s", 2)
    assert waits is not None and not waits.final, "the final result is yet to come"
    (*_, final) = run(engine)["s"]
    assert final.final and final.sequence == 2
    again = engine.flush("s", 2)
    assert again is not None and again.final and not again.events
    assert (again.sequence, again.first, again.processed, again.utterance) == (2, 5, 5, 0)
    assert (again.utterance, again.utterance_ms) == (final.utterance, final.utterance_ms)
    engine.push("s", 3, frames(5))
    engine.flush("s", 4)
    run(engine)
    for sequence in (2, 4):
        again = engine.flush("s", sequence)
        assert again is not None and again.final and (again.sequence, again.utterance) == (4, 1)
        assert again.utterance_ms == 50.0
    pushed = engine.push("s", 3, frames(5))
    assert pushed is not None and not pushed.final


def test_a_repeat_is_dropped_and_acknowledged_a_gap_is_refused() -> None:
    engine = Engine(models("frames"))
    engine.open("s", "frames")
    assert engine.push("s", 1, frames(5)) is None
    again = engine.push("s", 1, frames(5))
    assert again is not None
    assert (again.sequence, again.processed, again.events) == (0, 0, [])
    with pytest.raises(SequenceError, match="expects 2"):
        engine.push("s", 3, frames(5))
    assert engine.expected("s") == 2
    engine.mark("s", 2, b"here")
    results = run(engine)["s"]
    assert [(result.kind, result.sequence) for result in results] == [("push", 1), ("mark", 2)]
    again = engine.mark("s", 1, b"again")
    assert again is not None
    assert (again.sequence, again.processed, again.first) == (2, 5, 5)
    assert not engine.busy


BAD = [
    ("frames", np.zeros((2, 3), np.int16), DtypeError),
    ("frames", np.zeros((2, 4), np.float32), ShapeError),
    ("frames", np.full((2, 3), np.nan, np.float32), NotFiniteError),
    ("frames", "text", DtypeError),
    ("audio", np.array([0, np.inf], np.float32), NotFiniteError),
    ("audio", np.zeros((5, 2), np.int16), ShapeError),
    ("audio", np.zeros(5, np.int64), DtypeError),
    ("text", "xyz", UnknownTokenError),
    ("text", np.zeros(5, np.int16), DtypeError),
]


@pytest.mark.parametrize(("name", "bad", "error"), BAD)
def test_wrong_input_is_answered_in_its_turn_and_disturbs_nothing(
    name: str, bad: Any, error: type[Exception]
) -> None:
    engine = Engine(models(name))
    first, second = data(name, 40, 1), data(name, 30, 2)
    for key in ("good", "bad"):
        engine.open(key, name)
        engine.push(key, 1, first)
    engine.push("bad", 2, bad)
    engine.push("bad", 3, second)
    engine.push("good", 2, second)
    found = run(engine)
    assert [result.kind for result in found["bad"]] == ["push", "error", "push"]
    assert type(found["bad"][1].payload) is error
    assert found["bad"][-1].processed == len(first) + len(second)
    with model(name).stream() as stream:
        wanted = bits(stream.push(first) + stream.push(second))
    assert bits(events(found["bad"])) == wanted
    assert bits(events(found["good"])) == wanted


def test_what_cannot_be_opened_is_refused_by_name() -> None:
    engine = Engine(models("frames", "audio", "text"), Limits(max_utterance_s=10))
    engine.open("s", "frames")
    engine.snapshot("s", 1)
    snapshot = run(engine)["s"][0].payload
    refused: list[tuple[type[Exception], str, dict[str, Any], bytes | None]] = [
        (UnknownModelError, "nobody", {}, None),
        (DtypeError, "frames", {"dtype": "int16"}, None),
        (DtypeError, "audio", {"dtype": "int64"}, None),
        (DtypeError, "text", {"dtype": "float32"}, None),
        (InputError, "frames", {"sample_rate": 16000}, None),
        (InputError, "frames", {"decoder": "ctc"}, None),
        (InputError, "audio", {"max_utterance_s": 11.0}, None),
        (SnapshotError, "audio", {}, snapshot),
        (SnapshotError, "frames", {}, snapshot[:-1]),
        (InputError, "frames", {"decoder": "outputs"}, snapshot),
    ]
    for error, name, options, resumed in refused:
        with pytest.raises(error):
            engine.open("t", name, Options(**options), snapshot=resumed)
    with pytest.raises(StreamInUseError):
        engine.open("s", "frames")
    assert engine.streams == 1
    for name, dtype in (("frames", "float32"), ("audio", "int16"), ("audio", "float32")):
        engine.open((name, dtype), name, Options(dtype=dtype))
    with pytest.raises(SnapshotError, match="over the server bound"):
        long = model("audio").stream(max_utterance_s=60.0)
        engine.open("u", "audio", snapshot=long.snapshot())


def test_a_closed_stream_is_unknown_and_what_waited_is_dropped() -> None:
    engine = Engine(models("frames", "frames-bi"), Limits(slice_ms=0.001))
    for name in ("frames", "frames-bi"):
        engine.open(name, name)
        engine.push(name, 1, frames(300))
        engine.flush(name, 2)
        engine.push(name, 3, frames(5))
    engine.tick()
    for name in ("frames", "frames-bi"):
        engine.close(name)
        with pytest.raises(UnknownStreamError):
            engine.push(name, 4, frames(1))
        with pytest.raises(UnknownStreamError):
            engine.close(name)
        engine.open(name, name)  # the same id, another stream
        engine.mark(name, 1, b"new")
    found = run(engine)
    assert {key: [r.kind for r in results] for key, results in found.items()} == {
        "frames": ["mark"],
        "frames-bi": ["mark"],
    }


@pytest.mark.parametrize("slice_ms", [0.0001, 1.5])
def test_raw_outputs_and_end_of_speech_are_options_of_a_stream(slice_ms: float) -> None:
    engine = Engine(models("audio", "audio-bi"), Limits(credit_ms=10_000.0, slice_ms=slice_ms))
    quiet = np.zeros(16000, np.int16)
    speech = np.concatenate([part for seed in (1, 2) for part in (quiet, sound(0.5, seed), quiet)])
    for name in ("audio", "audio-bi"):
        opened = engine.open(name, name, Options(decoder="outputs", end_of_speech_ms=300.0))
        assert opened.options.decoder == "outputs"
        for i, start in enumerate(range(0, len(speech), 4000)):
            engine.push(name, i + 1, speech[start : start + 4000])
        engine.flush(name, i + 2)
    found = run(engine)
    for name in ("audio", "audio-bi"):
        with model(name).stream(decoder="outputs", end_of_speech_ms=300.0) as stream:
            wanted = stream.push(speech) + stream.flush()
        assert sum(event.kind == "end-of-speech" for event in wanted) == 2
        assert bits(events(found[name])) == bits(wanted)
        sequences = [result.sequence for result in found[name]]
        assert sequences == sorted(sequences)
    ends = [result for result in found["audio-bi"] if result.final]
    assert [result.utterance for result in ends] == list(range(len(ends)))
    assert len(ends) == 3, "two ended by silence, the last by the flush"
    assert [result.kind for result in ends] == ["push", "push", "flush"]
    assert all(result.buffered_ms > 0 for result in ends[:2])
