"""The promises of docs/architecture.md, for random models of every kind: always the same bits.

1. Chunking does not matter.  2. Company does not matter.  3. State is data.  4. Streaming equals the whole sequence;
bidirectional models never fake partial results.  5. The step allocates nothing and does not hold the GIL.
"""

from __future__ import annotations

import sys
import threading
import tracemalloc
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numba
import numba.core.runtime
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from random_models import Case, bits, cases, heads, network, quantized, signal, specifications
from resumed import PUSHED, SAMPLES, Resumed, push_the_rest

from ostinato.events import Event
from ostinato.kernels import program as kernels
from ostinato.kernels.operations import Region
from ostinato.model import Network, Node, Sequential, Specification
from ostinato.model.activation import Activation
from ostinato.model.decoders import Outputs
from ostinato.model.front_ends import Audio, Frames
from ostinato.model.layers import Dense, Gru, Lstm, Rnn, Softmax
from ostinato.streaming import Model, advance
from ostinato.streaming.packed import ProgramRunner

CUTS = st.lists(st.integers(0, 1 << 20), max_size=8)
RAW = st.sampled_from(("outputs", None))


def whole(model: Model, case: Case, **options: Any) -> list[Event]:
    """The events of the whole signal, pushed at once by a stream of its own."""
    with model.stream(**case.options, **options) as stream:
        return stream.push(case.signal) + stream.flush()


@settings(deadline=None, max_examples=60)
@given(case=cases(), cuts=CUTS, raw=RAW)
def test_1_chunking_does_not_matter(case: Case, cuts: list[int], raw: Any) -> None:
    model = Model(case.network)
    with model.stream(**case.options, decoder=raw) as stream:
        events = [event for piece in case.pieces(cuts) for event in stream.push(piece)]
        events += stream.flush()
    assert bits(events) == bits(whole(model, case, decoder=raw))


@settings(deadline=None, max_examples=15)
@given(case=cases(("frames", "tokens"), "unidirectional"))
def test_1_frame_by_frame_is_a_chunking_too(case: Case) -> None:
    model = Model(case.network)
    with model.stream(**case.options) as stream:
        events = [event for i in range(case.length) for event in stream.push(case.signal[i : i + 1])]
        events += stream.flush()
    assert bits(events) == bits(whole(model, case))


@settings(deadline=None, max_examples=25)
@given(
    specification=specifications(direction="unidirectional"),
    lengths=st.lists(st.integers(0, 40), min_size=1, max_size=70),
    max_frames=st.sampled_from((None, 1, 7)),
    data=st.data(),
)
def test_2_company_does_not_matter(
    specification: Specification, lengths: list[int], max_frames: int | None, data: st.DataObject
) -> None:
    """Many streams of any heads, each cut its own way, advanced together: each has the results that it has alone."""
    made = network(specification, len(lengths))
    model = Model(quantized(made) if data.draw(st.booleans()) else made)
    scale = 40 if isinstance(specification.front_end, Audio) else 1
    signals = [signal(specification, n * scale, seed) for seed, n in enumerate(lengths)]
    ways = data.draw(st.lists(st.tuples(heads(specification), RAW), min_size=len(lengths), max_size=len(lengths)))
    streams = [model.stream(head=head, decoder=raw) for head, raw in ways]
    cuts = data.draw(st.lists(CUTS, min_size=len(signals), max_size=len(signals)))
    pieces = [Case(model.network, each).pieces(cut) for each, cut in zip(signals, cuts, strict=True)]
    events: list[list[Event]] = [[] for _ in streams]
    for turn in zip_longest(*pieces):
        for stream, piece in zip(streams, turn, strict=True):
            if piece is not None:
                stream.record.accept(stream.record.check(piece))
        order = data.draw(st.permutations(range(len(streams))))
        results = advance([streams[i].record for i in order], max_frames)
        for i, some in zip(order, results, strict=True):
            events[i] += some
    for stream, each, some, (head, raw) in zip(streams, signals, events, ways, strict=True):
        some += stream.flush()
        assert bits(some) == bits(whole(model, Case(model.network, each, head=head), decoder=raw))


