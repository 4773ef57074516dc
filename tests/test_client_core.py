"""The client's protocol core without sockets: bytes in, bytes out."""

from __future__ import annotations

import dataclasses

import msgpack
import numpy as np
import pytest
from client_fake_server import HEAD, INFO
from hypothesis import given, settings
from hypothesis import strategies as st

from ostinato import protocol as wire
from ostinato.errors import (
    BadMessageError,
    ConnectionLostError,
    CreditError,
    DivergedError,
    DrainingError,
    DtypeError,
    OstinatoError,
    StreamClosedError,
    TooLargeError,
    UnknownModelError,
    UnknownStreamError,
    VersionError,
)
from ostinato.events import Event
from ostinato.options import Options
from ostinato_client import stream_core
from ostinato_client.core import Core

SID = b"0123456789abcdef"


def outgoing(core):
    """What it wants to send, decoded; sent by that."""
    found = []
    while core.pending:
        found.append(wire.decode_request(core.next_frame()))
        core.sent()
    return found


def answer(core, *replies):
    for reply in replies:
        core.receive(wire.encode(reply))


def finished(steps):
    """The result of an operation that has nothing left to wait for."""
    with pytest.raises(StopIteration) as stop:
        next(steps)
    return stop.value.value


def opened(core, credit=100, inputs=10, stream=SID):
    opening = core.open(wire.Open(stream, "echo"))
    next(opening)
    outgoing(core)
    answer(core, wire.Opened(stream, INFO, HEAD, credit, inputs, 60.0))
    return finished(opening)


def symbols(*texts):
    return tuple(Event("symbol", i, 0.0, text) for i, text in enumerate(texts))


def test_opening():
    core = Core("x")
    opening = core.open(wire.Open(SID, "echo", Options(sample_rate=8000)))
    assert next(opening).id == SID
    assert not core.expecting, "nothing has been sent yet"
    assert outgoing(core) == [wire.Open(SID, "echo", Options(sample_rate=8000))]
    assert core.expecting
    next(opening)
    answer(core, wire.Opened(SID, INFO, HEAD, 5, 6, 60.0))
    assert finished(opening).info.credit == 5


def test_an_open_given_up_before_it_was_sent_is_not_sent():
    core = Core("x")
    opening = core.open(wire.Open(SID, "echo"))
    next(opening)
    with pytest.raises(ConnectionLostError):
        opening.throw(ConnectionLostError("late"))
    assert outgoing(core) == [] and not core.streams


def test_an_open_given_up_after_it_was_sent_is_closed():
    core = Core("x")
    opening = core.open(wire.Open(SID, "echo"))
    next(opening)
    outgoing(core)
    opening.close()
    assert outgoing(core) == [wire.Close(SID)]
    answer(core, wire.Opened(SID, INFO, HEAD, 5, 5, 60.0))
    assert outgoing(core) == [wire.Close(SID)], "and again when it was opened after all"


def test_a_refused_open():
    core = Core("x")
    opening = core.open(wire.Open(SID, "nobody"))
    next(opening)
    outgoing(core)
    answer(core, wire.Error("unknown_model", "none such", SID))
    with pytest.raises(UnknownModelError):
        next(opening)
    assert outgoing(core) == [] and not core.streams


def test_push_waits_for_credit_and_counts_refusals_back():
    core = Core("x")
    stream = opened(core, credit=100)
    assert finished(stream.push(np.zeros(60, np.int16))) == 1
    pushing = stream.push(np.zeros(60, np.int16))
    next(pushing)
    assert [push.units for push in outgoing(core)] == [60] and stream.backlog == 60
    answer(core, wire.Error("bad_dtype", "no", SID, 1))
    with pytest.raises(DtypeError) as caught:
        next(pushing)
    assert caught.value.seq == 1 and stream.backlog == 0
    assert finished(stream.push(np.zeros(100, np.int16))) == 2
    answer(core, wire.Results((wire.ResultEntry(SID, 1, 0, 40),)))
    assert stream.backlog == 60, "credit comes back within an input too"
    assert finished(stream.push(np.zeros(40, np.int16))) == 3


