"""Beats of music."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from ostinato.errors import BadModelFileError
from ostinato.model.decoders.decoder import Decoder
from ostinato.model.wire import Wire


@dataclass(frozen=True)
class Beats(Decoder):
    """Beats, by the bar pointer model of Krebs, Böck and Widmer (2015), "An efficient state-space model for joint
    tempo and meter tracking": a hidden Markov model whose states are a tempo, from ``min_bpm`` to ``max_bpm``, and a
    place within the beat, both in whole frames. Output ``index`` is how likely a frame has a beat.

    The place goes on frame by frame; from beat to beat the interval may change by a ratio r with a probability that
    goes by exp(-``transition_lambda`` |r - 1|). The first 1 / ``observation_lambda`` of a beat is where it is heard:
    there a frame is as likely as the output a, elsewhere as (1 - a) / (observation_lambda - 1). ``tempi``: as many
    intervals only, spread logarithmically (None: all).

    ``method`` "forward": a beat is told at once, when the likeliest state given all until now is one where beats are
    heard, and at least 60 / max_bpm s have passed since the last one, or the beginning. "viterbi": the likeliest path
    is known at the utterance's end, whole, and each beat is where the output is largest while it is heard. (Of an
    utterance of more than 2^20 / tempi frames, 2 minutes with the settings given here, beats are told in halves
    before that.) ``delay_ms`` is added to a beat's time, as with `Peaks`.
    """

    index: int = 0
    min_bpm: float = 55.0
    max_bpm: float = 215.0
    tempi: int | None = None
    transition_lambda: float = 100.0
    observation_lambda: float = 16.0
    method: Literal["forward", "viterbi"] = "forward"
    delay_ms: float = 0.0

    kind: ClassVar[str] = "beats"
    separator = " "

    def check(self) -> None:
        """Tempi in order, probabilities that are some."""
        if not 1 <= self.min_bpm < self.max_bpm <= 1000:
            raise BadModelFileError("decoder: 1 <= min_bpm < max_bpm <= 1000 must hold")
        if self.tempi is not None and self.tempi < 1:
            raise BadModelFileError(f"decoder: tempi = {self.tempi} is not at least 1")
        if not self.transition_lambda >= 0 or not self.observation_lambda > 1:
            raise BadModelFileError("decoder: transition_lambda must be at least 0 and observation_lambda above 1")

    def check_outputs(self, wire: Wire) -> None:
        """One has the index, besides."""
        super().check_outputs(wire)
        if not 0 <= self.index < wire.size:
            raise BadModelFileError(f"decoder: index = {self.index} is outside the {wire.size} outputs")