@settings(deadline=None, max_examples=20)
@given(case=cases(direction="bidirectional"), max_rows=st.integers(1, 50), raw=RAW)
def test_2_slices_do_not_matter(case: Case, max_rows: int, raw: Any) -> None:
    model = Model(case.network)
    with model.stream(**case.options, decoder=raw) as stream:
        stream.record.accept(stream.record.check(case.signal))
        stream.record.end_utterance()
        run = stream.record.next_finished()
        assert run is not None
        while not run.step(max_rows):
            pass
    assert bits(run.events) == bits(whole(model, case, decoder=raw))


@settings(deadline=None, max_examples=60)
@given(case=cases(), cuts=CUTS, at=st.integers(0, 8), raw=RAW)
def test_3_a_snapshot_goes_on_with_the_same_bits(case: Case, cuts: list[int], at: int, raw: Any) -> None:
    """A stream restored between any two pushes, and the one it was taken from, both go on as if nothing had been."""
    model = Model(case.network)
    pieces = case.pieces(cuts)
    at %= len(pieces)
    stream = model.stream(**case.options, decoder=raw)
    before = [event for piece in pieces[:at] for event in stream.push(piece)]
    restored = Model(case.network).restore(stream.snapshot())
    assert restored.snapshot() == stream.snapshot()
    wanted = bits(whole(model, case, decoder=raw))
    for each in (restored, stream):
        after = [event for piece in pieces[at:] for event in each.push(piece)] + each.flush()
        assert bits(before + after) == wanted
    assert restored.snapshot() == stream.snapshot()


def test_3_a_state_that_has_overflowed_is_kept_too() -> None:
    """As long as the outputs are finite: the stream goes on, and so does its snapshot."""
    layers = (Rnn(2, activation=Activation("relu")), Rnn(2))
    specification = Sequential("growing", Frames(1), layers, Outputs())
    grown = {name: np.full_like(array, 9) for name, array in Network.random(specification).weights.items()}
    model = Model(Network(specification, grown))
    stream = model.stream()
    last = stream.push(np.ones((80, 1), np.float32))[-1].values
    assert last is not None and np.isfinite(last).all() and not np.isfinite(stream.record.state).all()
    again = model.restore(stream.snapshot())
    frame = np.ones((1, 1), np.float32)
    assert bits(again.push(frame)) == bits(stream.push(frame))


@settings(deadline=None, max_examples=20)
@given(case=cases(), cuts=CUTS, other=st.integers(0, 99))
def test_3_a_fork_and_its_origin_do_not_disturb_each_other(case: Case, cuts: list[int], other: int) -> None:
    model = Model(case.network)
    first, *rest = case.pieces(cuts)
    what_if = signal(case.network.specification, 400, other)
    with model.stream(**case.options) as stream:
        events = stream.push(first)
        with stream.fork() as fork:
            other_events = fork.push(what_if)
            for piece in rest:
                events += stream.push(piece)
            other_events += fork.flush()
        events += stream.flush()
    assert bits(events) == bits(whole(model, case))
    with model.stream(**case.options) as again:
        start = again.push(first)
        assert bits(again.push(what_if) + again.flush()) == bits(other_events)
        assert len(start) <= len(events)


@settings(deadline=None, max_examples=20)
@given(case=cases(), cuts=CUTS)
def test_3_after_reset_and_after_flush_a_stream_is_as_new(case: Case, cuts: list[int]) -> None:
    model = Model(case.network)
    wanted = whole(model, case)
    with model.stream(**case.options) as stream:
        stream.push(case.pieces(cuts)[0])
        stream.reset()
        after_reset = stream.push(case.signal) + stream.flush()
        after_flush = stream.push(case.signal) + stream.flush()
    for number, events in enumerate((after_reset, after_flush), 1):
        assert all(event.utterance == number for event in events)
        assert without_place(events) == without_place(wanted)


