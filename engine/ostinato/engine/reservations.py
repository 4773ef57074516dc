"""What open streams and their beams may come to hold, of what there is: reserved beforehand, so that who has begun is
never refused for want of room."""

from __future__ import annotations

from typing import NamedTuple

from ostinato.engine.limits import Limits
from ostinato.errors import CapacityError
from ostinato.streaming import Record
from ostinato.streaming.generation import beam_bytes
from ostinato.streaming.snapshot import Generating


class Share(NamedTuple):
    """Of all room: stream states, and memory."""

    states: int = 0
    nbytes: int = 0

    @staticmethod
    def of_beam(record: Record, generating: Generating | None) -> Share:
        """What the stream's beam needs, if it generates so and has one."""
        if generating is None or generating.sampling.beams == 1:
            return NOTHING
        return Share(generating.sampling.beams, beam_bytes(record, generating))


NOTHING = Share()


class Reservations:
    """What is taken of `Limits.max_streams` and `Limits.max_buffer_bytes`."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.states = 0
        """Open streams, and hypotheses of their beams."""
        self.nbytes = 0

    def take(self, share: Share, who: str, cure: str) -> None:
        """Reserve it for ``who``. Raises CapacityError, which has the ``cure``."""
        if self.states + share.states > self._limits.max_streams:
            raise CapacityError(
                f"{who} needs {share.states} stream states, and {self._limits.max_streams - self.states} of the "
                f"server's {self._limits.max_streams} are left: try again later, or {cure}"
            )
        if self.nbytes + share.nbytes > self._limits.max_buffer_bytes:
            raise CapacityError(
                f"{who} could come to hold {share.nbytes >> 10} KiB, which is not left of the server's "
                f"{self._limits.max_buffer_bytes >> 20} MiB: try again later, or {cure}"
            )
        self.states += share.states
        self.nbytes += share.nbytes

    def give(self, share: Share) -> None:
        """It is free again."""
        self.states -= share.states
        self.nbytes -= share.nbytes
