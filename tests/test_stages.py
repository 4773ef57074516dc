"""Graphs whose nodes re-frame: strides, look-ahead, upsampling, joins of unequal delay; in any pieces the same
bits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st
from random_models import bits

from ostinato.cli.graph import vertices
from ostinato.errors import BadModelFileError, InputError, SnapshotError
from ostinato.model import Head, Network, Node, Sequential, Specification
from ostinato.model.activation import TANH
from ostinato.model.decoders import Ctc, Labels, Outputs
from ostinato.model.framing import Framing
from ostinato.model.front_ends import Frames, LogMel, Tokens
from ostinato.model.layers import (
    Add,
    Concatenate,
    Convolution,
    Dense,
    Embedding,
    Gru,
    Layer,
    Lstm,
    MaxPool,
    MeanPool,
    Rnn,
    Softmax,
    Stack,
    TransposedConvolution,
    Within,
)
from ostinato.model.quantization import quantize
from ostinato.model.whole_sequence import whole_sequence
from ostinato.streaming import Delay, Model, accept, advance

Floats = npt.NDArray[np.float32]
SIZE = 4


@st.composite
def graphs(draw: st.DrawFn, bidirectional: bool = False) -> Specification:
    """Two to six steps, each a re-framing, a skip past one, two branches of different delay, or a recurrence, over
    frames or within them."""
    nodes: list[Node] = []
    now, size = "frames", SIZE

    def add(layer: Layer, *inputs: str) -> str:
        nodes.append(Node(f"n{len(nodes)}", layer, inputs))
        return nodes[-1].name

    def convolution(size: int, same: bool) -> Convolution:
        taps, dilation = draw(st.integers(1, 5)), draw(st.integers(1, 3))
        span = (taps - 1) * dilation
        left = draw(st.integers(0, span))
        stride = 1 if same else draw(st.sampled_from((1, 1, 2, 3)))
        right = span - left if same else draw(st.integers(0, 4))
        return Convolution(size, taps, stride, dilation, left=left, right=right, activation=TANH)

    for _ in range(draw(st.integers(2, 5))):
        steps = ("frame", "skip", "branches", "pool", "recur", "spread", "depthwise", "within", "stack")
        what = draw(st.sampled_from(steps))
        if what == "frame":
            size = draw(st.sampled_from((3, 5)))
            now = add(convolution(size, False), now)
        elif what == "skip":
            now = add(Add(), add(convolution(size, True), now), now)
        elif what == "branches":
            branches = add(convolution(3, True), now), add(convolution(2, True), now)
            now, size = add(Concatenate(), *branches), 5
        elif what == "pool":
            kind = draw(st.sampled_from((MaxPool, MeanPool)))
            now = add(kind(3, draw(st.integers(1, 2)), left=1, right=1), now)
        elif what == "recur":
            now, size = add(draw(st.sampled_from((Gru, Lstm)))(3), now), 3
        elif what == "spread":
            taps = draw(st.integers(2, 5))
            stride = draw(st.integers(2, taps))
            start, end = draw(st.integers(0, taps - stride)), draw(st.integers(0, taps - 1))
            now, size = add(TransposedConvolution(3, taps, stride, start, end, activation=TANH), now), 3
        elif what == "depthwise":
            now = add(Convolution(size, 3, groups=size, left=draw(st.integers(0, 3)), right=0), now)
        elif what == "within":
            taps = draw(st.integers(1, 4))
            layer = draw(st.sampled_from((Convolution(1, taps, activation=TANH), Rnn(1, "backward"), MeanPool(taps))))
            now = add(Within(size, layer), now)
        elif size < 10:
            now, size = add(Stack(2, draw(st.integers(1, 2)), draw(st.integers(0, 1))), now), 2 * size
    if bidirectional:
        wide = add(Gru(3, "bidirectional"), now)
        now = add(Concatenate(), wide, now)  # a skip around it
    now = add(Dense(2), now)
    return Specification("graph", Frames(SIZE), tuple(nodes), (Head("main", now, Outputs()),))


def network(specification: Specification, seed: int = 0) -> Network:
    generator = np.random.default_rng(seed)
    return Network(
        specification,
        {
            name: (generator.normal(size=weight.shape) / np.sqrt(weight.shape[-1])).astype(np.float32)
            for name, weight in specification.weights().items()
        },
    )


def signal(length: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).normal(size=(length, SIZE)).astype(np.float32)


def pieces(frames: Floats, cuts: Sequence[int]) -> Iterator[Floats]:
    places = [0, *sorted(cut % (len(frames) + 1) for cut in cuts), len(frames)]
    for first, last in pairwise(places):
        yield frames[first:last]


def run(network: Network, frames: Floats) -> Floats:
    return whole_sequence(network, frames)[0]


def head_stage(specification: Specification) -> int:
    return specification.staging.of[specification.heads[0].node]


def outputs(events: Sequence[Any]) -> Floats:
    return np.array([event.values for event in events], np.float32)


# --- what is computed -----------------------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(graphs(), st.integers(0, 40))
def test_a_graph_computes_what_the_formulas_say(specification: Specification, length: int) -> None:
    """Also the number of frames: ONNX's of the whole utterance."""
    made = network(specification)
    found = run(made, signal(length))
    if not length:
        assert not len(found), "an utterance without frames gives none, whatever the padding"
        return
    exact = reference.run(specification, made.weights, signal(length))
    expected = specification.staging.length(np.array([length]))[head_stage(specification)]
    assert len(found) == expected[0]
    assert len(found) == len(exact)
    np.testing.assert_allclose(found, exact.reshape(found.shape), atol=1e-5, rtol=0)


