"""Every message comes back as it was; everything else is refused with an error of the protocol, and nothing worse."""

from __future__ import annotations

import dataclasses
import math
import re
import subprocess
import sys
from pathlib import Path

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostinato import protocol as wire
from ostinato.errors import BadMessageError, ProtocolError, TooLargeError, VersionError
from ostinato.events import Event
from ostinato.options import MAX_SOURCE, Options
from ostinato.protocol.results import KINDS
from ostinato.sampling import MAX_SEED, Sampling

quick = settings(deadline=None, max_examples=100)
ids = st.binary(min_size=16, max_size=16)
seqs = st.integers(1, 2**63 - 1)
counts = st.integers(0, 2**63 - 1)
tokens = st.binary(max_size=64)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
finite = st.floats(allow_nan=False, allow_infinity=False, width=64)
times = st.floats(0, 1e12)
maybe = st.one_of


@st.composite
def arrays(draw):
    dtype = np.dtype(draw(st.sampled_from(wire.DTYPES)))
    shape = draw(st.lists(st.integers(0, 6), min_size=1, max_size=3))
    data = draw(st.binary(min_size=math.prod(shape) * dtype.itemsize, max_size=math.prod(shape) * dtype.itemsize))
    return np.frombuffer(data, dtype).reshape(shape)


@st.composite
def events(draw):
    base = draw(st.tuples(st.sampled_from(KINDS), st.integers(-(2**40), 2**40), finite))
    if draw(st.booleans()):
        return Event(*base)
    values = draw(st.none() | st.lists(st.floats(width=32, allow_nan=False), max_size=5))
    array = None if values is None else np.array(values, np.float32)
    return Event(*base, draw(texts), draw(st.integers(-1, 2**31)), draw(finite), array)


results = st.builds(
    wire.ResultEntry, ids, counts, counts, counts, counts, st.booleans(), counts, times, times, times,
    st.lists(events(), max_size=4).map(tuple), times,
).map(lambda result: dataclasses.replace(result, events=tuple(
    dataclasses.replace(event, utterance=result.utterance, utterance_ms=result.utterance_ms)
    for event in result.events
)))  # fmt: skip
heads = st.builds(
    wire.HeadInfo,
    names,
    texts,
    texts,
    st.none() | counts,
    st.none() | times,
    st.lists(texts, max_size=4).map(tuple),
    st.none() | st.integers(1, 10**6),
)
infos = st.builds(
    wire.ModelInfo, names, st.sampled_from(["unidirectional", "bidirectional"]),
    st.sampled_from(["sample", "character", "frame"]), times, counts,
    st.lists(heads, min_size=1, max_size=3).map(tuple),
    st.none() | st.integers(1, 10**6), st.none() | st.integers(1, 1000), texts, texts,
)  # fmt: skip
positive = st.floats(1e-3, 1e9)
samplings = st.builds(
    Sampling, seed=st.integers(0, MAX_SEED), temperature=st.floats(0, 100), top_k=st.none() | st.integers(1, 65536),
    top_p=st.none() | st.floats(0.001, 1),
)  # fmt: skip
by_type = {
    "str | None": names, "int | None": st.integers(1, 10**6), "float | None": positive, "Sampling | None": samplings,
    "tuple[str, ...] | None": st.lists(names, max_size=5).map(tuple),
}  # fmt: skip
asked = {field.name: st.none() | by_type[str(field.type)] for field in dataclasses.fields(Options)}
asked["dtype"] = st.none() | st.sampled_from(wire.DTYPES)
asked["wait_k"] = st.none() | st.integers(1, MAX_SOURCE)
opens = st.builds(
    wire.Open, ids, names, st.builds(Options, **asked),
    st.none() | st.binary(max_size=100), st.integers(0, 2), st.integers(3, 9),
)  # fmt: skip
rooms = st.integers(1, 256)
requests = st.one_of(
    st.builds(wire.ListModels), opens, st.builds(wire.Push, ids, seqs, texts), st.builds(wire.Flush, ids, seqs),
    st.builds(wire.Mark, ids, seqs, tokens), st.builds(wire.TakeSnapshot, ids, seqs),
    st.builds(wire.Reset, ids, seqs), st.builds(wire.Close, ids), st.builds(wire.Ping, tokens),
    st.builds(wire.Generate, ids, seqs, rooms, st.none() | samplings, st.none() | st.integers(1, 65536)),
    st.builds(wire.More, ids, seqs, rooms), st.builds(wire.EndGeneration, ids, seqs),
)  # fmt: skip
replies = st.one_of(
    st.builds(wire.ModelList, st.lists(infos, max_size=3).map(tuple)),
    st.builds(wire.Opened, ids, infos, heads, seqs, seqs, times), st.builds(wire.Marked, ids, seqs, tokens),
    st.builds(wire.Results, st.lists(results, max_size=3).map(tuple)),
    st.builds(wire.Snapshot, ids, seqs, st.binary(max_size=100), st.integers(0, 2), st.integers(3, 9)),
    st.builds(wire.ResetDone, ids, seqs),
    st.builds(wire.Closed, ids, st.sampled_from(["close", "idle", "drain", "error"])),
    st.builds(wire.Pong, tokens), st.builds(wire.Draining, times), st.builds(wire.Goodbye),
    st.builds(wire.Error, names, texts, st.none() | ids, st.none() | seqs, st.none() | seqs, st.none() | counts),
)  # fmt: skip


