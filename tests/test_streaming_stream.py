"""Streams: what they count, when they refuse, what a refusal leaves alone, and how they share a model."""

from __future__ import annotations

import gc
import threading
import tracemalloc
from typing import Any

import numpy as np
import pytest
from random_models import Case, bits, network, signal

import ostinato
from ostinato import model as files
from ostinato.errors import (
    CapacityError,
    DtypeError,
    InputError,
    NotFiniteError,
    ShapeError,
    StreamClosedError,
    StreamError,
    UnknownModelError,
    UnknownTokenError,
    UtteranceTooLongError,
)
from ostinato.model.decoders import Ctc, Labels, Outputs
from ostinato.model.front_ends import Frames, LogMel, Tokens
from ostinato.model.layers import Dense, Embedding, Gru, Lstm, Rnn, Softmax
from ostinato.model.specification import Sequential, Specification
from ostinato.streaming import Model, Stream, accept, advance

FRAMES = Sequential("frames", Frames(3, frame_ms=20.0), (Gru(5), Dense(2), Softmax()), Labels(("a", "b")))
NORMALISED = Sequential("frames", Frames(3, frame_ms=20.0, normalise=True), (Gru(5), Dense(2)), Outputs())
BOTH = Sequential("both", Frames(3, frame_ms=20.0), (Lstm(5, direction="bidirectional"),), Outputs())
TEXT = Sequential("text", Tokens(tuple("abcd ")), (Embedding(3), Rnn(4)), Outputs())
WORDS = Sequential("words", Tokens(("?", "one"), unit="word", unknown=0), (Embedding(3), Gru(4)), Outputs())
AUDIO = Sequential("audio", LogMel(sample_rate=8000, mels=9, high_hz=3900.0), (Gru(4),), Outputs())
AUDIO_BOTH = Sequential("audio", AUDIO.front_end, (Gru(4, direction="bidirectional"),), Outputs())


def make(specification: Specification, **options: Any) -> Model:
    return Model(network(specification), **options)


def test_a_model_says_what_it_is() -> None:
    model = make(FRAMES)
    assert (model.name, model.direction) == ("frames", "unidirectional")
    assert (model.delay.frames, model.delay.ms) == (0, 0.0)
    assert model.state_bytes == 4 * 16
    assert make(BOTH).delay.ms is None and make(BOTH).direction == "bidirectional"


def test_load_takes_a_name_or_a_path(tmp_path: Any) -> None:
    path = tmp_path / "mine.safetensors"
    files.write(path, network(FRAMES))
    for model in (ostinato.load(path), ostinato.load("mine", folders=[tmp_path])):
        assert model.network.digest == network(FRAMES).digest
    with pytest.raises(UnknownModelError, match="'mine'"):
        ostinato.load("mine")


def test_counters_and_places_go_on_over_utterances() -> None:
    with make(FRAMES).stream() as stream:
        events = stream.push(signal(FRAMES, 7, 0))
        assert (stream.units_in, stream.frames_in, stream.frames_out, stream.utterance) == (7, 7, 7, 0)
        assert [(e.frame, e.time_ms, e.utterance, e.utterance_ms) for e in events[-1:]] == [(6, 140.0, 0, 0.0)]
        stream.flush()
        assert (stream.units_in, stream.utterance, stream.utterance_ms) == (7, 1, 140.0)
        (event,) = stream.push(signal(FRAMES, 1, 0))
        assert (event.frame, event.time_ms, event.utterance, event.utterance_ms) == (0, 20.0, 1, 140.0)
        stream.reset()
        assert (stream.units_in, stream.utterance, stream.utterance_ms) == (8, 2, 160.0)


def test_places_of_audio_are_in_the_streams_own_time() -> None:
    with make(AUDIO).stream(sample_rate=44100) as stream:
        stream.push(np.zeros(22050, np.int16))
        stream.flush()
        assert stream.utterance_ms == 500.0


def test_a_bidirectional_stream_counts_when_the_utterance_is_computed() -> None:
    with make(BOTH).stream() as stream:
        stream.push(signal(BOTH, 7, 0))
        assert (stream.frames_in, stream.frames_out, stream.waiting) == (7, 0, 7)
        events = stream.flush()
        assert len(events) == stream.frames_out == 7 and stream.waiting == 0
        assert (stream.utterance, stream.utterance_ms) == (1, 140.0)
        stream.push(signal(BOTH, 2, 0))
        assert {(e.utterance, e.utterance_ms) for e in stream.flush()} == {(1, 140.0)}
        stream.push(signal(BOTH, 3, 0))
        stream.reset()
        assert stream.flush() == [] and stream.utterance == 4


