"""Models that make a text of a source: the promises of docs/architecture.md, for random models in float32 and int8,
greedy, drawn and searched for, of the whole source and with wait-k."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_models import VOCABULARY, Case, bits, encoder_decoders, network, quantized, signal

from ostinato import model as files
from ostinato.errors import DivergedError, InputError, SnapshotError, StreamError, UtteranceTooLongError
from ostinato.events import Event
from ostinato.kernels.memory import Memories, Memory
from ostinato.kernels.program import Workspace, advance
from ostinato.model import Head, Network, Node, Specification
from ostinato.model.decoders import Generation, Outputs
from ostinato.model.front_ends import Frames, LogMel, Tokens
from ostinato.model.layers import Attention, Concatenate, Dense, Embedding, Gru, OneHot
from ostinato.model.whole_sequence import whole_sequence
from ostinato.options import MAX_SOURCE
from ostinato.pipeline import front_end
from ostinato.sampling import MAX_LONGEST, Sampling
from ostinato.streaming import Model, Stream
from ostinato.streaming import advance as advance_streams
from ostinato.streaming import snapshot as snapshots

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


RESUME = """
import sys, hashlib
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from random_models import bits
from ostinato.streaming import load
for path in sorted(Path(sys.argv[1]).glob("*.safetensors")):
    stream = load(path).restore(path.with_suffix(".snapshot").read_bytes())
    events = list(stream.generate())
    print(path.stem, hashlib.sha256(repr(bits(events)).encode()).hexdigest(), len(events))
