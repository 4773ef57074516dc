"""What errors against delay say, in plain words: from which delay on a bidirectional model in blocks is as good as
with the whole utterance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Protocol, TypeVar

from ostinato_bench.comparison import Wait
from ostinato_bench.scores import SIGNIFICANT, Score


class Tradeoff(Protocol):
    """A model, how long it waits, and how right it is then."""

    @property
    def name(self) -> str:
        """The model's."""

    @property
    def wait(self) -> Wait | None:
        """Its bounded wait, if it has one."""

    @property
    def delay_ms(self) -> float | None:
        """How late its answers are; None is the whole utterance."""

    @property
    def tokens(self) -> bool:
        """Whether a ms stands for a token."""

    @property
    def score(self) -> Score:
        """How right they are."""


R = TypeVar("R", bound=Tradeoff)


def conclusions(rows: Sequence[Tradeoff]) -> tuple[str, ...]:
    """A sentence for each model that was tried with several look-aheads and with the whole utterance."""
    return tuple(_conclusion(blocks, whole) for blocks, whole in _in_blocks(rows))


def telling(rows: Sequence[R]) -> list[R]:
    """Of each model the rows that say most: without bounded wait; with it, the first that is as good as the whole
    utterance, or else the best."""
    kept: list[Tradeoff] = [row for row in rows if row.wait is None]
    for blocks, whole in _in_blocks(rows):
        first = _first_as_good(blocks, whole)
        kept.append(blocks[first] if first < len(blocks) else _best(blocks))
    return [row for row in rows if any(row is each for each in kept)]


def _in_blocks(rows: Sequence[Tradeoff]) -> Iterator[tuple[list[Tradeoff], Tradeoff]]:
    """Of each model that has both: its rows with bounded wait by their delay, and that of the whole utterance."""
    for _, group in groupby(rows, key=lambda row: row.name):
        ways = list(group)
        whole = next((row for row in ways if row.delay_ms is None), None)
        blocks = [row for row in ways if row.wait is not None and row.delay_ms is not None]
        if whole is not None and blocks:
            yield sorted(blocks, key=lambda row: row.delay_ms or 0.0), whole


def _first_as_good(blocks: Sequence[Tradeoff], whole: Tradeoff) -> int:
    """From which row on they are as good: at that delay and at every longer one no worse, as far as can be told
    (`Score.worse_than`)."""
    first = len(blocks)
    while first and as_good(blocks[first - 1], whole):
        first -= 1
    return first


def _best(blocks: Sequence[Tradeoff]) -> Tradeoff:
    return min(blocks, key=lambda row: (row.score.error, row.delay_ms))


def as_good(row: Tradeoff, whole: Tradeoff) -> bool:
    """Whether a model in blocks makes no more errors than with the whole utterance, as far as can be told."""
    return not row.score.worse_than(whole.score)


def delay_told(row: Tradeoff) -> str:
    """For people."""
    if row.delay_ms is None:
        return "the utterance"
    return f"{row.delay_ms:.0f} {'ms' if not row.tokens else 'tokens' if row.delay_ms != 1 else 'token'}"


def _conclusion(blocks: Sequence[Tradeoff], whole: Tradeoff) -> str:
    first = _first_as_good(blocks, whole)
    against = f"with the whole utterance {whole.score.brief}"
    if first == len(blocks):
        best = _best(blocks)
        said = (
            f"{whole.name} in blocks is as good as the whole utterance at no delay that was tried: at best "
            f"{best.score.told} at {delay_told(best)}, {against}"
        )
    else:
        said = (
            f"{whole.name} in blocks is as good as the whole utterance from {delay_told(blocks[first])} on: "
            f"{blocks[first].score.told}, {against}"
        )
    return f"{said}. {_weight(whole.score)}"


def _weight(score: Score) -> str:
    """How much that is worth."""
    count, several = score.count, score.utterances
    tried = f"{count:,} {score.unit}{'s' * (count != 1)} in {several:,} {score.collection}{'s' * (several != 1)}"
    if score.interval is None:
        return f"But {tried} prove little."
    reach = f"the 95 % interval of the whole utterance's errors goes from {score.bounds_told}"
    return f"But {tried} prove little: {reach}." if score.proves_little else f"In {tried} {reach}."


def best_of(answered: Sequence[tuple[str, Score]]) -> str:
    """Which of several is the best on the same data, whether the others' difference may be chance, and what to expect
    of other data. They are called by names."""
    best = min(range(len(answered)), key=lambda i: answered[i][1].error)
    name, score = answered[best]
    several = f"{score.utterances:,} {score.collection}{'s' * (score.utterances != 1)}"
    sentences = [f"{name} has {score.told} in {several}."]
    others = [each for i, each in enumerate(answered) if i != best]
    sentences += [f"{each} has {_difference(other, score)}." for each, other in others]
    if score.utterances == 1:
        sentences.append(f"One {score.collection} cannot tell what to expect of others.")
    elif score.interval is not None:
        little = f"So few {score.unit}s say little: of" if score.proves_little else "Of"
        sentences.append(f"{little} other {score.collection}s like these, expect {score.expected} (95 %).")
    return " ".join(sentences)


def _difference(other: Score, best: Score) -> str:
    if other.error == best.error:
        return "the same"
    p = other.chance(best)
    told = "more than chance explains" if p < SIGNIFICANT else "which may be chance"
    return f"{other.told}, {told} (p = {p:.2g}, permutation test)"
