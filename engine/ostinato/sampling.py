"""How a language model's next token is drawn: one record that goes from who asks for a text to the stream itself and
into its snapshots."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real

from ostinato.errors import InputError

MAX_SEED = (1 << 53) - 1
"""The largest whole number that every language's numbers hold."""
MAX_TOP_K = 65536
MAX_LONGEST = 65536
"""The most tokens of one generation."""
MAX_BEAMS = 16
"""The most hypotheses of one beam."""
MAX_LENGTH_PENALTY = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How tokens are drawn, or searched for. Refused as it is made, by an InputError, if anything is out of range.

    The random number for a token is a function of ``seed`` and of the token's place in the utterance alone: not of
    other streams, nor of how often a generation was broken off and resumed. See `ostinato.kernels.sampling`. A beam
    draws nothing: see `ostinato.streaming.beam_search`.
    """

    seed: int = 0
    """From 0 to 2^53 - 1."""
    temperature: float = 1.0
    """Logits are divided by it. 0 is greedy: always the likeliest token, the lowest of equals."""
    top_k: int | None = None
    """Draw among so many of the likeliest alone (Fan et al. 2018, "Hierarchical neural story generation")."""
    top_p: float | None = None
    """Draw among the likeliest alone, as few as have at least so much probability together, of what ``top_k`` left
    (Holtzman et al. 2020, "The curious case of neural text degeneration")."""
    beams: int = 1
    """From 2 on no token is drawn: the likeliest text is searched for, with so many hypotheses at a time."""
    length_penalty: float = 0.0
    """Of a beam: longer texts are favoured by it, as a text's logarithmic probability is divided by ((5 + tokens) /
    6) ^ length_penalty (Wu et al. 2016, "Google's neural machine translation system"). 0 is plain probability."""

    def __post_init__(self) -> None:
        for name in ("temperature", "top_p", "length_penalty"):
            value = getattr(self, name)
            if isinstance(value, Real) and not isinstance(value, bool):
                object.__setattr__(self, name, float(value))
        self._whole("seed", 0, MAX_SEED)
        if self.top_k is not None:
            self._whole("top_k", 1, MAX_TOP_K)
        if not isinstance(self.temperature, float) or not 0 <= self.temperature < math.inf:
            raise InputError(f"temperature = {self.temperature!r} is not a number from 0 (greedy) up: 1 is usual")
        if self.top_p is not None and (not isinstance(self.top_p, float) or not 0 < self.top_p <= 1):
            raise InputError(f"top_p = {self.top_p!r} is not above 0 and at most 1: 0.9 is usual, None is all")
        self._whole("beams", 1, MAX_BEAMS)
        penalty = self.length_penalty
        if not isinstance(penalty, float) or not 0 <= penalty <= MAX_LENGTH_PENALTY:
            most = f"{MAX_LENGTH_PENALTY:g}: 0.6 is usual"
            raise InputError(f"length_penalty = {penalty!r} is not a number from 0 (none) to {most}")
        if self.beams > 1:
            for name, usual in (("temperature", 1.0), ("top_k", None), ("top_p", None)):
                if getattr(self, name) != usual:
                    raise InputError(
                        f"{name} = {getattr(self, name)!r} says how tokens are drawn, and beams = {self.beams} draw "
                        f"none: leave {name} out, or beams"
                    )
        elif penalty:
            raise InputError(f"length_penalty = {penalty!r} is of a beam: ask for beams, from 2 on, or leave it out")

    def _whole(self, name: str, least: int, most: int) -> None:
        value = getattr(self, name)
        if type(value) is not int or not least <= value <= most:
            raise InputError(f"{name} = {value!r} is not a whole number from {least} to {most}")
