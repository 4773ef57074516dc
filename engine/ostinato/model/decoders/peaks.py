"""Peaks of activations: onsets, beats, notes, words to wake."""

from dataclasses import dataclass
from typing import ClassVar

from ostinato.errors import BadModelFileError
from ostinato.model.decoders.decoder import Decoder

MAX_MS = 10_000.0
"""The longest that a peak is looked at."""


@dataclass(frozen=True)
class Peaks(Decoder):
    """Where activations peak, each output by itself (Böck, Krebs and Schedl 2012, "Evaluating the online capabilities
    of onset detection methods"). An output whose label is "" is not looked at.

    A frame is a peak of an output if its value is the largest from ``pre_max_ms`` before to ``post_max_ms`` after it,
    and at least ``threshold`` above the mean of those from ``pre_avg_ms`` before to ``post_avg_ms`` after (above 0 if
    both are 0). Values are first smoothed: summed by a Hamming window of ``smooth_ms``, whose middle counts whole (so
    sums may be above 1). A peak is dropped if the one before it that was not lies at most ``combine_ms`` back. Times
    are rounded to whole frames, and what lies outside the utterance counts as 0.

    With 0 for smoothing and for both ``post_`` times peaks are known at once; otherwise so much later. ``delay_ms``
    is added to a peak's time, which is else where its frame ends: with a front end whose windows are centred, minus
    half a window is their middle.
    """

    labels: tuple[str, ...] = ("onset",)
    threshold: float = 0.5
    smooth_ms: float = 0.0
    pre_avg_ms: float = 0.0
    post_avg_ms: float = 0.0
    pre_max_ms: float = 0.0
    post_max_ms: float = 0.0
    combine_ms: float = 30.0
    delay_ms: float = 0.0

    kind: ClassVar[str] = "peaks"
    separator = " "

    @property
    def names(self) -> tuple[str, ...]:
        """The labels."""
        return self.labels

    def check(self) -> None:
        """An output to look at, a threshold that can be reached, times within bounds."""
        if not any(self.labels):
            raise BadModelFileError("decoder: labels name no output to look at")
        if not 0 < self.threshold <= 1:
            raise BadModelFileError(f"decoder: threshold = {self.threshold:g} is not above 0 and at most 1")
        for name in ("smooth_ms", "pre_avg_ms", "post_avg_ms", "pre_max_ms", "post_max_ms", "combine_ms"):
            if not 0 <= getattr(self, name) <= MAX_MS:
                raise BadModelFileError(f"decoder: {name} = {getattr(self, name):g} is not from 0 to {MAX_MS:g}")
