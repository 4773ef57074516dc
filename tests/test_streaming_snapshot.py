"""Snapshots: small, whole, and refused when they are damaged, forged, or of something else."""

from __future__ import annotations

import copy
import random
from typing import Any

import msgpack
import numpy as np
import pytest
from engine_models import events, run
from random_models import bits, network, signal

from ostinato import protocol as wire
from ostinato.engine import Engine, Limits
from ostinato.errors import CapacityError, DivergedError, SnapshotError, UtteranceTooLongError
from ostinato.model.decoders import Ctc, Outputs, SequenceClass
from ostinato.model.front_ends import Audio, Frames, LogMel, Tokens
from ostinato.model.layers import Dense, Embedding, Gru, Lstm, Softmax
from ostinato.model.specification import Sequential
from ostinato.server.results import on_the_wire
from ostinato.streaming import Model, Stream
from ostinato.streaming import snapshot as snapshots

MEL = LogMel(mels=20, stack=3, stride=2, normalise=True)
NAMES = ("", "a", "b")
AUDIO = Sequential("audio", MEL, (Gru(33), Dense(3), Softmax()), Ctc(NAMES))
BOTH = Sequential("both", MEL, (Gru(9, direction="bidirectional"), Dense(3), Softmax()), Ctc(NAMES))
TEXT = Sequential(
    "text",
    Tokens(("?", "a"), unit="word", unknown=0),
    (Embedding(3), Lstm(3), Softmax()),
    SequenceClass(NAMES),
)
FRAMES = Sequential("frames", Frames(2), (Lstm(5, direction="backward"),), Outputs())
MODELS = [Model(network(each)) for each in (AUDIO, BOTH, TEXT, FRAMES)]


def busy(model: Model) -> Stream:
    """A stream with something in every part of its state."""
    specification = model.network.specification
    audio = isinstance(specification.front_end, Audio)
    stream = model.stream(sample_rate=44100, end_of_speech_ms=400.0) if audio else model.stream()
    data = "a a ? a a what" if specification is TEXT else signal(specification, 9000 if audio else 900, 1)
    stream.push(data)
    stream.flush()
    if specification is BOTH:
        stream.record.accept(signal(specification, 2000, 2))
        stream.record.end_utterance()  # an utterance that waits for its computation is part of the state
    half = data[: len(data) // 2]
    stream.push(half) if model.direction == "unidirectional" else stream.record.accept(half)
    return stream


def rest(stream: Stream) -> list[Any]:
    """All bits that are still to come."""
    specification = stream.model.network.specification
    length = 7000 if isinstance(specification.front_end, Audio) else 70
    data = " a a" if specification is TEXT else signal(specification, length, 3)
    return bits(stream.push(data) + stream.flush() + stream.push(data) + stream.flush())


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.name)
def test_a_snapshot_holds_everything(model: Model) -> None:
    stream = busy(model)
    snapshot = stream.snapshot()
    restored = model.restore(snapshot)
    counters = ("units_in", "frames_in", "frames_out", "utterance", "utterance_ms", "waiting", "options")
    assert [getattr(restored, name) for name in counters] == [getattr(stream, name) for name in counters]
    assert rest(restored) == rest(stream)
    assert restored.snapshot() == stream.snapshot() != snapshot


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.name)
def test_a_snapshot_can_be_used_often(model: Model) -> None:
    """Rewind: the stream that it was taken from has gone on meanwhile."""
    stream = busy(model)
    snapshot = stream.snapshot()
    first = rest(stream)
    assert first == rest(model.restore(snapshot)) == rest(model.restore(snapshot))


def test_a_causal_models_snapshot_is_a_few_kilobytes() -> None:
    layers = (Gru(128), Gru(128), Dense(3), Softmax())
    specification = Sequential("like digits", LogMel(stack=3, stride=3), layers, Ctc(NAMES))
    with Model(network(specification)).stream(sample_rate=44100) as stream:
        stream.push(np.zeros(44100 * 5, np.int16))
        assert len(stream.snapshot()) < 6000


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.name)
def test_every_changed_byte_and_every_truncation_is_noticed(model: Model) -> None:
    snapshot = busy(model).snapshot()
    generator = np.random.default_rng(0)
    for at in [*range(30), *generator.integers(0, len(snapshot), 200)]:
        damaged = bytearray(snapshot)
        damaged[at] ^= generator.integers(1, 256)
        with pytest.raises(SnapshotError):
            model.restore(bytes(damaged))
    for length in [*range(30), *generator.integers(0, len(snapshot), 50)]:
        with pytest.raises(SnapshotError):
            model.restore(snapshot[:length])
    with pytest.raises(SnapshotError):
        model.restore(snapshot + b"\0")


@pytest.mark.parametrize("data", [b"", b"OSTS", bytes(100), b"\x80\x04K\x01.", "text", None])
def test_what_is_no_snapshot_is_refused(data: Any) -> None:
    with pytest.raises(SnapshotError, match="no snapshot"):
        MODELS[0].restore(data)


