"""What voices are asked to say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ostinato.training.recipes.digits.words import DIGITS, FILLERS, NEAR, OH, OTHER

Rng = np.random.Generator

ONSETS = "b br ch d dr f fl g gr h j k kl l m n p pl pr r s sh sk sl sp st t tr v w z".split()  # noqa: SIM905
NUCLEI = "a e i o u ai ea ee oo ou".split()  # noqa: SIM905
CODAS = ("", "", "", "", *"n l r s t k m nd st sh".split())  # noqa: SIM905


def sentences(
    rng: Rng, strings: int = 8, talk: int = 12, mixed: int = 6
) -> Iterator[tuple[list[str], tuple[int, ...]]]:
    """What one voice is asked, with the digits and other words in it: each digit alone, ``strings`` of them, other
    words, and digits among these."""
    for digit in range(10):
        yield [DIGITS[digit]], (digit,)
    for _ in range(strings):
        string = tuple(int(d) for d in rng.integers(0, 10, int(rng.integers(2, 7))))
        yield [_spoken(d, rng) for d in string], string
    for _ in range(talk):
        count = int(rng.integers(1, 9))
        yield [_other(rng) for _ in range(count)], (OTHER,) * count
    for _ in range(mixed):
        said = [int(rng.integers(10)) if rng.random() < 0.4 else OTHER for _ in range(int(rng.integers(3, 8)))]
        yield [_other(rng) if word == OTHER else DIGITS[word] for word in said], tuple(said)


def _spoken(digit: int, rng: Rng) -> str:
    return OH if digit == 0 and rng.random() < 0.15 else DIGITS[digit]


def _other(rng: Rng) -> str:
    """A common word, one that sounds like a digit, or one that there is not."""
    kind = rng.random()
    if kind < 0.55:
        return _one_of(FILLERS, rng)
    if kind < 0.8:
        return _one_of(NEAR, rng)
    return "".join(
        _one_of(ONSETS, rng) + _one_of(NUCLEI, rng) + _one_of(CODAS, rng) for _ in range(int(rng.integers(2, 4)))
    )


def _one_of(these: Sequence[str], rng: Rng) -> str:
    return these[int(rng.integers(len(these)))]
