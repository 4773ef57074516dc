"""Bounded wait: bidirectional models answered in blocks while the utterance goes on."""

from __future__ import annotations

from itertools import zip_longest
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st
from random_models import Case, bits, cases, heads, made_frames, network, signal, specifications
from test_promises import CUTS, RAW, whole, without_place

from ostinato.errors import InputError, SnapshotError
from ostinato.events import Event
from ostinato.model import Sequential, Specification
from ostinato.model.decoders import Outputs
from ostinato.model.front_ends import Frames, LogMel
from ostinato.model.layers import Dense, Gru, Lstm, Rnn
from ostinato.streaming import Delay, Model, advance

BLOCKS, LOOKAHEADS = st.integers(1, 12), st.integers(0, 9)


def wait(model: Model, block: int, lookahead: int) -> dict[str, float]:
    """The options for a block of so many frames."""
    frame_ms = model.front_end.frame_ms
    return {"block_ms": block * frame_ms, "lookahead_ms": lookahead * frame_ms}


def values(events: list[Event]) -> npt.NDArray[np.float32]:
    return np.array([event.values for event in events])


DEEP = Sequential(
    "deep",
    Frames(5),
    (
        Gru(7, direction="bidirectional"),
        Lstm(16, direction="bidirectional"),
        Rnn(6),
        Gru(9, direction="backward"),
        Dense(4),
    ),
    Outputs(),
)


@pytest.mark.parametrize(("block", "lookahead"), [(1, 0), (1, 5), (4, 0), (4, 3), (7, 20), (50, 1), (3, 100)])
def test_blocks_are_what_the_formulas_say(block: int, lookahead: int) -> None:
    model = Model(network(DEEP))
    frames = signal(DEEP, 41, 3)
    with model.stream(**wait(model, block, lookahead)) as stream:
        found = values(stream.push(frames) + stream.flush())
    wanted = reference.run_blocks(DEEP, model.network.weights, frames, block, lookahead)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=3e-6)
    exact = reference.run(DEEP, model.network.weights, frames)
    assert (block + lookahead >= 41) == np.allclose(found, exact, rtol=0, atol=3e-6)


@settings(deadline=None, max_examples=30)
@given(
    specification=specifications(("frames",), "bidirectional"),
    length=st.integers(0, 60),
    block=BLOCKS,
    lookahead=LOOKAHEADS,
)
def test_blocks_of_all_kinds_of_models_are_what_the_formulas_say(
    specification: Specification, length: int, block: int, lookahead: int
) -> None:
    case = Case(network(specification, length), signal(specification, length, block))
    model = Model(case.network)
    found = values(whole(model, case, decoder="outputs", **wait(model, block, lookahead)))
    frames = made_frames(case.network, case.signal)
    wanted = reference.run_blocks(specification, case.network.weights, frames, block, lookahead)
    np.testing.assert_allclose(found.reshape(wanted.shape), wanted, rtol=2e-4, atol=2e-4)


@settings(deadline=None, max_examples=40)
@given(case=cases(direction="bidirectional"), block=BLOCKS, lookahead=LOOKAHEADS, cuts=CUTS, raw=RAW)
def test_chunking_does_not_matter(case: Case, block: int, lookahead: int, cuts: list[int], raw: Any) -> None:
    model = Model(case.network)
    options = {"decoder": raw, **wait(model, block, lookahead)}
    with model.stream(**case.options, **options) as stream:
        events = [event for piece in case.pieces(cuts) for event in stream.push(piece)]
        events += stream.flush()
        assert bits(events) == bits(whole(model, case, **options))
        assert stream.frames_out == stream.frames_in


@settings(deadline=None, max_examples=30)
@given(case=cases(direction="bidirectional"), cuts=CUTS, raw=RAW, block=st.integers(1, 100))
def test_a_wait_as_long_as_the_utterance_is_exact(case: Case, cuts: list[int], raw: Any, block: int) -> None:
    model = Model(case.network)
    options = wait(model, block, 100 - block)  # no case has more frames
    with model.stream(**case.options, decoder=raw, **options) as stream:
        events = [event for piece in case.pieces(cuts) for event in stream.push(piece)]
        assert not events
        assert bits(stream.flush()) == bits(whole(model, case, decoder=raw))


