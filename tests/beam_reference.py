"""Beam search in plain Python, over what a stream of outputs gives for each beginning; and the best of all texts."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from ostinato.streaming import Model

Text = tuple[int, ...]


@dataclass(frozen=True)
class Scored:
    """A text of tokens, its end token too if it has one, and its score."""

    tokens: Text
    score: float


def logarithms(model: Model, prompt: str, vocabulary: tuple[str, ...]) -> Callable[[Text], list[float]]:
    """The logarithmic probability of each token behind the prompt and a text: softmax in float64."""
    known: dict[Text, list[float]] = {}

    def behind(text: Text) -> list[float]:
        if text not in known:
            with model.stream(decoder="outputs") as stream:
                (*_, last) = stream.push(prompt + "".join(vocabulary[token] for token in text))
            assert last.values is not None
            values = last.values.astype(np.float64)
            with np.errstate(divide="ignore"):
                if model.heads.all["main"].probabilities:
                    logs = np.log(values) - math.log(values.sum())
                else:
                    logs = values - values.max() - math.log(np.exp(values - values.max()).sum())
            known[text] = logs.tolist()
        return known[text]

    return behind


def penalised(total: float, length: int, penalty: float) -> float:
    """Wu et al. 2016, equation 14."""
    return total / ((5 + length) / 6) ** penalty


def beam_search(
    behind: Callable[[Text], list[float]], beams: int, penalty: float, end: int | None, longest: int
) -> Scored:
    """The text that `ostinato.streaming.beam_search` describes."""
    hypotheses: list[tuple[float, Text]] = [(0.0, ())]
    best: Scored | None = None
    for length in range(1, longest + 1):
        longer = [
            (total + log, (*text, token))
            for total, text in hypotheses
            for token, log in enumerate(behind(text))
            if log > -math.inf
        ]
        longer.sort(key=lambda each: -each[0])  # stable: of equal ones the lower hypothesis, then the lower token
        for total, text in longer[:beams]:
            score = penalised(total, length, penalty)
            if text[-1] == end and (best is None or score > best.score):
                best = Scored(text, score)
        hypotheses = [each for each in longer if each[1][-1] != end][:beams]
        if not hypotheses or (best and best.score >= penalised(hypotheses[0][0], longest, penalty)):
            break
    else:
        total, text = hypotheses[0]
        return Scored(text, penalised(total, longest, penalty))
    assert best is not None
    return best


def all_texts(size: int, end: int | None, longest: int) -> Iterator[Text]:
    """Those that end, and those that are as long as they may be."""
    others = [token for token in range(size) if token != end]
    for length in range(longest):
        for text in itertools.product(others, repeat=length):
            if end is not None:
                yield (*text, end)
            if length == longest - 1:
                yield from ((*text, token) for token in others)


def best_text(
    behind: Callable[[Text], list[float]], size: int, penalty: float, end: int | None, longest: int
) -> Scored:
    """The best of all."""
    scored = []
    for text in all_texts(size, end, longest):
        total = sum(behind(text[:i])[token] for i, token in enumerate(text))
        scored.append(Scored(text, penalised(total, len(text), penalty)))
    return max(scored, key=lambda each: each.score)