def test_repeated_events_are_dropped_and_missing_ones_end_the_stream():
    core = Core("x")
    stream = opened(core)
    for _ in range(3):
        finished(stream.push("a"))
    answer(core, wire.Results((wire.ResultEntry(SID, 1, 0, 1, events=symbols("one", "two")),)))
    answer(core, wire.Results((wire.ResultEntry(SID, 2, 1, 2, events=symbols("two", "three")),)))
    answer(core, wire.Results((wire.ResultEntry(SID, 2, 3, 2),)))  # a repeat acknowledged again
    assert [result.text for result in stream.take()] == ["one two", "three"]
    answer(core, wire.Results((wire.ResultEntry(SID, 3, 5, 3),)))
    with pytest.raises(BadMessageError, match="events 3 to 4"):
        stream.raise_error()
    closing = core.close(stream)
    next(closing)
    assert wire.Close(SID) in outgoing(core), "the server still has it"


def test_flush_ends_with_its_own_final_result():
    core = Core("x")
    stream = opened(core)
    finished(stream.push("a"))
    flushing = stream.flush()
    next(flushing)
    answer(core, wire.Results((wire.ResultEntry(SID, 1, 0, 1, 0, True),)))  # the end of speech, heard before
    next(flushing)
    answer(core, wire.Results((wire.ResultEntry(SID, 2, 0, 1, 1, False, events=symbols("x")),)))  # a first piece
    next(flushing)
    answer(core, wire.Results((wire.ResultEntry(SID, 2, 1, 1, 1, True),)))
    assert [(result.utterance, result.final) for result in finished(flushing)] == [(0, True), (1, False), (1, True)]


def test_a_frame_by_itself_is_one_unit_and_stays_whole():
    core = Core("x")
    opening = core.open(wire.Open(SID, "echo"))
    next(opening)
    outgoing(core)
    info = dataclasses.replace(INFO, unit="frame", sample_rate=None, frame_size=80)
    answer(core, wire.Opened(SID, info, HEAD, 16, 100, 60.0))  # credit for fewer frames than a frame has values
    stream = finished(opening)
    for seq in range(1, 17):
        assert finished(stream.push(np.full(80, seq, np.float32))) == seq
    assert stream.backlog == 16
    assert [(push.data.shape, push.units) for push in outgoing(core)] == [((1, 80), 1)] * 16
    waiting = stream.push(np.zeros(80, np.float32))
    next(waiting)
    answer(core, wire.Results((wire.ResultEntry(SID, 1, 0, 1),)))
    assert finished(waiting) == 17


def test_unread_results_are_bounded(monkeypatch):
    monkeypatch.setattr(stream_core, "MAX_UNREAD", 3)
    core = Core("x")
    stream = opened(core)
    for seq in range(1, 4):
        finished(stream.push("a"))
        answer(core, wire.Results((wire.ResultEntry(SID, seq, 0, seq),)))
    pushing = stream.push("b")
    next(pushing)
    assert stream.unread == 3
    stream.take()
    finished(pushing)


@pytest.mark.parametrize(
    ("code", "error"),
    [("over_credit", CreditError), ("sequence_gap", OstinatoError), ("unknown_stream", UnknownStreamError)],
)
def test_errors_that_end_a_stream(code, error):
    core = Core("x")
    stream = opened(core)
    finished(stream.push("a"))
    outgoing(core)
    answer(core, wire.Error(code, "why", SID, 1, 1))
    for _ in range(2):
        with pytest.raises(error):
            next(stream.push("b"))
    closing = core.close(stream)
    if code == "unknown_stream":
        finished(closing)
    else:
        next(closing)
        assert outgoing(core) == [wire.Close(SID)]
        answer(core, wire.Closed(SID, "close"))
        finished(closing)


@pytest.mark.parametrize(
    ("reason", "error"),
    [
        ("idle", StreamClosedError),
        ("drain", DrainingError),
        ("error", StreamClosedError),
        ("close", StreamClosedError),
    ],
)
def test_the_server_closes_a_stream(reason, error):
    core = Core("x")
    stream = opened(core)
    marking = stream.mark()
    next(marking)
    answer(core, wire.Closed(SID, reason))
    with pytest.raises(error):
        next(marking)
    assert not core.streams
    finished(core.close(stream))


def test_a_snapshot_in_parts_and_answers_out_of_interest():
    core = Core("x")
    stream = opened(core)
    given_up = stream.mark()
    next(given_up)
    given_up.close()
    asking = stream.snapshot()
    next(asking)
    answer(core, wire.Marked(SID, 1, b""))
    assert stream.unanswered == 1
    answer(core, wire.Snapshot(SID, 2, b"ab", 0, 2))
    next(asking)
    answer(core, wire.Snapshot(SID, 2, b"cd", 1, 2))
    assert finished(asking) == b"abcd"
    assert stream.unanswered == 0 and not stream._answers, "nothing is kept for those who went"


