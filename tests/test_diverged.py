"""Outputs that are not finite: one stream overflows, gets a named error, and nobody else notices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from engine_models import events, run
from random_models import bits, network
from server_raw import Raw

from ostinato import protocol as wire
from ostinato.engine import Engine, Limits
from ostinato.errors import DivergedError
from ostinato.model import Network
from ostinato.model.activation import Activation
from ostinato.model.decoders import Ctc, Labels, Outputs, SequenceClass
from ostinato.model.front_ends import Frames, LogMel
from ostinato.model.layers import Dense, Direction, Gru, Rnn, Softmax
from ostinato.model.specification import Sequential
from ostinato.options import Options
from ostinato.server import Server
from ostinato.streaming import Model, Stream, advance
from ostinato_client import Client

NAMES = tuple("abc")
DECODERS = {
    "labels": Labels(NAMES),
    "ctc": Ctc(NAMES),
    "class": SequenceClass(NAMES, pool="mean"),
    "outputs": Outputs(),
}
KINDS = ("causal", "whole", "blocks")
BLOCKS = {"block_ms": 80.0, "lookahead_ms": 50.0}
HUGE = np.full((2, 3), 3e38, np.float32) * np.array([1, -1, 1], np.float32)


def overflowing(decoder: str, bidirectional: bool) -> Model:
    """Ordinary frames are well with it; two of 3e38 overflow."""
    head = (Dense(3), *(() if decoder == "outputs" else (Softmax(),)))
    layer = Rnn(5, activation=Activation("relu"), direction="bidirectional" if bidirectional else "forward")
    return Model(network(Sequential("overflowing", Frames(3), (layer, *head), DECODERS[decoder])))


MODELS = {(name, bi): overflowing(name, bi) for name in DECODERS for bi in (False, True)}


def growing() -> Model:
    """A rectifier network whose state grows by a fifth with each frame."""
    specification = Sequential("growing", Frames(3), (Rnn(8, activation=Activation("relu")),), Outputs())
    weights = dict(network(specification).weights)
    for name, values in weights.items():
        if name.endswith(".W"):
            weights[name] = np.abs(values)
        elif name.endswith(".R"):
            weights[name] = np.float32(1.2) * np.eye(8, dtype=np.float32).reshape(values.shape)
    return Model(Network(specification, weights))


def good(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 3)).astype(np.float32)


def opened(decoder: str, kind: str) -> Stream:
    return MODELS[decoder, kind != "causal"].stream(**BLOCKS if kind == "blocks" else {})  # type: ignore[arg-type]


def everything(stream: Stream, pieces: list[np.ndarray]) -> tuple[list[Any], DivergedError | None]:
    """All events of an utterance, and the error that ended it."""
    found: list[Any] = []
    try:
        for piece in pieces:
            found += stream.push(piece)
        found += stream.flush()
    except DivergedError as error:
        return found + error.events, error
    return found, None


def test_a_network_that_grows_names_the_frame_however_the_input_is_cut() -> None:
    given = np.abs(good(520))
    told = set()
    for size in (1, 7, 520):
        with growing().stream() as stream:
            found, error = everything(stream, [given[i : i + size] for i in range(0, 520, size)])
        assert error is not None and f"frame {len(found)} of the utterance" in str(error)
        assert all(np.isfinite(event.values).all() for event in found)
        told.add((str(error), stream.frames_out))
    assert len(told) == 1 and 400 < told.pop()[1] < 520


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("decoder", DECODERS)
def test_the_utterance_is_lost_and_the_next_one_has_its_bits(decoder: str, kind: str) -> None:
    with opened(decoder, kind) as alone:
        wanted, _ = everything(alone, [good(40)])
    with opened(decoder, kind) as stream:
        for end in ("flush", "reset"):
            found, error = everything(stream, [good(30), HUGE, good(30)])
            assert error is not None and error.code == "diverged"
            assert all(np.isfinite(event.probability) for event in found)
            if kind == "whole":  # it came with the flush, which ends the utterance all the same
                assert stream.fault is None
            else:
                for again in (lambda: stream.push(good(3)), stream.snapshot, stream.fork):
                    with pytest.raises(DivergedError) as told:
                        again()
                    assert str(told.value) == str(error) and not told.value.events
                assert getattr(stream, end)() in ([], None)
            found, error = everything(stream, [good(40)])
            assert error is None
            assert [b[:6] for b in bits(found)] == [b[:6] for b in bits(wanted)]


def test_the_others_of_a_batch_have_the_bits_they_have_alone() -> None:
    for (_, bidirectional), model in MODELS.items():
        alone, company = model.stream(), [model.stream() for _ in range(3)]
        wanted = [(alone.push(good(20, i)), alone.flush())[bidirectional] for i in (0, 2)]
        for stream, data in zip(company, (good(20), np.concatenate([good(9), HUGE]), good(20, 2)), strict=True):
            stream.record.accept(stream.record.check(data))
            if bidirectional:
                stream.record.end_utterance()
        found = advance([stream.record for stream in company])
        assert [stream.fault is None for stream in company] == [True, False, True]
        for mine, theirs in zip((found[0], found[2]), wanted, strict=True):
            assert [b[:6] for b in bits(mine)] == [b[:6] for b in bits(theirs)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("many", [False, True])
def test_the_engine_answers_in_order_and_goes_on(kind: str, many: bool) -> None:
    """A stream that overflows between two that do not, all in the same ticks, its inputs sent without waiting."""
    model = MODELS["labels", kind != "causal"]
    engine = Engine({"m": model}, Limits(share=8))
    pieces = [good(20), np.concatenate([good(4, 1), HUGE, good(4, 2)]), good(20, 3)]
    for key in "abc":
        credit = engine.open(key, "m", Options(**BLOCKS if kind == "blocks" else {})).credit  # type: ignore[arg-type]
    for sequence in range(1, 4):
        given = [pieces[sequence - 1] if key == "b" else good(20, sequence) for key in "abc"]
        if many:
            assert not engine.push_many("abc", [sequence] * 3, [len(g) for g in given], np.concatenate(given), 1)
        else:
            for key, data in zip("abc", given, strict=True):
                engine.push(key, sequence, data)
    for key in "abc":
        engine.mark(key, 4, b"here")
        engine.snapshot(key, 5)
        engine.flush(key, 6)
        engine.push(key, 7, good(20, 9))
        engine.flush(key, 8)
    found = run(engine)
    assert not engine.busy
    kinds = [(result.kind, result.sequence) for result in found["b"] if result.kind != "push" or not result.events]
    lost = [result for result in found["b"] if result.kind == "error"]
    assert {type(result.payload) for result in lost} == {DivergedError}
    if kind == "whole":
        assert [result.sequence for result in lost] == [6]
    else:
        assert [result.sequence for result in lost] == [2, 3, 5]
        assert ("mark", 4) in kinds and ("flush", 6) in [(result.kind, result.sequence) for result in found["b"]]
        before = [event for result in found["b"] if result.utterance == 0 for event in result.events]
        assert len(before) == int(str(lost[0].payload).split("frame ")[1].split()[0]) > 0
    assert [result.sequence for result in found["b"]] == sorted(result.sequence for result in found["b"])
    # Its next utterance, and its neighbours, have the bits they have alone.
    for key, utterances in {"a": [[good(20, i) for i in (1, 2, 3)], [good(20, 9)]], "b": [[], [good(20, 9)]]}.items():
        with model.stream(**BLOCKS if kind == "blocks" else {}) as alone:  # type: ignore[arg-type]
            wanted = [everything(alone, pieces)[0] for pieces in utterances]
        for number, theirs in enumerate(wanted):
            if key == "a" or number:
                mine = [event for event in events(found[key]) if event.utterance == number]
                assert [b[:6] for b in bits(mine)] == [b[:6] for b in bits(theirs)]
    assert bits(events(found["a"])) != [] and engine.usage.early_bytes == engine.usage.run_bytes == 0
    for key in "abc":  # no credit is lost
        engine.push(key, 9, good(credit))
    refused = sum(len(pieces[result.sequence - 1]) for result in lost if result.sequence < 4)
    assert found["b"][-1].processed == sum(map(len, pieces)) + 20 - refused


def loud(direction: Direction) -> Model:
    """Each output of it overflows."""
    layers = (Gru(5, direction=direction), Dense(4), Dense(3), Softmax())
    specification = Sequential("loud", LogMel(mels=13), layers, Labels(NAMES))
    weights = {
        name: np.full_like(values, 3e38) if name in ("dense-1.W", "dense-2.W") else values
        for name, values in network(specification).weights.items()
    }
    return Model(Network(specification, weights))


def test_nothing_of_an_utterance_is_finite() -> None:
    with loud("forward").stream(end_of_speech_ms=100.0) as stream:
        for _ in range(2):
            with pytest.raises(DivergedError, match="frame 0 of the utterance"):
                stream.push((np.random.default_rng(0).normal(size=8000) * 3000).astype(np.int16))
            assert stream.flush() == []


def test_an_utterance_that_ends_by_itself_is_lost_alone() -> None:
    """Bidirectional, with end of speech: the push in which it ended is refused, and a reset goes on."""
    engine = Engine({"m": loud("backward")})
    engine.open("s", "m", Options(end_of_speech_ms=100.0))
    rng = np.random.default_rng(0)
    speech = (rng.normal(size=8000) * 3000).astype(np.int16)
    silence = np.zeros(16000, np.int16)
    for sequence, data in enumerate((silence, speech, silence, speech), 1):
        engine.push("s", sequence, data)
    engine.reset("s", 5)
    engine.push("s", 6, silence)
    kinds = [(result.kind, result.sequence) for result in run(engine)["s"]]
    assert kinds == [("push", 1), ("push", 2), ("error", 3), ("error", 4), ("reset", 5), ("push", 6)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("many", [False, True])
def test_a_decoders_fault_in_one_stream_is_that_streams_alone(
    decoder: str, kind: str, many: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault of ours, not of the input: the stream is given up, and told so; those in its batch are not."""
    model = MODELS[decoder, kind != "causal"]
    engine = Engine({"m": model})
    options = BLOCKS if kind == "blocks" else {}
    streams: list[Stream] = []

    def open_(options: Options) -> Stream:
        streams.append(Model.open(model, options))
        return streams[-1]

    monkeypatch.setattr(model, "open", open_)
    for key in "abc":
        engine.open(key, "m", Options(**options))  # type: ignore[arg-type]
    streams[1].record.decoder_state.frames = None
    given = [good(20, seed) for seed in range(3)]
    if many:
        assert not engine.push_many("abc", [1] * 3, [20] * 3, np.concatenate(given), 1)
    else:
        for key, data in zip("abc", given, strict=True):
            engine.push(key, 1, data)
    for key in "abc":
        engine.flush(key, 2)
    found = run(engine)
    lost = found["b"][-1]
    assert lost.kind == "closed" and lost.payload.code == "internal" and engine.expected("b") is None
    for key, data in (("a", given[0]), ("c", given[2])):
        with model.stream(**options) as alone:  # type: ignore[arg-type]
            assert bits(events(found[key])) == bits(everything(alone, [data])[0])
    with model.stream(**options) as stream:  # type: ignore[arg-type]
        stream.record.decoder_state.frames = None
        with pytest.raises(TypeError):
            stream.push(good(20)), stream.flush()
        stream.reset()
        assert everything(stream, [good(20)])[1] is None


