"""A quick check, on the machine at hand, of what tests check at length: neither cuts nor company change a bit."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from ostinato.model.front_ends import LogMel, Tokens
from ostinato.streaming import advance

if TYPE_CHECKING:
    from ostinato.events import Event
    from ostinato.streaming import Model

COMPANY = 5


def promises_kept(model: Model, seed: int = 0) -> str | None:
    """None if streams of ``model`` give the same bits for the same input, whole, in random pieces, and beside others;
    else what differs."""
    generator = np.random.default_rng(seed)
    inputs = [_input(model, generator) for _ in range(COMPANY)]
    whole = [_bits(_run(model, [data])) for data in inputs]
    if not whole[0]:
        return "a second of input gives no output"
    if _bits(_run(model, _pieces(inputs[0], generator))) != whole[0]:
        return "input in pieces gives other bits than the whole"
    if model.direction == "unidirectional":
        streams = [model.stream(decoder="outputs") for _ in inputs]
        for stream, data in zip(streams, inputs, strict=True):
            stream.record.accept(data)
        together = advance([stream.record for stream in streams])
        for stream, events, alone in zip(streams, together, whole, strict=True):
            if _bits([*events, *stream.flush()]) != alone:
                return f"a stream among {COMPANY} gives other bits than alone"
            stream.close()
    return None


def _input(model: Model, generator: np.random.Generator) -> Any:
    """About a second of random input."""
    settings = model.network.specification.front_end
    if isinstance(settings, LogMel):
        return generator.normal(0, 0.1, settings.sample_rate).astype(np.float32)
    if isinstance(settings, Tokens):
        separator = " " if settings.unit == "word" else ""
        return separator.join(generator.choice(settings.vocabulary, 100))
    return generator.normal(size=(100, settings.frame_size)).astype(np.float32)


def _pieces(data: Any, generator: np.random.Generator) -> list[Any]:
    cuts = [0, *sorted(generator.integers(0, len(data), 9)), len(data)]
    return [data[first:last] for first, last in itertools.pairwise(cuts)]


def _run(model: Model, pieces: list[Any]) -> list[Event]:
    stream = model.stream(decoder="outputs")
    events = [event for piece in pieces for event in stream.push(piece)]
    events += stream.flush()
    stream.close()
    return events


def _bits(events: list[Event]) -> bytes:
    return b"".join(event.values.tobytes() for event in events if event.values is not None)