"""


def test_3_another_process_resumes_with_the_same_tokens(tmp_path: Path) -> None:
    wanted: list[str] = []

    @settings(deadline=None, max_examples=8, database=None)
    @given(task=tasks(), how=SAMPLINGS)
    def prepare(task: Task, how: Sampling) -> None:
        specification, path = task.model.network.specification, tmp_path / f"{len(wanted):03}.safetensors"
        head = replace(specification.heads[0], decoder=Generation(start=3))
        files.write(path, Network(replace(specification, heads=(head,)), task.model.network.weights))
        task = task._replace(model=Model(files.read(path)))
        stream = task.open(how)
        stream.push(task.source)
        list(islice(stream.generate(how, 100), 20))
        path.with_suffix(".snapshot").write_bytes(stream.snapshot())
        events = list(stream.generate())
        wanted.append(f"{path.stem} {hashlib.sha256(repr(bits(events)).encode()).hexdigest()} {len(events)}")

    prepare()
    command = [sys.executable, "-c", RESUME, str(tmp_path), str(Path(__file__).parent)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == wanted
    assert sum(int(line.split()[-1]) for line in wanted) > 20


# --- what goes on, and what ends ------------------------------------------------------------------------------------

LETTERS = Tokens(VOCABULARY)
ENCODER = Specification(
    "reader",
    LETTERS,
    (Node("one-hot", OneHot(), ("frames",)), Node("gru", Gru(6), ("one-hot",))),
    (Head("made", "gru", Outputs()),),
)
BODY = (
    Node("embedding", Embedding(4), ("frames",)),
    Node("gru", Gru(6), ("embedding", "encoder.made")),
    Node("attention", Attention(), ("gru", "encoder.made", "encoder.made")),
    Node("both", Concatenate(), ("gru", "attention")),
    Node("out", Dense(len(VOCABULARY)), ("both",)),
)


def model(encoder: Specification = ENCODER, **decoder: Any) -> Model:
    head = Head("main", "out", Generation(**{"start": 0, **decoder}))
    return Model(network(Specification("letters", LETTERS, BODY, (head,), encoder=encoder)))


def surely(made: Model, token: int) -> Model:
    """The model, which gives that token whatever it reads."""
    weights = {name: array.copy() for name, array in made.network.weights.items()}
    weights["out.b"][token] = 80.0
    return Model(Network(made.network.specification, weights))


BACKWARD = replace(ENCODER, nodes=(ENCODER.nodes[0], replace(ENCODER.nodes[1], layer=Gru(3, "bidirectional"))))


@pytest.mark.parametrize("encoder", [ENCODER, BACKWARD], ids=["forward", "bidirectional"])
def test_one_source_after_the_other(encoder: Specification) -> None:
    """A source ends with its text; another text may be made of it, none is pushed until a flush; then all is new."""
    how = Sampling(seed=3)
    with model(encoder, longest=9).stream() as stream:
        assert stream.push("bad") == [] and stream.delay.frames is None and stream.head.name == "main"
        first = list(stream.generate(how))
        assert [event.kind for event in first] == ["token"] * 9 + ["end-of-generation"]
        with pytest.raises(StreamError, match="source of this text has ended: flush the stream"):
            stream.push("c")
        assert bits(list(stream.generate(how))) == bits(first), "another text, of the same seed"
        assert [e.text for e in stream.generate(replace(how, seed=4))] != [e.text for e in first]
        assert stream.flush() == [] and stream.utterance == 1
        stream.push("bad")
        again = list(stream.generate(how))
        assert [(e.text, e.probability) for e in again] == [(e.text, e.probability) for e in first]
        assert {event.utterance for event in again} == {1} and stream.frames_in == stream.frames_out == 6
        tokens = stream.generate(how)
        next(tokens)
        stream.end_generation()
        assert list(tokens) == [] and not stream.generating
        stream.reset()
        stream.push("b")


def test_a_text_ends_with_its_end_token_but_never_before_its_source() -> None:
    made = surely(model(end=5), 5)
    with made.stream() as stream:
        stream.push("bad")
        (end,) = stream.generate()
        assert (end.kind, end.index, end.frame) == ("end-of-generation", 5, 0) and end.probability > 0.999
    with made.stream(wait_k=2, sampling=Sampling(temperature=0)) as stream:
        assert stream.delay.frames == 1
        counts = [len(stream.push(letter)) for letter in "badfe"]
        assert counts == [0, 1, 1, 1, 1], "one for each letter, from the second on"
        (end,) = stream.generate()
        assert (end.kind, end.index, end.frame, end.time_ms) == ("end-of-generation", 5, 4, 5.0)


def test_a_text_without_an_end_stops_at_its_bound() -> None:
    with model(longest=3).stream(wait_k=1) as stream:
        events = stream.push("badfacade")
        assert [event.kind for event in events] == ["token"] * 3
        assert stream.push("b") == [] and not stream.generating
        (end,) = stream.generate()
        assert (end.kind, end.index, end.frame, end.time_ms) == ("end-of-generation", -1, 2, 3.0)
        assert len(list(stream.generate())) == 4, "another text"
        stream.flush()
        stream.push("badfacade")
        assert len(list(stream.generate(longest=5))) == 6, "goes on to another bound"


def test_a_search_finds_what_a_language_model_alone_would() -> None:
    """Where nothing comes of the source; told at the end at the latest, behind what was drawn before."""
    weights = {name: array.copy() for name, array in model(end=5).network.weights.items()}
    for name in weights:
        if name.startswith("encoder."):
            weights[name][:] = 0
    weights["out.W"][:, 6:] = 0
    silent = Model(Network(model(end=5).network.specification, weights))
    nodes = (BODY[0], Node("gru", Gru(6), ("embedding",)), Node("out", Dense(len(VOCABULARY)), ("gru",)))
    own = {name: array for name, array in weights.items() if not name.startswith("encoder.")}
    own["out.W"] = own["out.W"][:, :6]
    alone = Model(Network(Specification("alone", LETTERS, nodes, (Head("main", "out", Generation(0, 5)),)), own))
    for beams, penalty in ((2, 0.0), (4, 0.6), (8, 2.0)):
        how = Sampling(beams=beams, length_penalty=penalty)
        with silent.stream() as stream, alone.stream() as other:
            stream.push("bad")
            found, wanted = list(stream.generate(how, 20)), list(other.generate(how, 20))
            assert [(e.kind, e.index, e.probability) for e in found] == [
                (e.kind, e.index, e.probability) for e in wanted
            ]
            assert [event.frame for event in found if event.kind == "token"] == list(range(len(found) - 1))
            assert {event.time_ms for event in found} == {3.0}
    with silent.stream() as stream:
        stream.push("bad")
        tokens = stream.generate(how)
        next(tokens, None)
        if stream.generating:
            with pytest.raises(InputError, match="a search goes on"):
                stream.generate(Sampling())
        stream.end_generation()
        assert stream.record.beam is None and len(list(stream.generate(Sampling(seed=1), 3))) >= 1


def test_with_wait_k_the_rest_is_searched_for_once_the_source_has_ended() -> None:
    """What is said before is drawn; where nothing is, all is as if the stream had waited for the end."""
    made, how = model(end=5), Sampling(beams=4, length_penalty=0.6)
    with made.stream() as whole, made.stream(wait_k=9) as late, made.stream(wait_k=2, sampling=GREEDY) as stream:
        whole.push("bad")
        late.push("bad")
        wanted = list(whole.generate(how, 20))
        assert bits(list(late.generate(how, 20))) == bits(wanted)
        early = stream.push("bad")
        fork = stream.fork()
        tail = list(stream.generate(how, 20))
        assert [event.frame for event in early + tail if event.kind == "token"] == list(range(len(early + tail) - 1))
        assert len(early) == 2 and {event.time_ms for event in tail} == {3.0}
        drawn = list(fork.generate(GREEDY, 20))

        def likelihood(events: list[Event]) -> float:
            return float(np.log([event.probability for event in events if event.index >= 0]).sum())

        assert [event.index for event in tail] != [event.index for event in drawn]
        assert likelihood(tail) / len(tail) > likelihood(drawn) / len(drawn)
    with made.stream(wait_k=2, sampling=GREEDY) as stream:
        stream.push("bad")
        list(islice(stream.generate(how, 20), 2))
        parts = snapshots.decode(stream.snapshot())
    made.restore(snapshots.encode(parts)).close()
    parts[0]["writing"]["count"] = 1
    with pytest.raises(SnapshotError, match="searched for before its source has ended"):
        made.restore(snapshots.encode(parts))


def test_there_must_be_a_source() -> None:
    with model().stream() as stream:
        with pytest.raises(InputError, match="nothing to generate from: push a source of 'letters' first"):
            stream.generate()
        with pytest.raises(InputError, match="'z'"):
            stream.push("z")
        stream.push("a")
        with pytest.raises(InputError, match="is not a whole number of tokens"):
            stream.generate(longest=0)
        assert not stream.generating and stream.push("b") == []
    heard = replace(ENCODER, front_end=LogMel(mels=20, high_hz=3800.0), nodes=(Node("gru", Gru(6), ("frames",)),))
    for encoder in (heard, replace(heard, nodes=(Node("gru", Gru(3, "bidirectional"), ("frames",)),))):
        with model(encoder).stream() as stream:
            stream.push(np.zeros(50, np.float32))
            (end,) = stream.generate()
            assert (end.kind, end.index) == ("end-of-generation", -1), "no frame was heard, so nothing is said"


def test_a_source_has_a_bound() -> None:
    with model().stream() as stream:
        stream.push("a" * MAX_SOURCE)
        with pytest.raises(UtteranceTooLongError, match=f"longer than 60 s or {MAX_SOURCE} frames"):
            stream.push("b")
        assert len(list(islice(stream.generate(), 2))) == 2
    with model().stream(max_utterance_s=0.01) as stream:
        stream.push("a" * 10)
        with pytest.raises(UtteranceTooLongError, match=r"longer than 0\.01 s"):
            stream.push("b")


def test_the_texts_end_may_be_a_token_of_the_source() -> None:
    """One that the front end adds, as if it had been pushed."""
    ended, longer = model(replace(ENCODER, front_end=replace(LETTERS, end=7))), model()
    with ended.stream() as stream, longer.stream() as other:
        stream.push("bad")
        other.push("bad" + VOCABULARY[7])
        assert bits(list(stream.generate())) == bits(list(other.generate()))


@pytest.mark.parametrize(
    ("encoder", "options", "message"),
    [
        (BACKWARD, {"wait_k": 3}, "because of its node 'gru': wait_k is for encoders that run forward"),
        (ENCODER, {"wait_k": 0}, "wait_k = 0 is not a whole number of frames from 1 to 4096"),
        (ENCODER, {"wait_k": 2.0}, "is not a whole number"),
        (ENCODER, {"sampling": Sampling()}, "open the stream with wait_k"),
        (ENCODER, {"wait_k": 2, "sampling": Sampling(beams=2)}, "them can be taken back: leave beams out here"),
        (ENCODER, {"decoder": "outputs"}, "its heads have their own decoder alone"),
        (ENCODER, {"end_of_speech_ms": 600.0}, "leave end_of_speech_ms out"),
        (ENCODER, {"block_ms": 3.0}, "is causal and answers each frame at once"),
    ],
)
def test_options_that_do_not_fit_are_refused(encoder: Specification, options: dict[str, Any], message: str) -> None:
    made = model(encoder)
    for _ in range(2):
        with pytest.raises(InputError, match=message):
            made.stream(**options)
    assert made.states.acquire() == 0, "no state was taken"


def test_what_has_no_encoder_waits_for_none() -> None:
    alone = Model(network(replace(ENCODER, heads=(Head("main", "gru", Outputs()),))))
    with pytest.raises(InputError, match="'reader' has no encoder, which wait_k is for"):
        alone.stream(wait_k=1)


def test_what_overflows_is_lost() -> None:
    """In the encoder, or in what generates: the source is lost, until a flush."""
    summing = model(replace(ENCODER, nodes=(ENCODER.nodes[0], Node("gru", Dense(6), ("one-hot",)))))
    for where in ("encoder.gru", "out"):
        weights = {key: array.copy() for key, array in summing.network.weights.items()}
        weights[f"{where}.W"][:, 1 if where == "encoder.gru" else slice(None)] = 3e38
        weights[f"{where}.b"][:] = 3e38
        broken = Model(Network(summing.network.specification, weights))
        with broken.stream() as stream:
            if where == "out":
                stream.push("ab")
                with pytest.raises(DivergedError):
                    list(stream.generate())
            else:
                with pytest.raises(DivergedError, match="frame 1"):
                    stream.push("ab")
            assert not stream.generating
            with pytest.raises(DivergedError):
                stream.generate()
            stream.flush()
            assert stream.utterance == 1 and stream.fault is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("writing", None),
        ("written", bytes(8)),
        ("memory", {"shape": [3, 5], "data": bytes(60)}),
        ("memory", {"shape": [2, 6], "data": bytes(48)}),
        ("token", len(VOCABULARY)),
        ("token", -1),
        ("count", -1),
        ("ended", False),
        ("left", -1),
        ("frames", 40),
    ],
)
def test_forged_texts_are_refused(field: str, value: Any) -> None:
    source = model()
    with source.stream() as stream:
        stream.push("bad")
        next(stream.generate())
        parts = snapshots.decode(stream.snapshot())
    if field in ("token", "count", "ended"):
        parts[0]["writing"][field] = value
    elif field == "left":
        parts[0]["generating"]["left"] = value
    elif field == "frames":
        parts[2]["frames"] = value
    else:
        parts[0][field] = value
    with pytest.raises(SnapshotError):
        source.restore(snapshots.encode(parts))
    assert source.states.acquire() == 0 and source.writer is not None and source.writer.states.acquire() == 0
