"""What streams of a model share: the network, what runs its parts, and the states of its open streams."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from ostinato.errors import InputError
from ostinato.model.network import Network
from ostinato.pipeline import front_end as make_front_end
from ostinato.pipeline.speech import SpeechEnergy
from ostinato.streaming.heads import Heads
from ostinato.streaming.packed import ProgramRunner
from ostinato.streaming.pool import StatePool
from ostinato.streaming.reframing import Reframing

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
        staging = specification.staging
        if network.stages:
            self.front_end = Reframing(self.front_end, network.stages, staging.stages[-1].rate)
        self.lookahead = staging.delay(len(staging.stages) - 1)
        """Frames of the front end that layers look ahead, besides what backward ones wait for."""
        self.heads = Heads(network, self.front_end.frame_ms, self.front_end.latency_ms)
        self.runner = ProgramRunner(network.program)
        """What computes."""
        self.states = StatePool(network.program, max_streams)
        """The recurrent states of the open streams."""

    @property
    def state_bytes(self) -> int:
        """Bytes of hidden and cell state between two frames."""
        stages = self.network.stages
        return 4 * (self.network.program.state_size + (stages.state_size if stages else 0))

    @property
    def most_at_end(self) -> int:
        """Frames that layers have held back, at most, until an utterance's end."""
        return self.network.stages.ending if self.network.stages else 0

    @property
    def units_per_ms(self) -> float:
        """Input units (samples at the model's own rate, frames, tokens) in 1 ms. A token counts as 1 ms."""
        return self.network.specification.front_end.units_per_ms

    @cached_property
    def speech_energy(self) -> SpeechEnergy:
        """What a stream's end-of-speech option listens with. Raises InputError if the model does not take audio, or
        does not keep to the frames of its front end."""
        if self.network.stages:
            raise InputError(
                f"{self.name!r} re-frames what its front end gives (strides or look-ahead), and the end of speech is "
                "found among the front end's frames: leave end_of_speech_ms out, and flush where an utterance ends"
            )
        return SpeechEnergy(self.front_end)