@settings(deadline=None, max_examples=20)
@given(
    specification=specifications(direction="bidirectional"),
    lengths=st.lists(st.integers(0, 40), min_size=1, max_size=40),
    shapes=st.lists(st.tuples(BLOCKS, LOOKAHEADS), min_size=1, max_size=3),
    max_frames=st.sampled_from((None, 1, 7)),
    data=st.data(),
)
def test_company_does_not_matter(
    specification: Specification,
    lengths: list[int],
    shapes: list[tuple[int, int]],
    max_frames: int | None,
    data: st.DataObject,
) -> None:
    """Blocks of many streams, of several sizes, and whole utterances among them, advanced together."""
    model = Model(network(specification, len(lengths)))
    scale = 1 if not hasattr(specification.front_end, "hop_ms") else 40
    signals = [signal(specification, n * scale, seed) for seed, n in enumerate(lengths)]
    ways = data.draw(st.lists(st.tuples(heads(specification), RAW), min_size=len(lengths), max_size=len(lengths)))
    at_once = {name for name, head in model.heads.all.items() if head.direction == "unidirectional"}
    options: list[dict[str, Any]] = [
        {} if i % 5 == 4 or head in at_once else wait(model, *shapes[i % len(shapes)])
        for i, (head, _) in enumerate(ways)
    ]
    streams = [model.stream(head=head, decoder=raw, **each) for (head, raw), each in zip(ways, options, strict=True)]
    cuts = data.draw(st.lists(CUTS, min_size=len(signals), max_size=len(signals)))
    pieces = [Case(model.network, each).pieces(cut) for each, cut in zip(signals, cuts, strict=True)]
    events: list[list[Event]] = [[] for _ in streams]
    for turn in zip_longest(*pieces):
        for stream, piece in zip(streams, turn, strict=True):
            if piece is not None:
                stream.record.accept(stream.record.check(piece))
        order = data.draw(st.permutations(range(len(streams))))
        for i, some in zip(order, advance([streams[i].record for i in order], max_frames), strict=True):
            events[i] += some
    for stream, each, some, chosen, (head, raw) in zip(streams, signals, events, options, ways, strict=True):
        some += stream.flush()
        assert bits(some) == bits(whole(model, Case(model.network, each, head=head), decoder=raw, **chosen))


@settings(deadline=None, max_examples=40)
@given(
    case=cases(direction="bidirectional"), block=BLOCKS, lookahead=LOOKAHEADS, cuts=CUTS, at=st.integers(0, 8),
    ended=st.booleans(), raw=RAW,
)  # fmt: skip
def test_a_snapshot_goes_on_with_the_same_bits(
    case: Case, block: int, lookahead: int, cuts: list[int], at: int, ended: bool, raw: Any
) -> None:
    """Also of an utterance that has ended and whose rest is not computed yet."""
    model = Model(case.network)
    options = {"decoder": raw, **wait(model, block, lookahead)}
    pieces = case.pieces(cuts)
    at = len(pieces) if ended else at % len(pieces)
    stream = model.stream(**case.options, **options)
    before = [event for piece in pieces[:at] for event in stream.push(piece)]
    if ended:
        stream.record.end_utterance()
    restored = Model(case.network).restore(stream.snapshot())
    assert restored.options == stream.options and restored.delay == stream.delay
    assert restored.snapshot() == stream.snapshot()
    wanted = bits(whole(model, case, **options))
    for each in (restored, stream):
        after = [event for piece in pieces[at:] for event in each.push(piece)]
        after += advance([each.record])[0] if ended else each.flush()
        assert bits(before + after) == wanted


@settings(deadline=None, max_examples=20)
@given(case=cases(direction="bidirectional"), block=BLOCKS, lookahead=LOOKAHEADS, max_rows=st.integers(1, 50))
def test_slices_do_not_matter(case: Case, block: int, lookahead: int, max_rows: int) -> None:
    model = Model(case.network)
    options = wait(model, block, lookahead)
    with model.stream(**case.options, **options) as stream:
        stream.record.accept(stream.record.check(case.signal))
        stream.record.end_utterance()
        run = stream.record.next_finished()
        assert run is not None
        while not run.step(max_rows):
            pass
    assert bits(run.events) == bits(whole(model, case, **options))


