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


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How tokens are drawn. Refused as it is made, by an InputError, if anything is out of range.

    The random number for a token is a function of ``seed`` and of the token's place in the utterance alone: not of
    other streams, nor of how often a generation was broken off and resumed. See `ostinato.kernels.sampling`.
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

    def __post_init__(self) -> None:
        for name in ("temperature", "top_p"):
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

    def _whole(self, name: str, least: int, most: int) -> None:
        value = getattr(self, name)
        if type(value) is not int or not least <= value <= most:
            raise InputError(f"{name} = {value!r} is not a whole number from {least} to {most}")