def test_3_without_reset_results_differ() -> None:
    """What the test above would not notice if states were never kept."""
    specification = Sequential("memory", Frames(2), (Gru(3),), Outputs())
    model = Model(network(specification))
    frames = signal(specification, 5, 1)
    with model.stream() as stream:
        assert without_place(stream.push(frames)) != without_place(stream.push(frames))


def test_3_another_process_resumes_with_the_same_bits(tmp_path: Path) -> None:
    resumed = Resumed(tmp_path, push_the_rest)

    @settings(deadline=None, max_examples=16, database=None)
    @given(specification=specifications())
    def prepare(specification: Specification) -> None:
        model = resumed.model(network(specification, len(resumed.events)))
        stream = model.stream(head=specification.heads[-1].name, decoder="outputs")
        stream.push(signal(specification, SAMPLES, 7)[:PUSHED])
        resumed.leave(model, stream)

    prepare()
    resumed.check()
    assert sum(resumed.events) > 1000


@settings(deadline=None, max_examples=25)
@given(case=cases(direction="unidirectional"), cuts=CUTS)
def test_4_causal_models_answer_each_frame_at_once_and_never_look_ahead(case: Case, cuts: list[int]) -> None:
    model = Model(case.network)
    wanted = bits(whole(model, case, decoder="outputs"))
    with model.stream(**case.options, decoder="outputs") as stream:
        assert (stream.delay.frames, stream.delay.ms) == (0, 0.0)
        first = case.pieces(cuts)[0]
        events = stream.push(first)
        assert stream.waiting == 0 and len(events) == stream.frames_in == stream.frames_out
        # Whatever comes next changes nothing of what was said; the front end's own state came from the past only.
        assert bits(events) == wanted[: len(events)]


@settings(deadline=None, max_examples=25)
@given(case=cases(direction="bidirectional"), cuts=CUTS, data=st.data())
def test_4_a_head_below_what_looks_back_answers_at_once(case: Case, cuts: list[int], data: st.DataObject) -> None:
    """Alone and beside streams that wait, with the bits of a model that has nothing but this head."""
    specification = case.network.specification
    causal = [head for head in specification.heads if specification.direction_of(head) == "unidirectional"]
    assume(causal)
    head, model = data.draw(st.sampled_from(causal)), Model(case.network)
    assert model.delay_of(head.name).frames == model.heads.all[head.name].decoder.delay and model.delay.frames is None
    options: dict[str, Any] = {"sample_rate": case.sample_rate, "decoder": "outputs"}
    with model.stream(head=head.name, **options) as stream, model.stream(**options) as other:
        found: list[list[Event]] = [[], []]
        for piece in case.pieces(cuts):
            for each in (stream.record, other.record):
                each.accept(each.check(piece))
            for events, some in zip(found, advance([stream.record, other.record]), strict=True):
                events += some
            assert stream.waiting == 0 and len(found[0]) == stream.frames_in and not found[1]
        for events, one in zip(found, (stream, other), strict=True):
            events += one.flush()
    assert bits(found[0]) == bits(whole(model, replace(case, head=head.name), decoder="outputs"))
    assert bits(found[1]) == bits(whole(model, replace(case, head=None), decoder="outputs"))
    read, nodes = {head.node}, list[Node]()
    for node in reversed(specification.nodes):
        if node.name in read:
            nodes.insert(0, node)
            read.update(node.inputs)
    alone = replace(specification, nodes=tuple(nodes), heads=(head,))
    if len(alone.staging.stages) < len(specification.staging.stages):
        return  # its frames would not have to wait for those of the others
    weights = {name: array for name, array in case.network.weights.items() if name in alone.weights()}
    assert bits(found[0]) == bits(whole(Model(Network(alone, weights)), replace(case, head=None), decoder="outputs"))


