"""What the kinds of decoders that give audio say of themselves."""

from __future__ import annotations

from ostinato.errors import BadModelFileError
from ostinato.model.decoders.decoder import Decoder
from ostinato.model.wire import Wire

MAX_BLOCK = 8192
"""The most samples of one event: 32 KiB, half a message."""


class AudioOutput(Decoder):
    """Settings of what makes audio of outputs, in events of equal length."""

    of_probabilities = False

    block: int | None
    """Samples of an event; the last of an utterance may have fewer. None: those of one frame."""

    @property
    def outputs(self) -> int:
        """Values that a frame of outputs must have."""
        raise NotImplementedError

    @property
    def covered(self) -> int:
        """Samples that a frame has a part in."""
        raise NotImplementedError

    @property
    def step(self) -> int:
        """Samples from one frame to the next."""
        raise NotImplementedError

    @property
    def skipped(self) -> int:
        """Samples that are left out at the start of an utterance."""
        return 0

    @property
    def block_size(self) -> int:
        """Samples of an event."""
        return min(self.step, MAX_BLOCK) if self.block is None else self.block

    def sample_rate(self, frame_ms: float) -> int:
        """Of the audio, in Hz, if frames are ``frame_ms`` apart."""
        return round(self.step * 1000 / frame_ms)

    def check_block(self) -> None:
        """Raise BadModelFileError for a length of events that cannot be."""
        if not 0 < self.block_size <= MAX_BLOCK:
            raise BadModelFileError(f"decoder: block = {self.block} is not from 1 to {MAX_BLOCK} samples")

    def check_outputs(self, wire: Wire) -> None:
        """They are as many as the settings say."""
        super().check_outputs(wire)
        if wire.size != self.outputs:
            raise BadModelFileError(f"decoder: {self.kind} takes {self.outputs} outputs, and there are {wire.size}")