def test_over_the_wire_a_lost_utterance_ends_no_other_stream() -> None:
    """Of the same client, and the server has a code for it."""
    models = {"causal": MODELS["labels", False], "whole": MODELS["labels", True], "growing": growing()}
    given = np.abs(good(520))
    with Server(models) as server:
        with Client(server.endpoint, timeout=20.0) as client:
            for name in models:
                neighbour, stream = client.open(name), client.open(name)
                neighbour.push(good(40))
                with pytest.raises(DivergedError, match="from frame"):
                    for piece in (given[:400], given[400:], HUGE, good(5)):
                        stream.push(piece)
                    stream.flush()
                stream.reset()
                neighbour.push(good(40, 1))
                for each, pieces in ((neighbour, [good(40), good(40, 1)]), (stream, [good(30)])):
                    if each is stream:
                        each.results()
                        each.push(pieces[0])
                    with models[name].stream() as alone:
                        wanted, _ = everything(alone, pieces)
                    found = [event for result in each.flush() for event in result.events]
                    assert [b[:6] for b in bits(found)] == [b[:6] for b in bits(wanted)]
        with Raw(server.endpoint) as raw:
            stream_id = raw.open("causal")
            raw.send(wire.Push(stream_id, 1, HUGE), wire.Push(stream_id, 2, good(1)))
            told = [raw.receive() for _ in range(2)]
            assert [(each.code, each.seq) for each in told if isinstance(each, wire.Error)] == [
                ("diverged", 1),
                ("diverged", 2),
            ]