def plain(message):
    """Comparable: arrays as what they hold."""
    if isinstance(message, np.ndarray):
        return (str(message.dtype), message.shape, message.tobytes())
    if isinstance(message, tuple):
        return tuple(map(plain, message))
    if hasattr(message, "__slots__"):
        return (type(message).__name__, *(plain(getattr(message, name)) for name in message.__slots__))
    return message


@quick
@given(requests)
def test_requests_come_back(request):
    frame = wire.encode(request)
    assert frame[:2] == bytes([request.TYPE, 1])
    assert wire.decode_request(frame) == request


@quick
@given(ids, seqs, arrays())
def test_arrays_come_back(stream, seq, data):
    push = wire.decode_request(wire.encode(wire.Push(stream, seq, data)))
    assert plain(push) == plain(wire.Push(stream, seq, data))
    assert push.units == len(data)
    assert not push.data.flags.writeable


@quick
@given(st.sampled_from(["<i2", ">i2"]), st.integers(1, 3))
def test_arrays_of_any_byte_order_and_stride_are_sent_little_endian(dtype, step):
    data = np.arange(12, dtype=dtype)[::step]
    push = wire.decode_request(wire.encode(wire.Push(bytes(16), 1, data)))
    assert np.array_equal(push.data, data) and push.data.dtype == np.int16


@quick
@given(replies)
def test_replies_come_back(reply):
    frame = wire.encode(reply)
    assert frame[:2] == bytes([reply.TYPE, 1])
    assert plain(wire.decode_reply(frame)) == plain(reply)


def survives(frame):
    for decode in (wire.decode_request, wire.decode_reply):
        try:
            decode(frame)
        except ProtocolError as error:
            assert str(error).isprintable() and len(str(error)) < 300


@quick
@given(st.binary(max_size=200))
def test_random_bytes(data):
    survives(data)


@quick
@given(st.sampled_from([*range(1, 10), *range(0x81, 0x90)]), st.binary(max_size=200))
def test_random_bytes_behind_a_good_head(kind, data):
    survives(bytes([kind, 1]) + data)


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | texts | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


@quick
@given(st.one_of(requests, replies), st.data())
def test_a_field_with_anything_in_it(message, data):
    frame = wire.encode(message)
    fields = msgpack.unpackb(frame[2:])
    if fields:
        fields[data.draw(st.sampled_from(sorted(fields)))] = data.draw(anything)
    if data.draw(st.booleans()):
        fields[data.draw(texts)] = data.draw(anything)
    survives(frame[:2] + msgpack.packb(fields))


@quick
@given(st.one_of(requests, replies), st.data())
def test_mutated_and_truncated(message, data):
    frame = bytearray(wire.encode(message))
    for _ in range(data.draw(st.integers(0, 3))):
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    survives(bytes(frame[: data.draw(st.integers(0, len(frame)))]))
    survives(bytes(frame) + b"\xc0")


