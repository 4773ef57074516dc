"""Texts made of sources in an engine: read like any input, written a token a tick, in any company."""

from __future__ import annotations

import random
from collections import defaultdict
from typing import Any

import pytest
from engine_models import encoder_decoder
from hypothesis import given, settings
from hypothesis import strategies as st
from random_models import bits
from test_encoder_decoder import SAMPLINGS, Task, tasks
from test_engine_generation import events, until_idle

from ostinato.engine import Answer, Engine, Limits
from ostinato.errors import CapacityError, InputError, StreamError, UtteranceTooLongError
from ostinato.options import MAX_SOURCE, Options
from ostinato.sampling import Sampling

HOW = Sampling(seed=3)


def kinds(answers: list[Answer], key: Any = 0) -> list[str]:
    return [answer.kind for answer in answers if answer.key == key]


@settings(deadline=None, max_examples=25)
@given(
    task=tasks(),
    streams=st.lists(
        st.tuples(st.lists(st.integers(0, 9999), max_size=3), SAMPLINGS, st.integers(1, 5000)), min_size=1, max_size=9
    ),
    share=st.sampled_from((1, 32)),
    room=st.integers(1, 9),
    seed=st.integers(0, 99),
)
def test_texts_have_the_bits_of_a_stream_alone(
    task: Task, streams: list[tuple[list[int], Sampling, int]], share: int, room: int, seed: int
) -> None:
    """Sources of any length in any pieces, whole, in blocks and with wait-k, clients with room for a few tokens."""
    engine, chance = Engine({"m": task.model}, Limits(share=share)), random.Random(seed)
    mine = [task._replace(source=task.source[: 1 + size % len(task.source)]) for _, _, size in streams]
    todo: dict[int, list[Any]] = {}
    for key, (each, (cuts, how, _)) in enumerate(zip(mine, streams, strict=True)):
        engine.open(key, "m", Options(**task.options, sampling=each.early(how)))
        todo[key] = each.pieces(cuts)
    found: list[Answer] = []
    sequence: dict[int, int] = defaultdict(int)
    left: dict[int, int] = {}
    while todo or engine.busy or left:
        if todo and chance.random() < 0.5:
            key = chance.choice(sorted(todo))
            sequence[key] += 1
            if todo[key]:
                engine.push(key, sequence[key], todo[key].pop(0))
            else:
                del todo[key]
                engine.generate(key, sequence[key], room, streams[key][1])
                left[key] = room
        some = engine.tick()
        found += some
        for answer in some:
            if answer.kind == "tokens":
                key = answer.key  # type: ignore[assignment]
                told = sum(event.kind == "token" for event in answer.events)
                assert told <= (left[key] if streams[key][1].beams > 1 else 1)
                left[key] -= told
                if answer.events[-1].kind == "end-of-generation":
                    del left[key]
                elif not left[key]:
                    sequence[key] += 1
                    engine.more(key, sequence[key], room)
                    left[key] = room
    for key, (each, (_, how, _)) in enumerate(zip(mine, streams, strict=True)):
        assert bits(events(found, key)) == bits(each.text([], how, None))
        assert engine.expected(key) == sequence[key] + 1