BAD: list[tuple[Specification, Any, type[Exception]]] = [
    (FRAMES, np.zeros((2, 3)), DtypeError),
    (FRAMES, [[0.0, 0.0, 0.0]], DtypeError),
    (FRAMES, np.zeros((2, 4), np.float32), ShapeError),
    (FRAMES, np.full((1, 3), np.nan, np.float32), NotFiniteError),
    (BOTH, np.full((1, 3), np.inf, np.float32), NotFiniteError),
    (TEXT, 5, DtypeError),
    (TEXT, "abx", UnknownTokenError),
    (TEXT, "a\ud800", InputError),
    (AUDIO, np.zeros(80), DtypeError),
    (AUDIO, np.zeros((80, 2), np.int16), ShapeError),
    (AUDIO, np.full(80, np.nan, np.float32), NotFiniteError),
    (AUDIO_BOTH, np.full(80, 3e4, np.float32), DtypeError),
]


@pytest.mark.parametrize(("specification", "data", "error"), BAD)
def test_a_refused_push_leaves_the_stream_as_it_was(
    specification: Specification, data: Any, error: type[Exception]
) -> None:
    model = make(specification)
    good = signal(specification, 400, 1)
    stream, other = model.stream(), model.stream()
    events = stream.push(good[:300])
    with pytest.raises(error):
        stream.push(data)
    events += stream.push(good[300:]) + stream.flush()
    assert bits(events) == bits(other.push(good) + other.flush())