@settings(max_examples=150, deadline=None)
@given(graphs(), st.integers(0, 40), st.lists(st.integers(0, 100), max_size=8), st.sets(st.integers(0, 8)))
def test_promises_1_3_and_4_however_it_is_cut_and_wherever_it_is_resumed(
    specification: Specification, length: int, cuts: list[int], resumed: set[int]
) -> None:
    model = Model(network(specification))
    frames = signal(length)
    whole = run(model.network, frames)
    stream, events = model.stream(), []
    counted = 0
    for number, piece in enumerate(pieces(frames, cuts)):
        events += stream.push(piece)
        counted += len(piece)
        expected = specification.staging.made(np.array([counted]))[
            specification.staging.of[specification.heads[0].node]
        ]
        assert len(events) == expected[0], "each frame as soon as it can be"
        if number in resumed:
            stream = model.restore(stream.snapshot())
    fork = stream.fork()
    events += stream.flush()
    assert outputs(events).tobytes() == whole.tobytes()
    again = fork.flush()
    assert bits(again) == bits(events[len(events) - len(again) :])
    assert outputs([*stream.push(frames), *stream.flush()]).tobytes() == whole.tobytes(), "the next utterance"


@settings(max_examples=60, deadline=None)
@given(graphs(), st.lists(st.integers(0, 30), min_size=2, max_size=6), st.integers(0, 1000))
def test_promise_2_company_does_not_matter(specification: Specification, lengths: list[int], seed: int) -> None:
    model, generator = Model(network(specification)), np.random.default_rng(seed)
    frames = [signal(length, number) for number, length in enumerate(lengths)]
    streams, events = [model.stream() for _ in frames], [[] for _ in frames]  # type: list[Stream], list[list[Any]]
    at = [0] * len(frames)
    while any(a < len(f) for a, f in zip(at, frames, strict=True)):
        chosen = [n for n in range(len(frames)) if at[n] < len(frames[n]) and generator.random() < 0.7]
        given_ = [frames[n][at[n] : at[n] + int(generator.integers(1, 7))] for n in chosen]
        records = [streams[n].record for n in chosen]
        assert not any(accept(records, given_))
        for n, piece, found in zip(chosen, given_, advance(records), strict=True):
            at[n] += len(piece)
            events[n] += found
    for n, stream in enumerate(streams):
        events[n] += stream.flush()
        assert outputs(events[n]).tobytes() == run(model.network, frames[n]).tobytes()


@settings(max_examples=60, deadline=None)
@given(graphs(bidirectional=True), st.integers(0, 40), st.lists(st.integers(0, 100), max_size=6), st.booleans())
def test_bidirectional_layers_stand_above_what_re_frames(
    specification: Specification, length: int, cuts: list[int], blocks: bool
) -> None:
    """The whole utterance, or in blocks; a block that holds it all gives the same bits."""
    model = Model(network(specification))
    frames, whole = signal(length), run(model.network, signal(length))
    if length:
        exact = reference.run(specification, model.network.weights, frames)
        np.testing.assert_allclose(whole, exact.reshape(whole.shape), atol=1e-5, rtol=0)
    options = {"block_ms": 10_000.0, "lookahead_ms": 500.0} if blocks else {}
    stream, events = model.stream(**options), []  # type: ignore[arg-type]
    for piece in pieces(frames, cuts):
        assert stream.push(piece) == []
        stream = model.restore(stream.snapshot())
    events = stream.flush()
    assert outputs(events).tobytes() == whole.tobytes()