def test_models_and_pings_keep_their_order():
    core = Core("x")
    first, second = core.models(), core.models()
    next(first)
    next(second)
    answer(core, wire.ModelList((INFO,), 0, 2))
    next(first)
    answer(core, wire.ModelList((INFO,), 1, 2), wire.ModelList((), 0, 1))
    assert (len(finished(first)), finished(second)) == (2, [])
    ping = core.ping()
    next(ping)
    core.heartbeat()
    (sent,) = [request for request in outgoing(core) if isinstance(request, wire.Ping)]
    answer(core, wire.Pong(sent.token))
    finished(ping)
    assert not core.expecting


def test_a_list_of_models_does_not_grow_for_ever():
    core = Core("x")
    listing = core.models()
    next(listing)
    answer(core, wire.ModelList((INFO,), 0, 3), wire.ModelList((INFO,), 0, 3))
    with pytest.raises(BadMessageError, match="out of turn"):
        next(listing)


def test_calls_without_an_answer_leave_nothing_behind():
    core = Core("x")
    for _ in range(100):
        for steps in (core.models(), core.ping(), core.open(wire.Open(SID, "echo"))):
            next(steps)
            steps.close()
    assert not core.pending and not core.expecting


def test_failing_ends_everything():
    core = Core("x")
    stream = opened(core)
    waiting = [stream.flush(), core.models(), core.ping(), core.open(wire.Open(bytes(16), "echo"))]
    for steps in waiting:
        next(steps)
    core.fail(ConnectionLostError("gone"))
    for steps in waiting:
        with pytest.raises(ConnectionLostError):
            next(steps)
    assert not core.pending and not core.expecting and not core.streams
    finished(core.close(stream))
    opened(core, stream=bytes(16))


@pytest.mark.parametrize(
    ("frame", "error"),
    [
        (b"", BadMessageError),
        (b"\x83\x01\xc0", BadMessageError),
        (b"\x83\x02\x80", VersionError),
        (bytes(70000), TooLargeError),
        (wire.encode(wire.Error("unknown_version", "I speak 2")), VersionError),
        (wire.encode(wire.Goodbye()), ConnectionLostError),
    ],
)
def test_what_fails_the_connection(frame, error):
    core = Core("x")
    stream = opened(core)
    core.receive(frame)
    with pytest.raises(error):
        stream.raise_error()


def test_one_streams_unreadable_result_fails_that_stream_alone():
    core = Core("x")
    other = bytes(16)
    one, two, three = opened(core), opened(core, stream=other), opened(core, stream=b"x" * 16)
    for stream in (one, two, three):
        finished(stream.push("a"))
    outgoing(core)
    wrong = Event("symbol", 0, 0.0, "nan", 1, float("nan"))
    answer(core, wire.Results((wire.ResultEntry(other, 1, 0, 1, events=(wrong,)), wire.ResultEntry(SID, 1, 0, 1))))
    with pytest.raises(BadMessageError, match="result 0 event 0: time or probability is not a finite number"):
        two.raise_error()
    assert outgoing(core) == [wire.Close(other)], "the server need not go on with it"
    answer(
        core, wire.Results((wire.ResultEntry(other, 2, 0, 1), wire.ResultEntry(SID, 1, 0, 1, events=symbols("b"))))
    )
    assert "".join(result.text for result in one.take()) == "b" and not one.unanswered
    core.receive(bytes([wire.Marked.TYPE, 1]) + msgpack.packb({"stream": b"x" * 16, "seq": -1, "token": b""}))
    with pytest.raises(BadMessageError, match="'seq'"):
        three.raise_error()
    answer(core, wire.Snapshot(SID, 1, b"", 3, 5))
    with pytest.raises(BadMessageError, match="out of turn"):
        one.raise_error()


def test_a_lost_utterance_is_told_once_and_reset_goes_on():
    core = Core("x")
    stream = opened(core)
    for _ in range(4):
        finished(stream.push("a"))
    refusals = [wire.Error("diverged", "overflowed", SID, seq) for seq in range(1, 6)]
    answer(core, refusals[0], refusals[1])
    with pytest.raises(DivergedError) as told:
        next(stream.push("a"))
    assert told.value.seq == 1
    finished(stream.push("a"))
    answer(core, refusals[2])
    resetting = stream.reset()
    next(resetting)
    answer(core, refusals[3], refusals[4])
    next(resetting)
    answer(core, wire.ResetDone(SID, 6))
    finished(resetting)
    assert stream.backlog == stream.unanswered == 0
    finished(stream.push("a"))
    answer(core, wire.Error("diverged", "again", SID, 7))
    with pytest.raises(DivergedError, match="again"):
        stream.raise_error()


