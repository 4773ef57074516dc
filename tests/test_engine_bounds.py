"""The engine: what is bounded, what happens at a bound, and that one stream's work does not hold the others up."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from engine_models import events, frames, model, models, run, sound
from random_models import bits, network

from ostinato.engine import Engine, Limits, ticks
from ostinato.errors import CreditError, InputError, OstinatoError, UtteranceTooLongError
from ostinato.model import Sequential
from ostinato.model.decoders import Audio
from ostinato.model.front_ends import Samples
from ostinato.model.layers import Dense, Gru
from ostinato.options import Options
from ostinato.streaming import FinishedUtterance, Model


def test_more_input_than_credit_is_not_taken_and_can_be_sent_again() -> None:
    engine = Engine(models("frames"), Limits(credit_ms=500.0))
    opened = engine.open("s", "frames")
    assert opened.credit == 50
    given = frames(140)
    engine.push("s", 1, given[:30])
    with pytest.raises(CreditError, match="credit is 50"):
        engine.push("s", 2, given[30:60])
    assert engine.expected("s") == 2
    engine.push("s", 2, given[30:50])
    with pytest.raises(CreditError):
        engine.push("s", 3, given[50:51])
    first = run(engine)["s"]
    assert first[-1].processed == 50
    engine.push("s", 3, given[50:100])
    second = run(engine)["s"]
    engine.push("s", 4, given[100:])
    found = first + second + run(engine)["s"]
    assert [result.sequence for result in found] == [1, 2, 3, 4]
    with model("frames").stream() as stream:
        assert bits(events(found)) == bits(stream.push(given))


def test_refused_input_gives_its_credit_back() -> None:
    engine = Engine(models("frames", "frames-bi"), Limits(credit_ms=500.0))
    engine.open("s", "frames-bi", Options(max_utterance_s=0.6))
    engine.push("s", 1, frames(50))
    run(engine)
    for sequence in (2, 3, 4):
        engine.push("s", sequence, frames(50))
        (result,) = run(engine)["s"]
        assert isinstance(result.payload, UtteranceTooLongError)
        assert (result.sequence, result.processed) == (sequence, 50)
    engine.push("s", 5, frames(10, 1))
    engine.flush("s", 6)
    found = run(engine)["s"]
    with model("frames-bi").stream() as stream:
        stream.push(frames(50))
        stream.push(frames(10, 1))
        assert bits(events(found)) == bits(stream.flush())


def test_messages_without_units_are_bounded_too() -> None:
    engine = Engine(models("frames"), Limits(inputs=10))
    engine.open("s", "frames")
    for sequence in range(1, 11):
        engine.push("s", sequence, frames(0))
    with pytest.raises(CreditError, match="10 messages"):
        engine.push("s", 11, frames(0))
    with pytest.raises(CreditError, match="10 messages"):
        engine.mark("s", 11, b"")
    assert len(run(engine)["s"]) == 10
    engine.mark("s", 11, b"")
    assert [result.kind for result in run(engine)["s"]] == ["mark"]


def test_a_long_message_does_not_hold_up_a_short_one() -> None:
    engine = Engine(models("frames"), Limits(share=8))
    for key in ("long", "short"):
        engine.open(key, "frames")
    engine.push("long", 1, frames(300))
    engine.push("long", 2, frames(1, 2))
    engine.push("short", 1, frames(4, 1))
    answered = {}
    tick = 0
    while engine.busy:
        for result in engine.tick():
            answered[result.key, result.sequence] = tick
            if result.key == "long" and result.sequence == 1:
                assert len(result.events) == result.frames == 300
        tick += 1
    assert answered["short", 1] == 0
    assert answered["long", 1] == 300 // 8
    assert answered["long", 2] > answered["long", 1]


def test_frames_that_are_samples_are_computed_many_in_a_tick() -> None:
    """10 ms of them at least: a tick for every 32 samples would take longer than the samples."""
    specification = Sequential("amplifier", Samples(48000, 1, 1), (Gru(2), Dense(1)), Audio())
    engine = Engine({"amplifier": Model(network(specification))}, Limits())
    engine.open(0, "amplifier")
    sound = np.zeros(4800, np.int16)
    engine.push(0, 1, sound)
    ticks = 0
    while engine.busy:
        engine.tick()
        ticks += 1
    assert ticks == 10


def test_many_streams_take_turns_when_a_tick_is_full() -> None:
    engine = Engine(models("frames"), Limits(tick_ms=1e-6))
    for key in range(100):
        engine.open(key, "frames")
        for sequence in (1, 2):
            engine.push(key, sequence, frames(10))
    first = engine.tick()
    assert 1 <= len(first) < 100, "a tick is bounded by its time, but never empty"
    order = [result.key for result in first]
    while engine.busy:
        order += [result.key for result in engine.tick()]
    assert order == [*range(100), *range(100)], "nobody has a second turn before all had a first"


def test_an_utterance_is_computed_in_slices_between_the_frames_of_others() -> None:
    engine = Engine(models("frames", "frames-bi"), Limits(slice_ms=0.0001))  # one step a slice
    engine.open("long", "frames-bi")
    for sequence in range(1, 5):
        engine.push("long", sequence, frames(400, sequence))
        run(engine)
    engine.open("live", "frames")
    engine.flush("long", 5)
    engine.push("long", 6, frames(3))
    sequence = 0
    kinds: list[tuple[str, int]] = []
    while engine.busy:
        sequence += 1
        if not kinds:
            engine.push("live", sequence, frames(2, sequence))
        results = engine.tick()
        if not kinds:
            assert [r.sequence for r in results if r.key == "live"] == [sequence], "answered in its own tick"
        kinds += [(r.kind, r.sequence) for r in results if r.key == "long"]
    assert kinds == [("flush", 5), ("push", 6)]
    assert sequence > 1600 // 32, "1600 frames of one operation took at least so many slices"


def test_finished_utterances_share_the_slices() -> None:
    """A short utterance that ends after ten long ones does not wait for them."""
    engine = Engine(models("frames-bi"), Limits(slice_ms=0.0001))
    lengths = {f"long {i}": 400 for i in range(10)} | {"short": 20}
    for key, length in lengths.items():
        engine.open(key, "frames-bi")
        engine.push(key, 1, frames(length))
        engine.flush(key, 2)
    ended = []
    while engine.busy:
        ended += [result.key for result in engine.tick() if result.final]
    assert ended[0] == "short"
    assert Counter(ended) == Counter(lengths.keys())


def test_blocks_of_a_stream_are_answered_while_its_utterance_goes_on() -> None:
    engine = Engine(models("frames-bi"))
    opened = engine.open("s", "frames-bi", Options(block_ms=80.0, lookahead_ms=50.0))
    assert (opened.delay.frames, opened.delay.ms) == (12, 120.0)
    answered = []
    for i in range(60):
        engine.push("s", i + 1, frames(1, i))
        (result,) = run(engine)["s"]
        answered.append(len(result.events))
        assert (result.frames, result.sequence) == (len(result.events), i + 1)
    assert [i for i, count in enumerate(answered) if count] == list(range(12, 60, 8))
    assert set(answered) == {0, 8}
    engine.flush("s", 61)
    (result,) = run(engine)["s"]
    assert result.final and len(result.events) == 60 - sum(answered)


def test_a_block_that_would_take_too_long_is_refused() -> None:
    engine = Engine(models("frames-bi"), Limits(max_block_ms=500.0))
    with pytest.raises(InputError, match="come to 510 ms, over this server's bound of 500"):
        engine.open("s", "frames-bi", Options(block_ms=300.0, lookahead_ms=210.0))
    long = model("frames-bi").stream(block_ms=300.0, lookahead_ms=210.0)
    with pytest.raises(InputError, match="bound of 500"):
        engine.open("s", "frames-bi", snapshot=long.snapshot())
    assert engine.streams == 0 == engine.usage.reserved_bytes
    engine.open("s", "frames-bi", Options(block_ms=300.0, lookahead_ms=200.0))


@pytest.mark.parametrize(("where", "seconds"), [("push", 0.1), ("advance", 0.7)])
def test_a_fault_of_ours_costs_its_streams_and_no_other(
    monkeypatch: pytest.MonkeyPatch, where: str, seconds: float
) -> None:
    """In the first turn of a message; in a later one of a long message."""
    engine = Engine(models("frames", "audio", "frames-bi"))
    for key in ("frames", "audio", "frames-bi"):
        engine.open(key, key)
        engine.push(key, 1, sound(seconds) if key == "audio" else frames(10))
    real = getattr(ticks, where)

    def faulty(streams: Any, *more: Any) -> Any:
        if streams and streams[0].model.name == "audio":
            raise ZeroDivisionError("injected")
        return real(streams, *more)

    monkeypatch.setattr(ticks, where, faulty)
    engine.flush("frames-bi", 2)
    found = run(engine)
    (lost,) = found["audio"]
    assert lost.kind == "closed"
    assert type(lost.payload) is OstinatoError
    assert lost.payload.code == "internal"
    assert engine.expected("audio") is None
    assert [result.kind for result in found["frames"]] == ["push"]
    assert found["frames-bi"][-1].final
    monkeypatch.undo()
    engine.open("audio", "audio")
    engine.push("audio", 1, sound(0.1))
    assert [result.kind for result in run(engine)["audio"]] == ["push"]


def test_a_fault_costs_all_that_came_in_the_same_message(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(models("frames"))
    for key in "abc":
        engine.open(key, "frames")
    assert not engine.push_many("ab", [1, 1], [3, 4], frames(7), 1)
    monkeypatch.setattr(ticks, "push", lambda *_: 1 / 0)
    assert {result.key: result.kind for result in engine.tick()} == {"a": "closed", "b": "closed"}
    monkeypatch.undo()
    assert engine.streams == 1 and not engine.busy
    engine.push("c", 1, frames(7))
    assert [result.kind for result in run(engine)["c"]] == ["push"]


def test_a_stream_closed_in_company_does_not_hold_the_others_up() -> None:
    engine = Engine(models("frames", "frames-bi"))
    for key in "abc":
        engine.open(key, "frames-bi" if key == "c" else "frames")
    given = frames(12)
    assert not engine.push_many("abc", [1, 1, 1], [3, 4, 5], given, 1)
    engine.close("a")
    engine.flush("c", 2)
    found = run(engine)
    assert set(found) == {"b", "c"} and found["c"][-1].final
    with model("frames").stream() as alone:
        assert bits(events(found["b"])) == bits(alone.push(given[3:7]))


def test_what_is_unusual_is_left_to_be_pushed_alone() -> None:
    engine = Engine(models("frames", "audio"), Limits(credit_ms=500.0))
    for key in ("twice", "gap", "full", "alone"):
        engine.open(key, "frames")
    engine.open("other", "audio")
    keys = ["twice", "nobody", "gap", "twice", "full", "other", "alone"]
    left = engine.push_many(keys, [1, 1, 2, 2, 1, 1, 1], [1, 1, 1, 1, 51, 1, 0], frames(56), 1)
    assert left == {1, 2, 4, 5}
    found = run(engine)
    assert {key: [result.frames for result in results] for key, results in found.items()} == {
        "twice": [1, 1], "alone": [0]
    }  # fmt: skip
    assert [engine.expected(key) for key in keys] == [3, None, 1, 3, 1, 1, 2]


def test_a_fault_in_an_utterance_costs_its_stream_only(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(models("frames-bi"))
    for key in ("good", "bad"):
        engine.open(key, "frames-bi")
        engine.push(key, 1, frames(20 if key == "good" else 21))
        engine.flush(key, 2)
    step = FinishedUtterance.step

    def faulty(self: FinishedUtterance, max_rows: int) -> bool:
        if self.count == 21:
            raise ZeroDivisionError("injected")
        return step(self, max_rows)

    monkeypatch.setattr(FinishedUtterance, "step", faulty)
    found = run(engine)
    assert found["bad"][-1].kind == "closed"
    assert found["good"][-1].final


def test_nothing_to_do_is_nothing_done() -> None:
    engine = Engine(models("frames"))
    assert not engine.busy
    assert engine.tick() == []
    engine.open("s", "frames")
    assert not engine.busy
    engine.flush("s", 1)
    (result,) = run(engine)["s"]
    assert (result.kind, result.final, result.events) == ("flush", True, [])