def test_blocks_count_in_the_frames_of_the_layer_that_waits() -> None:
    layers = [Convolution(4, 3, stride=2), Gru(3, "bidirectional")]
    model = Model(network(Sequential("blocks", Frames(SIZE), layers, Outputs())))
    stream = model.stream(block_ms=100.0, lookahead_ms=45.0)
    wait = stream.record.wait
    assert wait is not None and (wait.block, wait.lookahead) == (5, 3), "of 20 ms each, rounded up"
    assert (stream.delay.frames, stream.delay.ms) == (7, 140.0)
    assert len(stream.push(signal(14))) == 0
    assert len(stream.push(signal(1))) == 5, "eight frames of 20 ms are there with the fifteenth of 10"


# --- what is told ---------------------------------------------------------------------------------------------------


def delay(*layers: Layer) -> tuple[Any, ...]:
    specification = Sequential("d", Frames(SIZE), layers, Outputs())
    model = Model(network(specification))
    return model.delay.frames, model.delay.ms, specification.delay_cause(specification.heads[0])


def test_the_delay_is_derived_and_its_cause_is_named() -> None:
    assert delay(Convolution(4, 3), Gru(3)) == (0, 0.0, "")
    assert delay(Convolution(4, 3, left=1, right=1), Gru(3)) == (1, 10.0, "convolution")
    assert delay(Convolution(4, 3, left=1, right=1), Convolution(4, 9, left=4, right=4)) == (5, 50.0, "convolution-2")
    assert delay(Convolution(4, 3, 2, left=1, right=1)) == (0, 0.0, ""), "frame n stands at the end of its stride"
    assert delay(Convolution(4, 2, 2), Convolution(4, 3, left=1, right=1)) == (1, 10.0, "convolution-2"), (
        "its first frame of the pair will do"
    )
    assert delay(Gru(3, "bidirectional"), Dense(2)) == (None, None, "gru")


def test_each_heads_delay_is_when_its_outputs_come() -> None:
    """All heads are read from the last stage, so one below a look-ahead has that delay too, and says so."""
    ahead = Node("ahead", Convolution(4, 6, left=0, right=5), ("below",))
    nodes = (Node("below", Gru(4), ("frames",)), ahead, Node("top", Dense(2), ("ahead",)))
    heads = (Head("top", "top", Outputs()), Head("low", "below", Outputs()))
    model = Model(network(Specification("two", Frames(SIZE, 10.0), nodes, heads)))
    for name in ("top", "low"):
        assert model.delay_of(name) == Delay(5, 50.0)
        with model.stream(head=name) as stream:
            assert stream.delay == Delay(5, 50.0)
            came = [len(stream.push(frame[None])) for frame in signal(12)]
            assert came == [0] * 5 + [1] * 7 and len(stream.flush()) == 5


def test_a_causal_window_needs_no_stage_of_its_own() -> None:
    layers = [Convolution(4, 3), MaxPool(2), Stack(3), Convolution(4, 2, dilation=7), Gru(3)]
    specification = Sequential("causal", Frames(SIZE), layers, Outputs())
    assert len(specification.staging.stages) == 1 and network(specification).stages is None


def test_time_is_that_of_the_frames_that_come_out() -> None:
    model = Model(network(Sequential("half", Frames(SIZE, 10.0), [Convolution(4, 4, stride=2)], Outputs())))
    assert [event.time_ms for event in model.stream().push(signal(8))] == [20.0, 40.0, 60.0, 80.0]
    twice = Model(network(Sequential("twice", Frames(SIZE, 10.0), [TransposedConvolution(4, 4, 2)], Outputs())))
    assert [event.time_ms for event in twice.stream().push(signal(2))] == [5.0, 10.0, 15.0, 20.0]


def test_audio_and_text_go_through_stages_too() -> None:
    head = [Dense(3), Softmax()]
    audio = Sequential(
        "audio", LogMel(mels=20), [Convolution(8, 3, 2, left=1, right=1), Gru(8), *head], Labels(("", "a", "b"))
    )
    text = Sequential(
        "text",
        Tokens(tuple("abc ")),
        [Embedding(4), Convolution(4, 3, left=1, right=1), *head],
        Labels(("x", "y", "z")),
    )
    sound = (np.random.default_rng(0).normal(size=16000) * 3000).astype(np.int16)
    for specification, data in ((audio, sound), (text, "abca bcab cabb acb")):
        model = Model(network(specification))
        with model.stream() as stream:
            whole = bits([*stream.push(data), *stream.flush()])
        assert whole
        stream, events = model.stream(), []
        for first in range(0, len(data), 7 if specification is text else 1234):
            events += stream.push(data[first : first + (7 if specification is text else 1234)])
            stream = model.restore(stream.snapshot())
        assert bits([*events, *stream.flush()]) == whole


