"""The engine: what is bounded, what happens at a bound, and that one stream's work does not hold the others up."""

from __future__ import annotations

import gc
from collections import Counter
from typing import Any

import numpy as np
import pytest
from engine_models import events, frames, model, models, run, sound
from random_models import bits, network

from ostinato.engine import Engine, Limits, ticks
from ostinato.errors import CapacityError, CreditError, InputError, OstinatoError, UtteranceTooLongError
from ostinato.model import Network, Sequential
from ostinato.model.activation import Activation
from ostinato.model.decoders import Audio, Beats, Crf, Outputs
from ostinato.model.front_ends import Frames, Samples, Spectrum
from ostinato.model.front_ends.spectrum import Part
from ostinato.model.layers import Convolution, Dense, Gru
from ostinato.options import Options
from ostinato.pipeline.resample import TABLE_BYTES
from ostinato.pipeline.state import held_bytes
from ostinato.streaming import FinishedUtterance, Model
from ostinato.streaming.frames import RowStore


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


def test_streams_and_memory_are_reserved_at_open_and_given_back_at_close() -> None:
    engine = Engine(models(), Limits(max_streams=3))
    for key in range(3):
        engine.open(key, "frames")
    with pytest.raises(CapacityError, match="all 3 streams"):
        engine.open(3, "frames")
    engine.close(1)
    engine.open(3, "frames")

    tight = Engine(models(), Limits(max_buffer_bytes=1 << 20))
    opened = 0
    with pytest.raises(CapacityError, match="MiB"):
        while True:
            tight.open(opened, "audio")
            opened += 1
    assert 2 <= opened < 5
    with pytest.raises(CapacityError):
        tight.open("bi", "audio-bi", Options(max_utterance_s=60.0))
    for key in range(opened):
        tight.close(key)
    tight.open("bi", "audio-bi", Options(max_utterance_s=60.0))


def test_streams_of_one_rate_share_what_resamples_them() -> None:
    engine = Engine(models("audio"))
    engine.open("own", "audio", Options(sample_rate=16000))
    per_stream = engine.usage.reserved_bytes
    for key in range(3):
        engine.open(key, "audio", Options(sample_rate=16001))
    one_rate = engine.usage.reserved_bytes
    assert abs(one_rate - 4 * per_stream - TABLE_BYTES) < 100, "their credit differs by some samples"
    engine.open("other", "audio", Options(sample_rate=15999))
    assert abs(engine.usage.reserved_bytes - one_rate - per_stream - TABLE_BYTES) < 100
    for key in (0, 1, 2, "own", "other"):
        engine.close(key)
    assert engine.usage.reserved_bytes == 0


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


def test_frames_that_are_larger_than_what_they_are_made_of_are_reserved() -> None:
    """A spectrum's windows overlap: of a long message, more frames wait than samples came."""

    def reserved(outputs: tuple[Part, ...]) -> int:
        front_end = Spectrum(16000, 512, 128, outputs=outputs)
        engine = Engine({"wide": Model(Network.random(Sequential("wide", front_end, (), Outputs())))}, Limits())
        engine.open(0, "wide")
        return engine.usage.reserved_bytes

    samples = 4 * 16000
    assert reserved(("real", "imaginary")) - reserved(("real",)) == pytest.approx(4 * 257 / 128 * samples, rel=0.15)


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


def test_memory_for_utterances_in_work_is_bounded() -> None:
    """Those beyond it wait; one that is larger than it is computed alone."""
    engine = Engine(models("frames-bi"), Limits(slice_ms=0.0001, max_run_bytes=1))
    for key in range(4):
        engine.open(key, "frames-bi")
        engine.push(key, 1, frames(100, key))
        engine.flush(key, 2)
    ended = []
    while engine.busy:
        ended += [result for result in engine.tick() if result.final]
    assert [result.key for result in ended] == [0, 1, 2, 3]
    for result in ended:
        with model("frames-bi").stream() as stream:
            stream.push(frames(100, result.key))  # type: ignore[arg-type]
            assert bits(result.events) == bits(stream.flush())


def test_as_many_utterances_are_in_work_as_fit() -> None:
    piece = RowStore(model("frames-bi").network.program).bytes_for(100)
    engine = Engine(models("frames-bi"), Limits(slice_ms=0.0001, max_run_bytes=int(2.5 * piece)))
    for key in range(6):
        engine.open(key, "frames-bi")
        engine.push(key, 1, frames(100, key))
        engine.flush(key, 2)
    ended: list[Any] = []
    in_work: list[int] = []
    while engine.busy:
        ended += [result.key for result in engine.tick() if result.final]
        in_work.append(engine.usage.runs)
        assert engine.usage.run_bytes + engine.usage.early_bytes <= 2.5 * piece
    assert sorted(ended) == list(range(6))
    assert max(in_work) == 2


