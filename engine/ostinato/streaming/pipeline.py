"""What streams of a model share: the network, what runs its parts, and the states of its open streams."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from ostinato.errors import InputError
from ostinato.kernels import prepare
from ostinato.kernels.finite import every_value
from ostinato.model.network import Network
from ostinato.pipeline import front_end as make_front_end
from ostinato.pipeline.speech import SpeechEnergy
from ostinato.streaming.drawing import Ahead, Drawing
from ostinato.streaming.heads import Head, Heads
from ostinato.streaming.packed import ProgramRunner
from ostinato.streaming.pool import StatePool
from ostinato.streaming.reframing import Reframing
from ostinato.streaming.writer import Writer

MAX_STREAMS = 4096
LOOK_UP = 64
"""Each value of a memory that a token looks up takes as long as so many multiply-adds of a product over many rows: it
is read for that token alone (measured: 4,000 frames of 256 values of each of 64 streams, 0.9 ms a stream)."""
ROW = 100_000
"""And what is no product, of a row, as long as so many."""


class Pipeline:
    """An immutable network, its front end and heads, and at most ``max_streams`` streams through it.

    With an encoder, ``front_end``, ``runner`` and ``states`` are the encoder's, which reads what is pushed, and
    ``writer`` is what generates."""

    def __init__(self, network: Network, *, max_streams: int = MAX_STREAMS) -> None:
        prepare(every_value)  # what else is called, those load who call it: a model's first frame waits for no kernel
        self.network = network
        self.max_streams = max_streams
        self.name = network.specification.name
        self.direction = network.specification.direction
        self.reader = network.encoder or network
        """What input goes through."""
        specification, staging = self.reader.specification, self.reader.specification.staging
        self.front_end: Any = make_front_end(specification.front_end, self.reader.weights)
        if self.reader.stages:
            self.front_end = Reframing(self.front_end, self.reader.stages, staging.stages[-1].rate)
        self.lookahead = staging.delay(len(staging.stages) - 1)
        """Frames of the front end that layers look ahead, besides what backward ones wait for."""
        self.heads = Heads(network, self.front_end.frame_ms, self.front_end.latency_ms)
        self.runner = ProgramRunner(self.reader.program)
        """What computes."""
        self.states = StatePool(self.reader.program, max_streams)
        """The recurrent states of the open streams."""
        self._drawing: dict[Head, Drawing] = {}
        self.writer = Writer(network.program, max_streams) if network.encoder else None

    def drawing(self, head: Head) -> Drawing:
        """What lets streams of a head go on with their own texts."""
        if (found := self._drawing.get(head)) is None:
            found = self._drawing[head] = Drawing(self.runner.program, self.states.rows, head)
        return found

    def ahead(self, head: Head) -> Ahead:
        """Room for tokens that are made ahead of one such stream."""
        return Ahead(self.runner.program, head.region.size)

    @property
    def state_bytes(self) -> int:
        """Bytes of hidden and cell state between two frames."""
        stages, writer = self.reader.stages, self.writer
        values = self.reader.program.state_size + (stages.state_size if stages else 0)
        return 4 * (values + (writer.runner.program.state_size if writer else 0))

    @cached_property
    def looked_up_a_row(self) -> float:
        """About so many frames of its memory take a token as long to look up as all else that is done for it."""
        specification = self.network.specification
        work = sum(node.layer.multiply_adds(specification.inputs(node)) for node in specification.nodes)
        return (work + ROW) / (LOOK_UP * max(self.network.program.memory_size, 1))

    @property
    def most_at_end(self) -> int:
        """Frames that layers have held back, at most, until an utterance's end."""
        return self.reader.stages.ending if self.reader.stages else 0

    @property
    def units_per_ms(self) -> float:
        """Input units (samples at the model's own rate, frames, tokens) in 1 ms. A token counts as 1 ms."""
        return self.reader.specification.front_end.units_per_ms

    @cached_property
    def speech_energy(self) -> SpeechEnergy:
        """What a stream's end-of-speech option listens with. Raises InputError if the model does not take audio, or
        does not keep to the frames of its front end."""
        if self.writer:
            raise InputError(
                f"{self.name!r} generates from what it has heard: leave end_of_speech_ms out, and generate where a "
                "source ends"
            )
        if self.reader.stages:
            raise InputError(
                f"{self.name!r} re-frames what its front end gives (strides or look-ahead), and the end of speech is "
                "found among the front end's frames: leave end_of_speech_ms out, and flush where an utterance ends"
            )
        return SpeechEnergy(self.front_end)
