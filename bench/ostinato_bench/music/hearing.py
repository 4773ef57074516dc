"""What models hear of a recording: where events are, when they were said, and the processor time that it took."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ostinato.model import Network
from ostinato.model.decoders import Beats
from ostinato.streaming import Model
from ostinato_bench.comparison import Wait, asked
from ostinato_bench.music.performance import F64
from ostinato_bench.music.pieces import LONGEST_S
from ostinato_bench.music.rendering import RATE, Recording

Task = Literal["onsets", "beats"]
Direction = Literal["uni", "bi"]
PIECE = RATE // 100
"""Samples that are fed at a time: 10 ms."""


@dataclass(frozen=True)
class Heard:
    """``times``: where events are; ``known``: how much of the audio had come when they were said, both in seconds.
    ``spent``: seconds of processor time."""

    times: F64
    known: F64
    spent: float


def direction_of(model: Model) -> Direction:
    """Whether it hears from one side or from both."""
    return "uni" if model.direction == "unidirectional" else "bi"


def hear(model: Model, recording: Recording, wait: Wait | None) -> Heard:
    """The recording in pieces of 10 ms, with bounded wait if one is given."""
    samples, events, known = recording.samples, [], list[float]()
    longest = 2 * LONGEST_S if direction_of(model) == "bi" else None
    with model.open(asked(wait, None, max_utterance_s=longest)) as stream:
        before = time.process_time()
        for first in range(0, len(samples), PIECE):
            more = stream.push(samples[first : first + PIECE])
            events += more
            known += [min(first + PIECE, len(samples)) / RATE] * len(more)
        more = stream.flush()
        spent = time.process_time() - before
    events += more
    known += [recording.seconds] * len(more)
    return Heard(np.array([event.time_ms for event in events]) / 1e3, np.array(known), spent)


def as_it_happens(network: Network) -> Network:
    """A network whose beats are told when they are known, not with the whole piece: what bounded wait is for."""
    specification = network.specification
    (head,) = specification.heads
    if not isinstance(head.decoder, Beats):
        return network
    decoder = dataclasses.replace(head.decoder, method="forward")
    heads = (dataclasses.replace(head, decoder=decoder),)
    return Network(dataclasses.replace(specification, heads=heads), network.weights)


def activations(model: Model, recording: Recording) -> tuple[F64, F64]:
    """The first output of each frame, and the time that the model's decoder gives it, in seconds."""
    with model.stream(decoder="outputs", max_utterance_s=2 * LONGEST_S) as stream:
        events = stream.push(recording.samples) + stream.flush()
    (head,) = model.network.specification.heads
    later = getattr(head.decoder, "delay_ms", 0.0)
    times = np.array([event.time_ms + later for event in events]) / 1e3
    return times, np.array([event.values[0] for event in events if event.values is not None], np.float64)
