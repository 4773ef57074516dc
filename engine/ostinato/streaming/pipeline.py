"""What streams of a model share: the network, what runs its parts, and the states of its open streams."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from ostinato.model.network import Network
from ostinato.pipeline import front_end as make_front_end
from ostinato.pipeline.speech import SpeechEnergy
from ostinato.streaming.heads import Heads
from ostinato.streaming.packed import Runner
from ostinato.streaming.pool import StatePool

MAX_STREAMS = 4096


class Pipeline:
    """An immutable network, its front end and heads, and at most ``max_streams`` streams through it."""

    def __init__(self, network: Network, *, max_streams: int = MAX_STREAMS) -> None:
        self.network = network
        self.max_streams = max_streams
        specification = network.specification
        self.name = specification.name
        self.direction = specification.direction
        self.front_end: Any = make_front_end(specification.front_end, network.weights)
        self.heads = Heads(network, self.front_end.frame_ms, self.front_end.latency_ms)
        self.runner = Runner(network.program)
        """What computes."""
        self.states = StatePool(network.program, max_streams)
        """The recurrent states of the open streams."""

    @property
    def state_bytes(self) -> int:
        """Bytes of hidden and cell state between two frames."""
        return 4 * self.network.program.state_size

    @property
    def units_per_ms(self) -> float:
        """Input units (samples at the model's own rate, frames, tokens) in 1 ms. A token counts as 1 ms."""
        return self.network.specification.front_end.units_per_ms

    @cached_property
    def speech_energy(self) -> SpeechEnergy:
        """What a stream's end-of-speech option listens with. Raises InputError if the model does not take audio."""
        return SpeechEnergy(self.front_end, self.network.weights)