@quick
@given(requests, st.data())
def test_whole_or_not_at_all(request, data):
    frame = wire.encode(request)
    cut = frame[: data.draw(st.integers(0, len(frame) - 1))]
    with pytest.raises(BadMessageError):
        wire.decode_request(cut)
    with pytest.raises(BadMessageError):
        wire.decode_request(frame + b"\x00")


def packed(kind, fields, version=1):
    return bytes([kind, version]) + msgpack.packb(fields)


SID = bytes(16)
INPUT = {"stream": SID, "seq": 1}
NAN = float("nan")


@pytest.mark.parametrize(
    ("frame", "error", "says"),
    [
        (b"", BadMessageError, "missing"),
        (b"\x09", BadMessageError, "missing"),
        (packed(9, {"token": b""}, 2), VersionError, "version 2 is unknown"),
        (packed(0x42, {}), BadMessageError, "0x42"),
        (packed(0x81, {}), BadMessageError, "0x81"),
        (packed(9, []), BadMessageError, "PING is not a map"),
        (packed(9, {}), BadMessageError, "'token' is missing"),
        (packed(9, {"token": "x"}), BadMessageError, "'token' is not a binary"),
        (packed(9, {"token": bytes(65)}), BadMessageError, "0 to 64"),
        (packed(9, {"token": b"", "more": 1}), BadMessageError, "does not know"),
        (packed(4, {"stream": bytes(15), "seq": 1}), BadMessageError, "'stream' is not a binary of 16"),
        (packed(4, {"stream": SID, "seq": 0}), BadMessageError, "'seq' is not an integer from 1"),
        (packed(4, {"stream": SID, "seq": True}), BadMessageError, "'seq'"),
        (packed(4, {"stream": SID, "seq": 2**63}), BadMessageError, "'seq'"),
        (packed(3, {**INPUT, "data": b"123", "dtype": "int16", "shape": [1]}), BadMessageError, "'data'"),
        (packed(3, {**INPUT, "data": b"", "dtype": "object", "shape": [0]}), BadMessageError, "'dtype'"),
        (packed(3, {**INPUT, "data": b"", "dtype": "int16", "shape": [-1]}), BadMessageError, "'shape'"),
        (packed(3, {**INPUT, "data": b"", "dtype": "int16", "shape": [0] * 5}), BadMessageError, "'shape'"),
        (packed(3, {**INPUT, "data": "a", "dtype": "int16"}), BadMessageError, "does not know"),
        (packed(2, {"stream": SID, "model": ""}), BadMessageError, "'model'"),
        (packed(2, {"stream": SID, "model": "m", "sample_rate": None}), BadMessageError, "'sample_rate'"),
        (packed(2, {"stream": SID, "model": "m", "max_utterance_s": NAN}), BadMessageError, "'max_utterance_s'"),
        (packed(2, {"stream": SID, "model": "m", "part": 0}), BadMessageError, "'parts' is missing"),
        (packed(9, {"token": bytes(65536)}), TooLargeError, "limit of 65536"),
        (bytes([9, 1, 0xC7, 1, 5, 0]), BadMessageError, "not a map"),
        (bytes([9, 1]) + b"\x91" * 60000 + b"\xc0", BadMessageError, "PING"),
        (bytes([9, 1]) + b"\xdf\xff\xff\xff\xff", BadMessageError, "PING"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(frame, error, says):
    with pytest.raises(error, match=re.escape(says)):
        wire.decode_request(frame)


def test_errors_never_quote_the_input():
    secret = "a-password"
    for fields in ({"token": secret}, {"token": b"", secret: secret}, {secret: 1}):
        with pytest.raises(BadMessageError) as caught:
            wire.decode_request(packed(9, fields))
        assert secret not in str(caught.value)


def test_what_is_too_large_is_not_sent():
    with pytest.raises(TooLargeError):
        wire.encode(wire.Push(SID, 1, np.zeros(40000, np.int16)))
    with pytest.raises(BadMessageError, match="complex128"):
        wire.encode(wire.Push(SID, 1, np.zeros(4, np.complex128)))


@quick
@given(st.lists(results, max_size=6))
def test_results_share_messages(many):
    frames = wire.encode_results(many)
    assert len(frames) == (1 if many else 0)
    assert [plain(r) for frame in frames for r in wire.decode_reply(frame).results] == [plain(r) for r in many]


@quick
@given(st.lists(results, max_size=20))
def test_results_are_read_without_events_first(many):
    for frame in wire.encode_results(many):
        rows, others = wire.read_results(frame)
        read = wire.decode_reply(frame).results
        assert len(rows) + len(others) == len(read)
        assert [bytes(row["stream"]) for row in rows] == [result.stream for result in read[: len(rows)]]
        for name in ("seq", "frames", "waiting_ms"):
            assert rows[name].tolist() == [getattr(result, name) for result in read[: len(rows)]]
            assert [each[name] for each in others] == [getattr(result, name) for result in read[len(rows) :]]
        usual = [not (r.final or r.events or repr(r.buffered_ms) != "0.0") for r in read]
        assert len(rows) == (usual.index(False) if False in usual else len(usual))


def test_a_changed_byte_makes_results_unusual_or_is_a_value():
    frame = wire.encode_results([wire.ResultEntry(SID, 7, 8, 9) for _ in range(20)])[0]
    for at in range(len(frame)):
        changed = bytearray(frame)
        changed[at] ^= 1
        try:
            whole = wire.decode_reply(bytes(changed))
        except (BadMessageError, VersionError):  # `read_results` does not look
            continue
        rows, others = wire.read_results(bytes(changed))
        assert [*rows["seq"].tolist(), *(each["seq"] for each in others)] == [r.seq for r in whole.results]
    rows, others = wire.read_results(wire.encode(wire.Results(())))
    assert not len(rows) and not others
    with pytest.raises(ValueError, match="RESULTS"):
        wire.read_results(wire.encode(wire.Pong(b"")))


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 400), st.integers(1, 2000), st.integers(0, 3))
def test_long_results_are_cut_between_events(count, size, others):
    long = tuple(Event("output", i, float(i), values=np.full(size, i, np.float32)) for i in range(count))
    small = [wire.ResultEntry(bytes([i]) * 16, 1, 0, 5) for i in range(others)]
    given_result = wire.ResultEntry(SID, 7, 100, 50, 3, True, count, 1.0, 2.0, 3.0, long)
    frames = wire.encode_results([given_result, *small])
    assert all(len(frame) <= wire.MAX_MESSAGE_BYTES for frame in frames)
    back = [result for frame in frames for result in wire.decode_reply(frame).results]
    pieces = back[: len(back) - others]
    assert [plain(result) for result in back[len(pieces) :]] == [plain(result) for result in small]
    assert [event.frame for piece in pieces for event in piece.events] == list(range(count))
    assert [piece.final for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    assert sum(piece.frames for piece in pieces) == count
    first = 100
    for piece in pieces:
        assert piece.first == first and (piece.seq, piece.processed, piece.utterance) == (7, 50, 3)
        first += len(piece.events)


def test_many_small_results_need_several_messages():
    frames = wire.encode_results([wire.ResultEntry(SID, i, i, i) for i in range(2000)])
    assert len(frames) > 1 and all(len(frame) <= wire.MAX_MESSAGE_BYTES for frame in frames)
    assert [r.seq for frame in frames for r in wire.decode_reply(frame).results] == list(range(2000))


def test_an_event_that_fits_no_message():
    with pytest.raises(TooLargeError, match="one event"):
        wire.encode_results(
            [wire.ResultEntry(SID, 1, 0, 0, events=(Event("output", 0, 0.0, values=np.zeros(20000, "f4")),))]
        )


def test_a_long_list_of_models():
    heads = (wire.HeadInfo("main", "ctc"), wire.HeadInfo("other", "outputs"))
    info = wire.ModelInfo("m", "bidirectional", "frame", 10.0, 5, heads, description="d" * 1000)
    frames = wire.encode_models([info] * 300)
    replies = [wire.decode_reply(frame) for frame in frames]
    assert [reply.part for reply in replies] == list(range(len(replies))) and len(replies) > 1
    assert sum(len(reply.models) for reply in replies) == 300
    assert replies[0].models[0] == info
    assert [wire.decode_reply(frame).models for frame in wire.encode_models([])] == [()]


@settings(deadline=None, max_examples=20)
@given(st.sampled_from([0, 1, wire.PART_BYTES, wire.PART_BYTES + 1, 300_000]))
def test_snapshots_in_parts(size):
    data = bytes(range(256)) * (size // 256 + 1)
    data = data[:size]
    assembler = wire.Assembler()
    replies = [wire.decode_reply(frame) for frame in wire.encode_snapshot(SID, 3, data)]
    wholes = [assembler.add(reply.data, reply.part, reply.parts) for reply in replies]
    assert wholes[:-1] == [None] * (len(replies) - 1) and wholes[-1] == data
    opens = [wire.decode_request(f) for f in wire.encode_open(wire.Open(SID, "m", Options(sample_rate=16000), data))]
    assert b"".join(request.snapshot for request in opens) == data
    assert {(request.model, request.options, request.parts) for request in opens} == {
        ("m", Options(sample_rate=16000), len(opens))
    }


def test_parts_out_of_turn_and_without_end():
    assembler = wire.Assembler()
    for parts in ([(1, 3)], [(0, 3), (2, 3)], [(0, 3), (1, 4)], [(0, 3), (0, 3)]):
        with pytest.raises(BadMessageError, match="out of turn"):
            for part, count in parts:
                assembler.add(b"x", part, count)
    with pytest.raises(TooLargeError):
        for part in range(1024):
            assembler.add(bytes(wire.PART_BYTES), part, 1024)
    assert assembler.add(b"fine", 0, 1) == b"fine", "and begins anew after each error"
    with pytest.raises(TooLargeError, match="between utterances"):
        wire.encode_snapshot(SID, 1, bytes(wire.MAX_SNAPSHOT_BYTES + 1))


# --- the document ---------------------------------------------------------------------------------------------------

DOCUMENT = (Path(__file__).parent.parent / "docs" / "protocol.md").read_text(encoding="utf-8")


def test_the_documents_example_is_what_is_sent():
    example = DOCUMENT.split("## An example")[1].split("## A client")[0]
    blocks = re.findall(r"(?:^    .*\n)+", example, re.MULTILINE)
    stream = bytes(range(16))
    symbol = Event("symbol", 6, 70.0, "one", 2, 0.5)
    messages = [
        wire.Open(stream, "digits-uni", Options(sample_rate=16000)),
        wire.Push(stream, 1, np.array([0, 1, -1, 32767], np.int16)),
        wire.Results((wire.ResultEntry(stream, 1, 0, 4, 0, False, 1, 0.5, 0.25, 0.0, (symbol,)),)),
        wire.Flush(stream, 2),
    ]
    assert len(blocks) == len(messages)
    for block, message in zip(blocks, messages, strict=True):
        told = "".join(line.strip().split("   ")[0] for line in block.splitlines())
        assert bytes.fromhex(told) == wire.encode(message)


def test_the_documents_types_are_the_codes():
    table = DOCUMENT.split("## Types")[1].split("## A stream")[0]
    told = {int(code, 16) for code in re.findall(r"\| ([0-9a-f]{2}) \|", table)}
    from ostinato.protocol.codec import _REPLIES, _REQUESTS

    assert told == _REQUESTS.keys() | _REPLIES.keys()
    for code, (name, _) in (_REQUESTS | _REPLIES).items():
        assert f"| {code:02x} | {name} |" in table


def test_the_documents_limits_are_the_codes():
    for number in (f"{wire.MAX_MESSAGE_BYTES:,}", f"{wire.BACKSTOP_BYTES:,}", f"{wire.MAX_SYMBOLS:,}", *wire.DTYPES):
        assert number in DOCUMENT


def test_the_wire_and_the_client_load_no_numba():
    code = (
        "import sys, ostinato.protocol, ostinato_client; "
        "bad = {'numba', 'llvmlite', 'scipy', 'sounddevice', 'soundfile'} & sys.modules.keys(); "
        "sys.exit(str(bad) if bad else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