def test_end_of_speech_is_refused_with_the_reason() -> None:
    layers = [Convolution(8, 3, 2), Dense(3), Softmax()]
    model = Model(network(Sequential("audio", LogMel(mels=20), layers, Ctc(("", "a", "b")))))
    with pytest.raises(InputError, match="re-frames what its front end gives"):
        model.stream(end_of_speech_ms=500.0)


def test_frames_that_nobody_may_write_to_are_taken_too() -> None:
    """As they come over the wire, or from a file."""
    model = Model(Network.random(Sequential("stacked", Frames(3), [Stack(2, stride=2), Dense(2)], Outputs())))
    frames = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    with model.stream() as one, model.stream() as other:
        wanted = one.push(frames)
        frames.flags.writeable = False
        given = other.push(frames)
    assert len(wanted) == 3 and all(np.array_equal(a.values, b.values) for a, b in zip(wanted, given, strict=True))


def test_long_input_at_once_is_the_same_bits() -> None:
    """More frames than are computed in one call."""
    specification = Sequential("long", Frames(SIZE), [Convolution(4, 3, 2, left=1, right=1), Gru(3)], Outputs())
    model = Model(network(specification))
    frames = signal(5001)
    with model.stream() as stream:
        assert outputs([*stream.push(frames), *stream.flush()]).tobytes() == run(model.network, frames).tobytes()


def test_int8_below_and_above_a_stride() -> None:
    layers = [Convolution(8, 3), Convolution(8, 3, 2, left=1, right=1), Gru(8), Dense(3)]
    made = network(Sequential("int8", Frames(SIZE), layers, Outputs()))
    small = quantize(made, [signal(200)])
    assert [getattr(node.layer, "precision", "") for node in small.specification.nodes] == ["int8"] * 3 + ["float32"]
    exact, found = run(made, signal(50, 1)), run(small, signal(50, 1))
    assert 0 < np.abs(found - exact).mean() < 0.05 * np.abs(exact).max()
    with Model(small).stream() as stream:
        events = [event for piece in pieces(signal(50, 1), [3, 17, 18, 40]) for event in stream.push(piece)]
        assert outputs([*events, *stream.flush()]).tobytes() == found.tobytes()


# --- what is refused ------------------------------------------------------------------------------------------------


def refused(*nodes: Node, heads: Sequence[str] = ()) -> str:
    ways = tuple(Head(f"h{n}", name, Outputs()) for n, name in enumerate(heads or [nodes[-1].name]))
    with pytest.raises(BadModelFileError) as caught:
        Specification("bad", Frames(SIZE), nodes, ways)
    return str(caught.value)


def test_a_join_of_different_rates_is_refused_with_both() -> None:
    half = Node("half", Convolution(4, 2, 2), ("frames",))
    rates = "of different rates, in frames per input frame: 'half' has 1/2, {!r} has 1: re-frame one of them first"
    told = refused(half, Node("sum", Add(), ("half", "frames")))
    assert told == "node 'sum' (add) joins nodes " + rates.format("frames")
    other = Node("other", Dense(4), ("frames",))
    assert refused(half, other, heads=["half", "other"]) == "the heads' nodes are " + rates.format("other")


def test_what_re_frames_a_backward_layer_is_refused_with_both_nodes() -> None:
    both = Node("both", Gru(4, "bidirectional"), ("frames",))
    told = refused(both, Node("dense", Dense(4), ("both",)), Node("half", Convolution(4, 2, 2), ("dense",)))
    assert "node 'half' (convolution) re-frames what backward node 'both' gives" in told
    ahead = Node("ahead", Convolution(4, 3, left=1, right=1), ("frames",))
    assert "re-frames what backward node 'both'" in refused(
        both, ahead, Node("all", Concatenate(), ("both", "ahead"))
    )


def test_reach_and_state_have_bounds() -> None:
    stride = Convolution(4, 2, 4096)
    with pytest.raises(BadModelFileError, match="looks, with what is below it, over more than 1048576 input frames"):
        Sequential("far", Frames(SIZE), [stride, Convolution(4, 300)] * 2, Outputs())
    wide = Sequential("wide", Frames(512), [Convolution(4, 4000)], Outputs())
    with pytest.raises(BadModelFileError, match=r"state would have \d{7} values"):
        _ = network(wide).program
    with pytest.raises(BadModelFileError, match=r"'transposed-convolution-2' .* makes, .* 10000 frames of an input"):
        Sequential("fast", Frames(1), [TransposedConvolution(1, 100, 100)] * 3, Outputs())