def test_utterances_are_computed_early_as_far_as_memory_goes() -> None:
    """The bits are the same for those that come too late for it; all memory is given back, however streams end."""
    which = model("frames-bi")
    piece = RowStore(which.network.program).bytes_for(1)
    engine = Engine(models("frames-bi"), Limits(max_run_bytes=2 * 3 * piece))
    held = []
    for key in range(5):
        engine.open(key, "frames-bi")
        engine.push(key, 1, frames(100, key))
        run(engine)
        held.append(engine.usage.early_bytes)
    assert held == [piece, 2 * piece, 3 * piece, 3 * piece, 3 * piece]
    engine.reset(0, 2)
    run(engine)
    engine.close(2)
    assert engine.usage.early_bytes == piece
    for key in (0, 1, 3, 4):
        engine.push(key, engine.expected(key) or 0, frames(50, key))
        engine.flush(key, engine.expected(key) or 0)
    found = run(engine)
    assert engine.usage.early_bytes == engine.usage.run_bytes == 0
    for key, results in found.items():
        with which.stream() as stream:
            if key != 0:
                stream.push(frames(100, key))  # type: ignore[arg-type]
            assert (
                [e[:6] + e[8:] for e in bits(stream.push(frames(50, key)) + stream.flush())]
                == [  # type: ignore[arg-type]
                    e[:6] + e[8:] for e in bits(events(results))
                ]
            )


def utterances() -> int:
    """Finished ones that are in memory."""
    return sum(isinstance(each, FinishedUtterance) for each in gc.get_objects())


def test_what_a_closed_stream_leaves_behind_is_freed_at_once() -> None:
    """Not when Python next looks for cycles: it may be the memory of many utterances."""
    engine = Engine(models("frames-bi"), Limits(slice_ms=0.0001))
    engine.open("s", "frames-bi")
    engine.push("s", 1, frames(300))
    engine.flush("s", 2)
    while not engine.usage.runs:
        engine.tick()
    engine.tick()
    assert utterances() == 1
    gc.disable()
    try:
        engine.close("s")
        run(engine)
        assert utterances() == 0
    finally:
        gc.enable()


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


def reserved(engine: Engine, name: str, **options: float) -> int:
    """What one more such stream reserves; it stays open, under the key of how many there are."""
    before = engine.usage.reserved_bytes
    engine.open(engine.streams, name, Options(**options))  # type: ignore[arg-type]
    return engine.usage.reserved_bytes - before


def test_bounded_wait_reserves_a_block_and_not_an_utterance() -> None:
    engine = Engine(models("frames-bi"))
    whole = reserved(engine, "frames-bi")
    blocks = reserved(engine, "frames-bi", block_ms=100.0, lookahead_ms=100.0)
    assert whole - blocks == 4 * 3 * (6000 - 20)


def test_what_layers_look_ahead_is_reserved_too() -> None:
    """Those frames come all at once, at the utterance's end, and a stream's state holds what they are made of."""
    layers = [Convolution(4, 2, dilation=200, left=0, right=200), Dense(2)]
    ahead = Model(network(Sequential("ahead", Frames(3), layers, Outputs())))
    assert ahead.delay.frames == ahead.most_at_end == 200
    engine = Engine({"ahead": ahead, "plain": Model(network(Sequential("plain", Frames(3), layers[1:], Outputs())))})
    more = reserved(engine, "ahead") - reserved(engine, "plain")
    assert more >= 4 * (200 * ahead.front_end.frame_size + 200 * 3)
    with pytest.raises(CapacityError, match="which is not left"):
        Engine({"ahead": ahead}, Limits(max_buffer_bytes=more)).open("s", "ahead")


@pytest.mark.parametrize("kind", [Crf(("a", "b"), None), Crf(("a", "b"), 50), Beats(method="viterbi"), Beats()])
def test_what_decoders_keep_is_reserved_too(kind: Crf | Beats) -> None:
    """All that a path can come to hold while it is undecided."""
    layers = [Dense(2, Activation("sigmoid"))]
    kept = Model(network(Sequential("kept", Frames(3), layers, kind)))
    engine = Engine({"kept": kept, "plain": Model(network(Sequential("plain", Frames(3), layers, Outputs())))})
    reserve = reserved(engine, "kept") - reserved(engine, "plain")
    head = kept.heads.find(None, None)
    state = head.decoder.start()
    for _ in range(3):
        head.decoder.step(state, np.random.default_rng(0).random((5000, 2)).astype(np.float32))
        assert held_bytes(state) <= reserve == head.decoder.state_bytes


def test_what_waits_before_speech_is_reserved_too() -> None:
    """With bounded wait nothing else bounds it; no stream holds more than was reserved for it."""
    engine = Engine(models("audio-bi"))
    front_end = model("audio-bi").front_end
    plain = reserved(engine, "audio-bi", block_ms=100.0)
    listens = reserved(engine, "audio-bi", block_ms=100.0, end_of_speech_ms=500.0)
    early = (listens - plain) // (4 * front_end.frame_size)
    assert early * front_end.frame_ms >= 3000
    held, noise = 0, np.random.default_rng(0).normal(scale=0.05, size=160).astype(np.float32)
    with model("audio-bi").stream(block_ms=100.0, end_of_speech_ms=500.0) as stream:
        for _ in range(500):
            stream.push(noise)
            held = max(held, stream.waiting)
    assert 200 < held <= early


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