def test_an_error_of_a_code_that_is_not_known():
    core = Core("x")
    stream = opened(core)
    finished(stream.push("a"))
    answer(core, wire.Error("strange", "from the future", SID, 1))
    with pytest.raises(OstinatoError, match="from the future"):
        stream.raise_error()


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.one_of(st.integers(0, 30), st.sampled_from(["answer", "refuse", "read"])), max_size=60),
    st.integers(1, 50),
    st.integers(1, 6),
)
def test_whatever_happens_the_bounds_hold(turns, credit, inputs):
    core = Core("x")
    stream = opened(core, credit, inputs)
    server: list[wire.Push] = []
    processed = taken = refusals = 0
    pushing = None
    for turn in turns:
        try:
            if isinstance(turn, int):
                if pushing is None:
                    pushing = stream.push(np.zeros(turn, np.int16))
            elif turn == "answer" and server:
                push = server.pop(0)
                processed += push.units
                answer(core, wire.Results((wire.ResultEntry(SID, push.seq, 0, processed),)))
            elif turn == "refuse" and server:
                refusals += 1
                answer(core, wire.Error("bad_shape", "no", SID, server.pop().seq))
            elif turn == "read":
                taken += len(stream.take())
            if pushing is not None:
                next(pushing)
        except StopIteration:
            pushing = None
        except OstinatoError:
            refusals -= 1
            pushing = None
        server += [request for request in outgoing(core) if isinstance(request, wire.Push)]
        assert sum(push.units for push in server) == stream.backlog <= credit
        assert len(server) == stream.unanswered <= inputs
        assert [push.seq for push in server] == sorted({push.seq for push in server})


anything = st.recursive(
    st.none() | st.booleans() | st.integers(0, 5) | st.floats() | st.just(SID) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["stream", "seq", "code"]), inner),
    max_leaves=8,
)


@settings(deadline=None, max_examples=100)
@given(st.sampled_from(range(0x80, 0x90)), anything)
def test_no_reply_can_raise(kind, fields):
    core = Core("x")
    opened(core)
    core.receive(bytes([kind, 1]) + msgpack.packb(fields))


def test_pushes_of_several_streams_that_wait_go_together():
    core = Core("x")
    streams = [opened(core, 100_000, stream=bytes([i]) * 16) for i in range(4)]
    chunks = [np.full(5 + i, i, np.int16) for i in range(4)]
    for stream, chunk in zip(streams, chunks, strict=True):
        finished(stream.push(chunk))
        chunk[:] = -1  # the caller's array may be used again
    finished(streams[0].push(np.zeros(3, np.float32)))
    finished(streams[1].push(np.zeros(4, np.float32)))
    finished(streams[1].push(np.ones(4, np.float32)))
    next(streams[2].flush())
    core.next_frame()
    finished(streams[2].push(np.zeros(7, np.int16)))
    together, floats, alone, flush, last = outgoing(core)
    assert together.streams == [bytes([i]) * 16 for i in range(4)] and together.seqs == [1] * 4
    assert together.units == [5, 6, 7, 8] and together.data.tolist() == [0] * 5 + [1] * 6 + [2] * 7 + [3] * 8
    assert (floats.seqs, floats.data.dtype.name) == ([2, 2], "float32")
    assert (alone.stream, alone.seq, alone.data.tolist()) == (bytes([1]) * 16, 3, [1.0] * 4)
    assert (flush, last.seq) == (wire.Flush(bytes([2]) * 16, 2), 3)


def test_pushes_that_fit_no_message_together_go_singly():
    core = Core("x")
    streams = [opened(core, 100_000, stream=bytes([i]) * 16) for i in range(3)]
    for stream, size in zip(streams, (20_000, 12_000, 20_000), strict=True):
        finished(stream.push(np.zeros(size, np.int16)))
    first, last = outgoing(core)
    assert isinstance(first, wire.Pushes) and first.units == [20_000, 12_000] and isinstance(last, wire.Push)
    assert core.streams[bytes([2]) * 16].sent