@pytest.mark.parametrize(
    ("layers", "named"),
    [
        ([MaxPool(300)], "a frame would have 309296 values, windows included, over the limit of 262144"),
        ([MaxPool(200, left=0, right=199)], r"an utterance's end, or a frame, would make \d{8} values at once"),
    ],
)
def test_windows_have_bounds_that_a_small_file_cannot_pass(layers: list[Layer], named: str) -> None:
    """What has no weights, or few, makes large rows all the same."""
    with pytest.raises(BadModelFileError, match=named):
        _ = network(Sequential("small", Frames(1024), layers, Outputs())).program


@pytest.mark.parametrize("layers", [[Softmax()] * 1000, [Convolution(2, 2, left=0, right=1)] * 200])
def test_many_nodes_are_served_and_shown(layers: list[Layer]) -> None:
    """Stages are walked once, not once for each of them: what was squared took minutes."""
    specification = Sequential("deep", Frames(SIZE), layers, Outputs())
    model = Model(network(specification))
    assert model.delay.frames == vertices(specification)[-2].ahead == (200 if model.network.stages else 0)
    with model.stream() as stream:
        assert len([*stream.push(signal(210)), *stream.flush()]) == 210


@pytest.mark.parametrize("values", [1, 200, 900])
def test_wide_rows_are_computed_a_few_at_a_time(values: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However few rows may be computed at once, also fewer than there are streams: the same bits."""
    layers = [Convolution(4, 3, 2, left=1, right=4), Gru(3), Dense(2)]
    made = network(Sequential("wide", Frames(SIZE), layers, Outputs()))
    monkeypatch.setattr("ostinato.streaming.packed.MAX_VALUES", values)
    model = Model(made)
    assert model.runner.max_rows == max(1, values // made.program.row_size) < 10
    streams, data = [model.stream() for _ in range(12)], [signal(7 + n, n) for n in range(12)]
    accept([stream.record for stream in streams], data)
    events = advance([stream.record for stream in streams])
    for stream, frames, found in zip(streams, data, events, strict=True):
        assert outputs([*found, *stream.flush()]).tobytes() == run(made, frames).tobytes()


def test_a_forged_state_is_refused() -> None:
    specification = Sequential("s", Frames(SIZE), [Convolution(4, 3, 2, left=1, right=1)], Outputs())
    front = Model(network(specification)).front_end
    state = front.start()
    front.step(state, signal(5))
    good = {"below": {}, "row": {"shape": [len(state.row)], "data": state.row.tobytes()}}
    assert front.restore(good).row.tobytes() == state.row.tobytes()
    for value in (-1.0, 0.5, float(1 << 24)):
        row = state.row.copy()
        row[0] = value
        with pytest.raises(SnapshotError):
            front.restore({"below": {}, "row": {"shape": [len(row)], "data": row.tobytes()}})
    for bad in ({}, {"below": {}}, {"below": {}, "row": {"shape": [3], "data": b"\0" * 12}}, []):
        with pytest.raises(SnapshotError):
            front.restore(bad)


@given(
    st.integers(1, 5), st.integers(1, 4), st.integers(1, 3), st.integers(0, 7), st.integers(0, 7), st.integers(0, 50)
)
def test_the_rule_of_frames_is_onnx_s(taps: int, stride: int, dilation: int, left: int, right: int, n: int) -> None:
    framing = Framing(taps, stride, dilation, left, right)
    padded = n + left + right
    windows = [at for at in range(0, padded, stride) if at + (taps - 1) * dilation < padded]
    assert framing.length(np.int64(n)) == len(windows)
    whole = [at for at in range(0, left + n, stride) if at + (taps - 1) * dilation < left + n]
    assert framing.made(np.int64(n)) == len(whole)


def test_the_drawing_in_the_documentation_is_what_happens() -> None:
    """docs/architecture.md, "Stages": one of 3 taps that looks ahead, one of 2 with a stride."""
    layers = [Convolution(4, 3, left=1, right=1), Convolution(4, 2, 2)]
    staging = Sequential("drawn", Frames(SIZE, 10.0), layers, Outputs()).staging
    counts = np.arange(9)
    made = staging.made(counts)
    assert made[1].tolist() == [0, 0, 1, 2, 3, 4, 5, 6, 7]
    assert made[2].tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4]
    assert [length[8] for length in staging.length(counts)] == [8, 8, 4]
    assert staging.stages[2].rate == Fraction(1, 2)
