"""A quick check, on the machine at hand, of what tests check at length: neither cuts nor company change a bit."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from ostinato.model.front_ends import Audio, Tokens
from ostinato.streaming import advance

if TYPE_CHECKING:
    from ostinato.events import Event
    from ostinato.streaming import Model, Stream

COMPANY = 5
TOKENS = 30
"""Of a text that is made of a source."""


def promises_kept(model: Model, seed: int = 0) -> str | None:
    """None if streams of ``model`` give the same bits for the same input, whole, in random pieces, and beside others;
    else what differs. They take turns to have its heads."""
    generator = np.random.default_rng(seed)
    names = [head.name for head in model.network.specification.heads]
    heads = [names[number % len(names)] for number in range(max(COMPANY, len(names)))]
    inputs = [_input(model, generator) for _ in heads]
    whole = [_bits(_run(model, head, [data])) for head, data in zip(heads, inputs, strict=True)]
    if not all(whole):
        return "a second of input gives no output"
    for head, data, wanted in zip(heads[: len(names)], inputs, whole, strict=False):
        if _bits(_run(model, head, _pieces(data, generator))) != wanted:
            return "input in pieces gives other bits than the whole"
    if model.direction == "unidirectional":
        streams = [_opened(model, head) for head in heads]
        for stream, data in zip(streams, inputs, strict=True):
            stream.record.accept(data)
        together = advance([stream.record for stream in streams])
        for stream, events, alone in zip(streams, together, whole, strict=True):
            if _bits([*events, *_rest(stream)]) != alone:
                return f"a stream among {len(heads)} gives other bits than alone"
            stream.close()
    return None


def _input(model: Model, generator: np.random.Generator) -> Any:
    """About a second of random input."""
    settings = model.reader.specification.front_end
    if isinstance(settings, Audio):
        return generator.normal(0, 0.1, settings.sample_rate).astype(np.float32)
    if isinstance(settings, Tokens):
        if settings.in_words:
            return " ".join(generator.choice(settings.vocabulary, 100))
        letters = [
            entry for entry in settings.vocabulary if len(entry) == 1
        ]  # others stand for an end, or a beginning
        return "".join(generator.choice(letters or settings.vocabulary, 100))
    return generator.normal(size=(100, settings.frame_size)).astype(np.float32)


def _pieces(data: Any, generator: np.random.Generator) -> list[Any]:
    cuts = [0, *sorted(generator.integers(0, len(data), 9)), len(data)]
    return [data[first:last] for first, last in itertools.pairwise(cuts)]


def _run(model: Model, head: str, pieces: list[Any]) -> list[Event]:
    stream = _opened(model, head)
    events = [event for piece in pieces for event in stream.push(piece)]
    events += _rest(stream)
    stream.close()
    return events


def _opened(model: Model, head: str) -> Stream:
    return model.stream(head=head, decoder=None if model.writer else "outputs")


def _rest(stream: Stream) -> list[Event]:
    """What the end gives; of a model with an encoder the text that it makes of its source."""
    return list(stream.generate(longest=TOKENS)) if stream.record.writing else stream.flush()


def _bits(events: list[Event]) -> bytes:
    values = [event.values.tobytes() for event in events if event.values is not None]
    return b"".join([*values, *(f"{e.index} {e.probability.hex()} ".encode() for e in events if e.index >= 0)])
