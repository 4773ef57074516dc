"""Models that make a text of a source: the promises of docs/architecture.md, for random models in float32 and int8,
greedy, drawn and searched for, of the whole source and with wait-k."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st
from random_models import Case, bits, encoder_decoders, network, quantized, signal
from resumed import Resumed, generate_the_rest

from ostinato.events import Event
from ostinato.kernels.memory import Memories, Memory
from ostinato.kernels.program import Workspace, advance
from ostinato.model import Network
from ostinato.model.decoders import Generation
from ostinato.model.front_ends import Frames, Tokens
from ostinato.model.whole_sequence import whole_sequence
from ostinato.pipeline import front_end
from ostinato.sampling import MAX_LONGEST, Sampling
from ostinato.streaming import Model, Stream
from ostinato.streaming import advance as advance_streams

Floats = npt.NDArray[np.float32]
SAMPLINGS = st.sampled_from(
    (
        Sampling(temperature=0),
        Sampling(seed=1),
        Sampling(seed=2, temperature=0.7, top_k=5),
        Sampling(seed=3, temperature=1.5, top_p=0.8),
        Sampling(beams=3, length_penalty=0.7),
    )
)
LENGTHS = st.integers(1, 30)
GREEDY = Sampling(temperature=0)
CUTS = st.lists(st.integers(0, 10_000), max_size=4)


class Task(NamedTuple):
    """A model, a source, and how a stream is opened."""

    model: Model
    source: Any
    options: dict[str, Any]

    def pieces(self, cuts: Sequence[int]) -> list[Any]:
        return Case(self.model.network, self.source).pieces(cuts)

    def text(self, cuts: Sequence[int], how: Sampling, longest: int | None) -> list[Event]:
        """All tokens of the source, pushed in pieces."""
        with self.open(how) as stream:
            events = [event for piece in self.pieces(cuts) for event in stream.push(piece)]
            return events + list(stream.generate(how, longest))

    def early(self, how: Sampling) -> Sampling | None:
        """How tokens are drawn while the source goes on, if they are: what is searched for later is drawn then."""
        if "wait_k" not in self.options:
            return None
        return how if how.beams == 1 else Sampling(seed=9, temperature=0.8)

    def open(self, how: Sampling) -> Stream:
        return self.model.stream(**self.options, sampling=self.early(how))


@st.composite
def tasks(draw: st.DrawFn, direction: str | None = None) -> Task:
    """The encoder causal, with or without wait-k, or bidirectional, over the whole source or in blocks."""
    specification = draw(encoder_decoders(direction=direction))
    assert specification.encoder is not None
    encoder, seed, options = specification.encoder, draw(st.integers(0, 99)), dict[str, Any]()
    if isinstance(encoder.front_end, Frames | Tokens):
        length = draw(st.integers(1, 40))
    else:
        length = draw(st.integers(1, 5000))
    if encoder.direction == "unidirectional" and draw(st.booleans()):
        options["wait_k"] = draw(st.integers(1, 9))
    if encoder.direction == "bidirectional" and draw(st.booleans()):
        options |= {"block_ms": 4 * encoder.front_end.frame_ms, "lookahead_ms": 2 * encoder.front_end.frame_ms}
    made = network(specification, seed)
    model = Model(quantized(made, seed) if draw(st.booleans()) else made)
    return Task(model, signal(encoder, length, seed), options)


def seen_frames(task: Task) -> Floats:
    """What the front end makes of the whole source."""
    reader = task.model.reader
    front = front_end(reader.specification.front_end, reader.weights)
    state = front.start()
    return np.concatenate([front.step(state, front.check(task.source)), front.flush(state)])


def by_hand(task: Task, longest: int) -> list[tuple[int, int]]:
    """The likeliest tokens, and how many frames each has seen, by kernels alone."""
    program, frames = task.model.network.program, seen_frames(task)
    decoder = task.model.network.specification.heads[0].decoder
    assert isinstance(decoder, Generation) and task.model.network.encoder is not None
    memory, state, rows = Memory(program.memory_size), program.new_states(1), program.new_rows(1)
    memory.append(whole_sequence(task.model.network.encoder, frames)[0])
    found: list[tuple[int, int]] = []
    token = decoder.start
    while memory.count and len(found) < longest:
        seen = min(len(found) + task.options.get("wait_k", memory.count), memory.count)
        if not found:
            program.begin_behind(state[0], memory.frames[seen - 1])
        rows[:, program.input.offset] = token
        one = np.zeros(1, np.int64), np.ones(1, np.int64)
        advance(program, state, *one, rows, Workspace(), Memories([memory], [seen]))
        outputs = rows[0, program.output.slice].copy()
        if decoder.end is not None and len(found) + task.options.get("wait_k", MAX_LONGEST) <= memory.count:
            outputs[decoder.end] = 0 if task.model.heads.all["main"].probabilities else -np.inf
        token = int(outputs.argmax())
        found.append((token, seen))
        if token == decoder.end:
            break
    return found


@settings(deadline=None, max_examples=60)
@given(task=tasks("unidirectional"), cuts=CUTS, longest=LENGTHS)
def test_each_token_is_the_likeliest_behind_those_before_it(task: Task, cuts: list[int], longest: int) -> None:
    """Of what the decoder gives with its earlier tokens as input, and so much of the memory as it may see."""
    task = task._replace(options={k: v for k, v in task.options.items() if k == "wait_k"})
    decoder = task.model.network.specification.heads[0].decoder
    assert isinstance(decoder, Generation)
    longest = min(longest, decoder.longest)  # with wait-k the head's bound holds until `generate` is called
    head = replace(task.model.network.specification.heads[0], decoder=replace(decoder, longest=longest))
    weights = task.model.network.weights
    task = task._replace(model=Model(Network(replace(task.model.network.specification, heads=(head,)), weights)))
    events = task.text(cuts, Sampling(temperature=0), None)
    wanted = by_hand(task, longest)
    if not wanted:  # audio shorter than a frame
        assert [(event.kind, event.index) for event in events] == [("end-of-generation", -1)]
        return
    assert [event.index for event in events if event.index >= 0] == [token for token, _ in wanted]
    assert [event.frame for event in events if event.index >= 0] == list(range(len(wanted)))
    times = [task.model.heads.memory.decoder.time_ms(seen - 1) for _, seen in wanted]  # type: ignore[union-attr]
    assert [event.time_ms for event in events if event.index >= 0] == times
    ended = wanted[-1][0] == decoder.end
    assert [event.kind for event in events[-2 + ended :]] == ["token"] * (not ended) + ["end-of-generation"]


@settings(deadline=None, max_examples=60)
@given(task=tasks(), cuts=CUTS, others=CUTS, how=SAMPLINGS, longest=LENGTHS, pauses=st.lists(st.integers(0, 9)))
def test_1_how_the_source_was_cut_and_where_it_paused_do_not_matter(
    task: Task, cuts: list[int], others: list[int], how: Sampling, longest: int, pauses: list[int]
) -> None:
    wanted = task.text(cuts, how, longest if "wait_k" not in task.options else None)
    with task.open(how) as stream:
        events = [event for piece in task.pieces(others) for event in stream.push(piece)]
        tokens = stream.generate(how, longest if "wait_k" not in task.options else None)
        for pause in pauses:
            events += islice(tokens, pause)
            if not stream.generating:
                break
            tokens = stream.generate()
        events += tokens
    assert bits(events) == bits(wanted)


@settings(deadline=None, max_examples=20)
@given(
    task=tasks(),
    streams=st.lists(st.tuples(CUTS, SAMPLINGS, LENGTHS, st.integers(1, 5000)), min_size=1, max_size=5),
    count=st.sampled_from((2, 64)),
    max_frames=st.sampled_from((None, 1, 3)),
    data=st.data(),
)
def test_2_company_does_not_matter(
    task: Task,
    streams: list[tuple[list[int], Sampling, int, int]],
    count: int,
    max_frames: int | None,
    data: st.DataObject,
) -> None:
    """Streams of sources of any length, some of which still read while others generate."""
    streams = (streams * count)[:count]
    mine = [task._replace(source=task.source[: 1 + size % len(task.source)]) for _, _, _, size in streams]
    opened = [each.open(how) for each, (_, how, _, _) in zip(mine, streams, strict=True)]
    pieces = [each.pieces(cuts) for each, (cuts, _, _, _) in zip(mine, streams, strict=True)]
    events: list[list[Event]] = [[] for _ in streams]
    for turn in range(200):
        for stream, waiting, (_, how, longest, _) in zip(opened, pieces, streams, strict=True):
            if waiting:
                stream.record.accept(stream.record.check(waiting.pop(0)))
            elif turn < 20 and not stream.record.writing.ended:  # type: ignore[union-attr]
                stream.generate(how, None if "wait_k" in task.options else longest)
        order = data.draw(st.permutations(range(len(opened)))) if turn < 3 else list(range(len(opened)))
        for i, some in zip(order, advance_streams([opened[i].record for i in order], max_frames), strict=True):
            events[i] += some
        if turn > 20 and not any(stream.generating for stream in opened):
            break
    for each, found, (_, how, longest, _) in zip(mine, events, streams, strict=True):
        assert bits(found) == bits(each.text([], how, None if "wait_k" in task.options else longest))


@settings(deadline=None, max_examples=40)
@given(task=tasks(), cuts=CUTS, how=SAMPLINGS, at=st.integers(0, 12))
def test_3_a_snapshot_goes_on_with_the_same_tokens(task: Task, cuts: list[int], how: Sampling, at: int) -> None:
    """Taken while the source goes on, as it ends, or between two tokens; forks likewise."""
    wanted = task.text([], how, None)
    stream, events, pieces = task.open(how), list[Event](), task.pieces(cuts)
    for piece in pieces[: at + 1]:
        events += stream.push(piece)
    if at >= len(pieces):
        tokens = stream.generate(how)
        events += islice(tokens, at - len(pieces))
    restored = Model(task.model.network).restore(stream.snapshot())
    assert restored.snapshot() == stream.snapshot() and restored.generating == stream.generating
    for each in (restored, stream.fork(), stream):
        rest = [event for piece in pieces[at + 1 :] for event in each.push(piece)]
        if each.generating or at < len(pieces):
            rest += each.generate(how if at < len(pieces) else None)
            assert bits(events + rest) == bits(wanted)
        each.flush()
        each.push(task.source)
        assert each.utterance == 1


def test_3_another_process_resumes_with_the_same_tokens(tmp_path: Path) -> None:
    resumed = Resumed(tmp_path, generate_the_rest)

    @settings(deadline=None, max_examples=8, database=None)
    @given(task=tasks(), how=SAMPLINGS)
    def prepare(task: Task, how: Sampling) -> None:
        specification = task.model.network.specification
        head = replace(specification.heads[0], decoder=Generation(start=3))
        network = Network(replace(specification, heads=(head,)), task.model.network.weights)
        task = task._replace(model=resumed.model(network))
        stream = task.open(how)
        stream.push(task.source)
        list(islice(stream.generate(how, 100), 20))
        resumed.leave(task.model, stream)

    prepare()
    resumed.check()
    assert sum(resumed.events) > 20