@pytest.mark.parametrize("specification", [FRAMES, NORMALISED])
def test_a_frame_by_itself_is_answered_as_among_many(specification: Specification) -> None:
    model, frames = make(specification), signal(specification, 8, 0)
    with model.stream() as stream:
        expected = [event for _ in range(2) for event in [*stream.push(frames), *stream.flush()]]
    forms = [lambda x: x, lambda x: x[0], lambda x: np.repeat(x, 2, axis=1)[:, ::2], lambda x: x.view(np.recarray)]
    with model.stream() as stream:
        events = []
        for _ in range(2):
            for k in range(8):
                with pytest.raises(NotFiniteError):
                    stream.push(np.full(3, np.inf, np.float32))
                events += stream.push(forms[k % 4](frames[k : k + 1]))
            events += stream.flush()
        assert (stream.units_in, stream.frames_in, stream.frames_out, stream.record.waiting) == (16, 16, 16, 0)
    assert bits(events) == bits(expected)
    assert [(e.utterance, e.utterance_ms) for e in events] == [(k // 8, 160.0 * (k // 8)) for k in range(16)]


def test_a_ready_frame_goes_the_short_way(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make(FRAMES)
    stream = model.stream()
    monkeypatch.setattr(model.front_end, "check", None)
    (event,) = stream.push(signal(FRAMES, 1, 0))
    assert event.frame == 0 and stream.frames_out == 1


def test_a_closed_stream_refuses_everything() -> None:
    stream = make(FRAMES).stream()
    stream.close()
    stream.close()
    frame = np.zeros((1, 3), np.float32)
    for call in (lambda: stream.push(frame), stream.flush, stream.reset, stream.snapshot, stream.fork):
        with pytest.raises(StreamClosedError, match="open another"):
            call()
    with pytest.raises(StreamClosedError):
        stream.record.accept(frame)
    with make(BOTH).stream() as both:
        pass
    with pytest.raises(StreamClosedError):
        both.record.end_utterance()


def test_a_slots_next_tenant_starts_from_nothing() -> None:
    model = make(FRAMES, max_streams=1)
    frames = signal(FRAMES, 5, 1)
    stream = model.stream()
    first = stream.push(frames)
    stream.close()
    with model.stream() as again:
        assert bits(again.push(frames)) == bits(first)


def test_too_many_streams_are_refused_until_one_closes_or_is_forgotten() -> None:
    model = make(FRAMES, max_streams=3)
    streams = [model.stream() for _ in range(3)]
    with pytest.raises(CapacityError, match="max_streams"):
        model.stream()
    with pytest.raises(CapacityError):
        streams[0].fork()
    streams[1].close()
    streams[1] = model.stream()
    del streams[2]
    gc.collect()
    model.stream().close()


def test_a_stream_that_could_not_open_takes_no_place() -> None:
    model = make(FRAMES, max_streams=1)
    for _ in range(3):
        with pytest.raises(InputError):
            model.stream(sample_rate=16000)
    model.stream()


WRONG_OPTIONS: list[tuple[Specification, dict[str, Any]]] = [
    (FRAMES, {"decoder": "nonsense"}),
    (FRAMES, {"end_of_speech_ms": 600.0}),
    (AUDIO, {"end_of_speech_ms": 0.0}),
    (AUDIO, {"end_of_speech_ms": float("nan")}),
    (AUDIO, {"sample_rate": 3}),
    (AUDIO, {"max_utterance_s": 0.0}),
    (AUDIO, {"max_utterance_s": float("inf")}),
    (WORDS, {"sample_rate": 8000}),
]


@pytest.mark.parametrize(("specification", "options"), WRONG_OPTIONS)
def test_options_that_do_not_fit_are_refused(specification: Specification, options: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        make(specification).stream(**options)


@pytest.mark.parametrize("specification", [BOTH, AUDIO_BOTH])
def test_an_utterance_over_its_bound_is_refused_whole_and_nothing_is_lost(specification: Specification) -> None:
    model = make(specification)
    units = 50 if specification is BOTH else 8000  # in the second that is allowed
    good = signal(specification, units, 2)
    with model.stream(max_utterance_s=1.0) as stream:
        assert stream.push(good[: units - 3]) == []
        with pytest.raises(UtteranceTooLongError, match="flush"):
            stream.push(good[:4])
        assert stream.push(good[units - 3 :]) == []
        with pytest.raises(UtteranceTooLongError):
            stream.push(good[:1])
        events = stream.flush()
        stream.push(good)  # a new utterance has all the room again
    assert bits(events) == bits(whole(model, good)) and len(events) > 40


def whole(model: Model, data: Any) -> list[ostinato.Event]:
    with model.stream() as stream:
        return stream.push(data) + stream.flush()


def test_raw_outputs_can_be_had_of_every_model() -> None:
    names = ("", "x")
    ctc = Sequential("ctc", Frames(3), (Gru(5), Dense(2), Softmax()), Ctc(names))
    frames = signal(ctc, 6, 0)
    with make(ctc).stream(decoder="outputs") as stream:
        events = stream.push(frames)
        assert [event.kind for event in events] == ["output"] * 6
        for event in events:
            assert event.values is not None and event.values.shape == (2,)
            assert abs(float(event.values.sum()) - 1) < 1e-6


def test_advance_takes_different_streams_of_one_model() -> None:
    model, other = make(FRAMES), make(FRAMES)
    stream = model.stream()
    for streams in ([stream, stream], [stream, other.stream()]):
        with pytest.raises(ValueError, match="different ones of one model"):
            advance([stream.record for stream in streams])
    assert advance([]) == []


def test_advance_by_at_most_so_many_frames() -> None:
    model = make(FRAMES)
    streams = [model.stream() for _ in range(3)]
    data = signal(FRAMES, 2500, 3)
    assert accept([stream.record for stream in streams], [data, data[:1], data[:2]]) == [None, None, None]
    assert [len(events) for events in advance([stream.record for stream in streams], 2)] == [2, 1, 2]
    assert [stream.waiting for stream in streams] == [2498, 0, 0]
    assert [len(events) for events in advance([stream.record for stream in streams])] == [2498, 0, 0]


def test_accept_of_many_says_whose_data_is_refused() -> None:
    model = make(BOTH)
    streams = [model.stream(max_utterance_s=1.0) for _ in range(3)]
    streams[2].close()
    errors = accept([stream.record for stream in streams], [signal(BOTH, n, 0) for n in (50, 51, 1)])
    assert errors[0] is None
    assert isinstance(errors[1], UtteranceTooLongError) and isinstance(errors[2], StreamClosedError)
    assert [stream.units_in for stream in streams] == [50, 0, 0]


def test_a_word_at_the_end_is_computed_by_the_flush() -> None:
    with make(WORDS).stream() as stream:
        assert [len(stream.push(text)) for text in ("one tw", "o one", " on")] == [1, 1, 1]
        assert len(stream.flush()) == 1 and stream.frames_out == 4


def test_accept_of_many_audio_streams_gives_each_its_own_frames() -> None:
    model = make(AUDIO)
    data = [signal(AUDIO, n, n) for n in (0, 100, 1000, 4000)]
    streams = [model.stream() for _ in data]
    assert accept([stream.record for stream in streams], data) == [None] * 4
    for stream, each, events in zip(streams, data, advance([stream.record for stream in streams]), strict=True):
        assert bits(events + stream.flush()) == bits(whole(model, each))


def test_utterances_wait_in_line_and_are_computed_in_turn() -> None:
    model = make(BOTH)
    stream = model.stream()
    data = [signal(BOTH, n, n) for n in (4, 0, 9)]
    for each in data:
        stream.record.accept(stream.record.check(each))
        stream.record.end_utterance()
    for number, each in enumerate(data):
        run = stream.record.next_finished()
        assert run is not None and run.utterance == number
        while not run.step(3):
            assert len(run.events) <= len(each)
        assert run.step()  # done stays done
        assert [e.values.tobytes() for e in run.events if e.values is not None] == [
            e.values.tobytes() for e in whole(model, each) if e.values is not None
        ]
    assert stream.record.next_finished() is None
    with pytest.raises(StreamError, match="causal"):
        make(FRAMES).stream().record.end_utterance()


def test_streams_of_one_model_may_live_in_several_threads() -> None:
    model = make(FRAMES)
    signals = [signal(FRAMES, 600, seed) for seed in range(4)]
    results: list[Any] = [None] * len(signals)

    def use(i: int) -> None:
        with model.stream() as stream:
            pieces = Case(model.network, signals[i]).pieces(range(0, 600, 7))
            results[i] = bits([event for piece in pieces for event in stream.push(piece)])

    threads = [threading.Thread(target=use, args=(i,)) for i in range(len(signals))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [bits(whole(model, each)) for each in signals]


@pytest.mark.parametrize("specification", [AUDIO, AUDIO_BOTH])
def test_an_idle_stream_costs_a_few_kilobytes(specification: Specification) -> None:
    model = make(specification)
    model.stream(end_of_speech_ms=500.0).push(np.zeros(800, np.int16))
    streams: list[Stream] = []
    tracemalloc.start()
    try:
        streams += [model.stream(end_of_speech_ms=500.0) for _ in range(200)]
        assert tracemalloc.get_traced_memory()[0] / len(streams) < 4000
    finally:
        tracemalloc.stop()


PLAIN: list[Specification] = [
    Sequential("no layers", Frames(3), (), Outputs()),
    Sequential("no state", Frames(3), (Dense(2), Softmax()), Outputs()),
    Sequential("softmax alone", Frames(3), (Softmax(),), Outputs()),
]


@pytest.mark.parametrize("specification", PLAIN, ids=lambda s: s.name)
def test_models_without_state_or_layers_stream_too(specification: Specification) -> None:
    model = make(specification)
    data = signal(specification, 9, 1)
    with model.stream() as stream:
        events = stream.push(data[:4])
        with model.restore(stream.snapshot()) as restored:
            events += restored.push(data[4:]) + restored.flush()
    assert bits(events) == bits(whole(model, data)) and len(events) == 9
    if specification.name == "no layers":
        assert b"".join(e.values.tobytes() for e in events if e.values is not None) == data.tobytes()


@pytest.mark.parametrize("depth", [1, 2])
def test_what_needs_no_later_frame_is_computed_while_frames_arrive(depth: int) -> None:
    """Less is left at the end of the utterance, and the bits are those of a whole utterance."""
    layers = [Gru(5, direction="bidirectional") for n in range(depth)]
    model = Model(network(Sequential("early", Frames(3), (*layers, Dense(2)), Outputs())))
    program = model.network.program
    # The forward direction and the first layer's projection; further projections, as far as they read it.
    assert program.early == 2 + 2 * (depth - 1) < len(program.operations)
    frames = signal(model.network.specification, 700, 0)
    early, late = model.stream(), model.stream()
    for start in range(0, 700, 9):
        early.push(frames[start : start + 9])
        assert early.record.ready == 0 and early.waiting == min(start + 9, 700)
    late.record.accept(frames)
    assert (
        late.record.ready == 700
        and late.record.early_bytes == 0 < early.record.early_bytes == early.record.early_bytes_after(9)
    )
    calls = [0, 0]
    for which, stream in enumerate((early, late)):
        stream.record.end_utterance()
        assert stream.record.early_bytes == 0
        run = stream.record.next_finished()
        assert run is not None and run.count == 700 and run.needed_bytes == run.held_bytes + which * run.needed_bytes
        while not run.step(100):
            calls[which] += 1
        assert len(run.events) == 700
        calls.append(hash(repr(bits(run.events))))
    assert calls[0] < calls[1] and calls[2] == calls[3]