@pytest.mark.parametrize(("backward", "slice_ms"), [(False, 1.5), (True, 1.5), (True, 1e-6)])
def test_one_source_after_the_other(backward: bool, slice_ms: float) -> None:
    """GENERATE is answered once the source is computed; then pushes are refused until a flush, which says nothing."""
    engine = Engine({"m": encoder_decoder(backward, longest=4)}, Limits(slice_ms=slice_ms))
    engine.open(0, "m")
    engine.push(0, 1, "bad")
    engine.generate(0, 2, 9, HOW)
    engine.mark(0, 3, b"then")
    first = until_idle(engine)
    assert kinds(first)[:3] == ["push", "generate", "mark"] and set(kinds(first)[3:]) == {"tokens"}
    assert [event.kind for event in events(first)] == ["token"] * 4 + ["end-of-generation"]
    engine.push(0, 4, "fed")
    (refused,) = until_idle(engine)
    assert isinstance(refused.payload, StreamError) and "flush the stream" in str(refused.payload)
    engine.generate(0, 5, 9, HOW)
    again = [answer for answer in until_idle(engine) if answer.events]
    assert bits([e for answer in again for e in answer.events]) == bits(events(first)), "of the same source"
    engine.flush(0, 6)
    (flushed,) = until_idle(engine)
    assert (flushed.kind, flushed.final, flushed.events, flushed.utterance) == ("flush", True, [], 0)
    assert engine.usage.early_bytes == engine.usage.run_bytes == 0
    engine.push(0, 7, "bad")
    engine.flush(0, 8)
    engine.generate(0, 9, 9)
    *_, (nothing) = until_idle(engine)
    assert isinstance(nothing.payload, InputError) and "push a source" in str(nothing.payload)
    engine.push(0, 10, "bad")
    engine.generate(0, 11, 9, HOW)
    engine.reset(0, 12)
    assert kinds(until_idle(engine))[-1] == "reset"
    engine.close(0)
    assert engine.usage.reserved_bytes == 0


def test_wait_k_answers_pushes_with_tokens() -> None:
    engine = Engine({"m": encoder_decoder(longest=20)})
    engine.open(0, "m", Options(wait_k=3, sampling=HOW))
    for sequence, text in enumerate(("ba", "d", "fe", "", "d"), 1):
        engine.push(0, sequence, text)
    found = until_idle(engine)
    assert [(answer.kind, answer.sequence, len(answer.events)) for answer in found] == [
        ("push", 1, 0), ("push", 2, 1), ("push", 3, 2), ("push", 4, 0), ("push", 5, 1),
    ]  # fmt: skip
    engine.generate(0, 6, 9)
    rest = until_idle(engine)
    assert len(events(found + rest)) == 4 + 9, "no more than there is room for"


def test_memories_are_reserved_as_streams_open() -> None:
    """What a source may come to hold is, so a stream that is open is never refused for want of memory."""
    made = encoder_decoder()
    assert made.heads.memory is not None
    bound = 4 * made.heads.memory.decoder.pitch * MAX_SOURCE
    engine = Engine({"m": made}, Limits(max_buffer_bytes=8 * bound))
    for key in range(2):
        engine.open(key, "m")
    with pytest.raises(CapacityError, match="ask for a smaller max_utterance_s"):
        for key in range(2, 9):
            engine.open(key, "m")
    small = Engine({"m": made}, Limits(max_buffer_bytes=8 * bound))
    for key in range(10):
        small.open(key, "m", Options(max_utterance_s=0.1))
    small.push(0, 1, "a" * 101)
    (refused,) = until_idle(small)
    assert isinstance(refused.payload, UtteranceTooLongError)
    reserved = Engine({"m": made})
    reserved.open(0, "m")
    for sequence in range(1, 5):
        reserved.push(0, sequence, "a" * (MAX_SOURCE // 4))
        until_idle(reserved)
    (session,) = reserved._sessions.values()
    memory = session.record.decoder_state.memory
    assert memory.count == MAX_SOURCE and bound <= memory.nbytes < reserved.usage.reserved_bytes


def test_a_lost_source_is_its_own() -> None:
    """A fault of one stream's encoder is told, and the text of another goes on."""
    engine = Engine({"m": encoder_decoder(True, longest=5)})
    for key in (0, 1):
        engine.open(key, "m")
        engine.push(key, 1, "bad")
    engine.generate(1, 2, 9, HOW)
    engine.push(0, 2, "z")
    engine.generate(0, 3, 9, HOW)
    found = until_idle(engine)
    assert kinds(found)[:3] == ["push", "error", "generate"], "what is outside the vocabulary held nothing"
    assert bits(events(found)) == bits(events(found, 1))