@settings(deadline=None, max_examples=20)
@given(case=cases(direction="bidirectional"), block=BLOCKS, lookahead=LOOKAHEADS, cuts=CUTS)
def test_after_reset_and_after_flush_a_stream_is_as_new(
    case: Case, block: int, lookahead: int, cuts: list[int]
) -> None:
    model = Model(case.network)
    options = wait(model, block, lookahead)
    wanted = whole(model, case, **options)
    with model.stream(**case.options, **options) as stream:
        stream.push(case.pieces(cuts)[0])
        stream.reset()
        for number in (1, 2):
            events = stream.push(case.signal) + stream.flush()
            assert all(event.utterance == number for event in events)
            assert without_place(events) == without_place(wanted)


def test_each_block_is_answered_as_soon_as_its_context_is_there() -> None:
    model = Model(network(DEEP))
    frames = signal(DEEP, 40, 1)
    with model.stream(**wait(model, 4, 3)) as stream:
        assert stream.delay == Delay(6, 60.0)
        for i in range(40):
            stream.push(frames[i : i + 1])
            # Never later than the declared delay, and never before the context is there.
            assert stream.frames_out == max(0, (i + 1 - 3) // 4 * 4)
            assert i + 1 - stream.frames_out <= 6
        assert len(stream.flush()) == 4 and stream.frames_out == 40


def test_an_utterance_may_outgrow_max_utterance_s() -> None:
    """Nothing of it is kept but the block that waits."""
    model = Model(network(DEEP))
    frames = signal(DEEP, 40, 1)
    with model.stream(max_utterance_s=0.1, **wait(model, 4, 3)) as stream:
        for _ in range(100):
            stream.push(frames)
            assert stream.waiting < 7
        assert stream.frames_out > 3900


def test_durations_are_rounded_up_to_whole_frames() -> None:
    specification = Sequential("audio", LogMel(mels=13), (Gru(5, direction="bidirectional"),), Outputs())
    model = Model(network(specification))
    with model.stream(block_ms=95, lookahead_ms=30.0) as stream:
        assert stream.delay == Delay(10 + 3 - 1, 120.0)
    with model.stream(block_ms=1) as stream:
        assert stream.delay == Delay(0, 0.0)
    with model.stream() as stream:
        assert stream.delay == model.delay == Delay(None, None)


BAD: list[tuple[dict[str, float], str]] = [
    ({"block_ms": 0}, "block_ms = 0"),
    ({"block_ms": -5}, "block_ms = -5"),
    ({"block_ms": float("nan")}, "block_ms = nan"),
    ({"block_ms": 70_000.0}, "max_utterance_s"),
    ({"block_ms": 20, "lookahead_ms": -1}, "lookahead_ms = -1"),
    ({"block_ms": 20, "lookahead_ms": float("inf")}, "lookahead_ms = inf"),
    ({"block_ms": 20, "lookahead_ms": 70_000}, "max_utterance_s"),
    ({"lookahead_ms": 20}, "needs block_ms"),
]


@pytest.mark.parametrize(("options", "says"), BAD)
def test_waits_that_make_no_sense_are_refused(options: dict[str, float], says: str) -> None:
    with pytest.raises(InputError, match=says):
        Model(network(DEEP)).stream(**options)  # type: ignore[arg-type]


def test_causal_models_refuse_to_wait() -> None:
    model = Model(network(Sequential("causal", Frames(2), (Gru(3),), Outputs())))
    with pytest.raises(InputError, match=r"'causal' is causal .* leave them out"):
        model.stream(block_ms=100)


def test_a_snapshot_of_other_options_is_refused() -> None:
    """A whole stream keeps no recurrent state, so none may come with its snapshot, and the other way round."""
    from ostinato.streaming import snapshot as snapshots

    model = Model(network(DEEP))
    for options in (wait(model, 4, 3), {}):
        stream = model.stream(**options)
        stream.push(signal(DEEP, 10, 1))
        parts = snapshots.decode(stream.snapshot())
        parts[0]["options"]["block_ms"], parts[0]["options"]["lookahead_ms"] = (None, None) if options else (4.0, 3.0)
        with pytest.raises(SnapshotError, match="recurrent state"):
            model.restore(snapshots.encode(parts))