@settings(deadline=None, max_examples=25)
@given(case=cases(direction="bidirectional"), cuts=CUTS)
def test_4_bidirectional_models_declare_their_delay_and_say_nothing_before_the_end(
    case: Case, cuts: list[int]
) -> None:
    model = Model(case.network)
    assert (model.delay.frames, model.delay.ms) == (None, None)
    with model.stream(**case.options) as stream:
        for piece in case.pieces(cuts):
            assert stream.push(piece) == [] and stream.frames_out == 0
        assert bits(stream.flush()) == bits(whole(model, case))


def test_4_bidirectional_models_look_back_from_the_end() -> None:
    specification = Sequential("both", Frames(2), (Lstm(3, direction="bidirectional"),), Outputs())
    model = Model(network(specification))
    frames = signal(specification, 20, 1)
    changed = frames.copy()
    changed[-1] += 1
    first, other = (whole(model, Case(model.network, each)) for each in (frames, changed))
    assert first[0].values is not None and other[0].values is not None
    assert first[0].values[:3].tobytes() == other[0].values[:3].tobytes()
    assert first[0].values[3:].tobytes() != other[0].values[3:].tobytes()


BUSY = Sequential("busy", Frames(64), (Gru(256), Lstm(256), Dense(9), Softmax()), Outputs())


def test_5_the_step_allocates_nothing() -> None:
    """Numba's runtime counts what compiled code allocates; `bind` leaves nothing but the step to be counted."""
    runtime: Any = numba.core.runtime
    program = Network.random(BUSY).program
    slots, sizes = np.arange(8), np.array([8, 8, 8, 5, 1], np.int64)
    step = kernels.bind(program, program.new_states(8), slots, sizes, program.new_rows(30))
    enabled = runtime._nrt_python.memsys_stats_enabled()
    runtime._nrt_python.memsys_enable_stats()
    try:
        numba_allocates(3)  # compiles
        started = runtime.rtsys.get_allocation_stats()
        numba_allocates(3)
        before = runtime.rtsys.get_allocation_stats()
        assert before.alloc > started.alloc  # the counter counts
        for _ in range(5):
            step()
        assert runtime.rtsys.get_allocation_stats() == before
    finally:
        if not enabled:
            runtime._nrt_python.memsys_disable_stats()


@pytest.mark.parametrize("counts", [[3] * 40, [4] * 20 + [1] * 20])
def test_5_what_is_served_allocates_what_it_returns(counts: list[int]) -> None:
    """The way that a server's streams go, `ProgramRunner.run`: beside the outputs some numbers of each frame."""
    network = Network.random(BUSY)
    runner, states = ProgramRunner(network.program), network.program.new_states(64)
    slots, frames = np.arange(40), np.zeros((sum(counts), 64), np.float32)
    region = Region(0, 64)

    def run() -> int:
        (outputs,) = runner.run(states, slots, frames, counts, [region])
        return outputs.nbytes

    for _ in range(3):
        run()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        returned = run()
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert returned == 4 * 64 * sum(counts)
    assert returned <= peak - before <= returned + 100 * sum(counts) + 2048
    assert after - before < 1024


@numba.njit
def numba_allocates(size: int) -> Any:
    return np.zeros(size)


def test_5_the_gil_is_free_while_computing() -> None:
    program = Network.random(BUSY).program
    state, rows, workspace = program.new_states(64), program.new_rows(64 * 200), kernels.Workspace()
    inside = threading.Event()
    done = threading.Event()

    def compute() -> None:
        inside.set()
        kernels.advance(program, state, np.arange(64), np.full(200, 64), rows, workspace)
        done.set()

    interval = sys.getswitchinterval()
    thread = threading.Thread(target=compute)
    try:
        sys.setswitchinterval(60)  # from here on, this thread runs only when the other lets go of the GIL by itself
        thread.start()
        inside.wait()
        progress = 0
        while not done.is_set() and progress < 100:
            progress += 1
            done.wait(1e-4)
    finally:
        sys.setswitchinterval(interval)
        thread.join()
    assert progress > 10


def without_place(events: list[Event]) -> list[Any]:
    """The events' bits but for which utterance they belong to."""
    return [each[:6] + each[8:] for each in bits(events)]
