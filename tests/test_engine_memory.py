"""What an engine reserves as a stream is opened, and what its utterances take while they are computed."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import pytest
from engine_models import events, frames, model, models, run
from random_models import bits, network

from ostinato.engine import Engine, Limits
from ostinato.errors import CapacityError
from ostinato.model import Network, Sequential
from ostinato.model.activation import Activation
from ostinato.model.decoders import Beats, Crf, Outputs
from ostinato.model.front_ends import Frames, Spectrum
from ostinato.model.front_ends.spectrum import Part
from ostinato.model.layers import Convolution, Dense
from ostinato.options import Options
from ostinato.pipeline.resample import TABLE_BYTES
from ostinato.pipeline.state import held_bytes
from ostinato.streaming import FinishedUtterance, Model
from ostinato.streaming.frames import RowStore


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


def test_frames_that_are_larger_than_what_they_are_made_of_are_reserved() -> None:
    """A spectrum's windows overlap: of a long message, more frames wait than samples came."""

    def reserved(outputs: tuple[Part, ...]) -> int:
        front_end = Spectrum(16000, 512, 128, outputs=outputs)
        engine = Engine({"wide": Model(Network.random(Sequential("wide", front_end, (), Outputs())))}, Limits())
        engine.open(0, "wide")
        return engine.usage.reserved_bytes

    samples = 4 * 16000
    assert reserved(("real", "imaginary")) - reserved(("real",)) == pytest.approx(4 * 257 / 128 * samples, rel=0.15)


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


def utterances() -> list[FinishedUtterance]:
    """Finished ones that are in memory, of this test and of others."""
    return [each for each in gc.get_objects() if isinstance(each, FinishedUtterance)]


def test_what_a_closed_stream_leaves_behind_is_freed_at_once() -> None:
    """Not when Python next looks for cycles: it may be the memory of many utterances."""
    others = utterances()  # held, so that none of them goes meanwhile
    engine = Engine(models("frames-bi"), Limits(slice_ms=0.0001))
    engine.open("s", "frames-bi")
    engine.push("s", 1, frames(300))
    engine.flush("s", 2)
    while not engine.usage.runs:
        engine.tick()
    engine.tick()
    assert len(utterances()) == len(others) + 1
    gc.disable()
    try:
        engine.close("s")
        run(engine)
        assert len(utterances()) == len(others)
    finally:
        gc.enable()


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