def test_another_version_is_refused_with_the_cure() -> None:
    snapshot = bytearray(busy(MODELS[0]).snapshot())
    snapshot[4] = 77
    with pytest.raises(SnapshotError, match=r"version 77.*restore it with"):
        MODELS[0].restore(bytes(snapshot))


def test_a_snapshot_of_another_model_is_refused() -> None:
    snapshot = busy(MODELS[0]).snapshot()
    for other in (MODELS[1], Model(network(AUDIO, seed=5))):
        with pytest.raises(SnapshotError, match="another model"):
            other.restore(snapshot)


def test_a_restored_stream_needs_a_place_like_any_other() -> None:
    model = Model(network(FRAMES))
    causal = Model(network(AUDIO), max_streams=1)
    snapshot = busy(causal).snapshot()
    with causal.stream(), pytest.raises(CapacityError):
        causal.restore(snapshot)
    assert model.restore(busy(model).snapshot()).waiting


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths to everything in a snapshot's parts."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in inner for place in leaves(item, (*path, key)))]


FORGED: list[Any] = [
    *(None, True, -1, 0, 1, 3, 1 << 40, (1 << 63) - 1, 0.5, -1e300, float("nan"), float("inf")),
    *("", "outputs", b"", bytes(64), [], {}, [1, 2]),
    {"shape": [1 << 40, 2], "data": b""},
    {"shape": [2, 2], "data": bytes(16)},
    {"shape": [0, (1 << 63) - 1], "data": b""},
]


MISSING = object()


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.name)
def test_a_forged_snapshot_is_refused_or_harmless(model: Model) -> None:
    """Each part replaced by anything, or left out, and signed again: SnapshotError, or a stream that works."""
    whole = snapshots.decode(busy(model).snapshot())
    header = snapshots.encode([])[:5]
    for *path, last in leaves(whole)[1:]:
        for forged in (*FORGED, MISSING):
            parts = copy.deepcopy(whole)
            place: Any = parts
            for key in path:
                place = place[key]
            if forged is MISSING:
                del place[last]
            else:
                place[last] = forged
            body = msgpack.packb(parts)
            try:
                stream = model.restore(header + snapshots._checksum(body) + body)
            except SnapshotError:
                continue
            with stream:
                try:
                    rest(stream)
                except UtteranceTooLongError:  # which a bound of half a second, honest or forged, is there for
                    assert last == "max_utterance_s"


EXTREMES: dict[type, list[Any]] = {
    float: [1e308, -1e308, 1e-308, 0.0, 1e17, 2.0**53],
    int: [0, 1, -1, 1 << 31, 1 << 52, 1 << 53],
}


def extreme(value: Any, chance: random.Random) -> Any:
    """A value of the same type and size, as far out as can be."""
    if isinstance(value, bytes) and value and len(value) % 4 == 0:
        wide = len(value) % 8 == 0 and chance.random() < 0.3
        numbers = EXTREMES[float] if wide else [3e38, -3e38, 1e-40, 1e30, -1e4]
        dtype = "<f8" if wide else "<f4"
        return np.full(len(value) // (8 if wide else 4), chance.choice(numbers), dtype).tobytes()
    return chance.choice(EXTREMES.get(type(value), [value]))


@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")
@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_a_forged_stream_costs_its_neighbours_nothing(model: Model) -> None:
    """It shares their batches, and whatever its state makes of them: no fault, the same bits, results that can be
    written and read."""
    chance, taken = random.Random(7), 0
    whole = snapshots.decode(busy(model).snapshot())
    places = [path for path in leaves(whole) if path]
    specification = model.network.specification
    size = 4000 if isinstance(specification.front_end, Audio) else 100
    data = "a a ? a what " if specification is TEXT else signal(specification, size, 3)
    with model.stream() as alone:
        wanted = bits(alone.push(data) + alone.push(data) + alone.flush())
    for _ in range(60):
        parts = copy.deepcopy(whole)
        for *path, last in chance.sample(places, min(len(places), chance.choice([1, 2, 5, 20]))):
            place: Any = parts
            for key in path:
                place = place[key]
            place[last] = extreme(place[last], chance)
        engine = Engine({"m": model}, Limits(max_utterance_s=3600.0))
        try:
            engine.open("forged", "m", snapshot=snapshots.encode(parts))
        except (SnapshotError, CapacityError):
            continue
        taken += 1
        engine.open("neighbour", "m")
        for sequence in (1, 2):
            for key in ("forged", "neighbour"):
                engine.push(key, sequence, data)
        for key in ("forged", "neighbour"):
            engine.flush(key, 3)
        found = run(engine)
        assert bits(events(found["neighbour"])) == wanted
        for result in found["forged"]:
            assert result.kind in ("push", "flush") or isinstance(
                result.payload, DivergedError | UtteranceTooLongError
            )
            for frame in wire.encode_results([on_the_wire(bytes(16), result)]):
                wire.decode_reply(frame)
    assert taken > 5
