"""From a network that has learnt to a model that transcribes: its language model, and how much that is worth."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from ostinato.model.decoders import CtcBeam
from ostinato.model.network import Network
from ostinato.model.specification import Head
from ostinato.pipeline import decoder
from ostinato.pipeline.score import Errors, align, count
from ostinato.training.language import Ngram
from ostinato.training.recipes.spectrogram import Array
from ostinato.training.recipes.speech_cs.clips import FRONT_END, SYMBOLS

WEIGHTS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
BONUSES = (0.0, 0.5, 1.0, 1.5, 2.0)
WIDTH = 32
LAG = 20
"""Frames: a symbol is decided 600 ms after its own at the latest."""
GREEDY = "greedy"
"""The second head's name."""


@dataclass(frozen=True)
class Choice:
    """The settings of prefix beam search with the fewest errors on clips that were held out from learning, and all
    that were tried: (weight, bonus, character error rate)."""

    settings: CtcBeam
    errors: Errors
    tried: tuple[tuple[float, float, float], ...]


def choose(language: Ngram, outputs: Sequence[Array], said: Sequence[Sequence[int]]) -> Choice:
    """Try language model weights and insertion bonuses on probabilities [T, symbols] of clips."""
    tried: list[tuple[float, CtcBeam, Errors]] = []
    for weight, bonus in product(WEIGHTS, BONUSES):
        settings = CtcBeam(
            SYMBOLS, separator="", width=WIDTH, lag=LAG, number_of_contexts=len(language.scores),
            language_weight=weight, insertion_bonus=bonus,
        )  # fmt: skip
        made = decoder(settings, FRONT_END.frame_ms, 0.0, language._asdict())
        found = Errors()
        for rows, wanted in zip(outputs, said, strict=True):
            state = made.start()
            events = made.step(state, rows) + made.flush(state)
            found += count(align(wanted, [event.index for event in events]))
        tried.append((found.rate, settings, found))
    _, settings, found = min(tried, key=lambda each: each[0])
    rates = tuple((each.language_weight, each.insertion_bonus, rate) for rate, each, _ in tried)
    return Choice(settings, found, rates)


def finished(network: Network, settings: CtcBeam, language: Ngram) -> Network:
    """The model with two heads of the same outputs: prefix beam search first, then the best path."""
    (head,) = network.specification.heads
    heads = (Head(head.name, head.node, settings), Head(GREEDY, head.node, head.decoder))
    tables = {f"head.{head.name}.{name}": array for name, array in language._asdict().items()}
    return Network(dataclasses.replace(network.specification, heads=heads), dict(network.weights) | tables)
