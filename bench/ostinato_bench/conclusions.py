"""What errors against delay say, in plain words: from which delay on a bidirectional model in blocks is as good as
with the whole utterance."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from ostinato.pipeline.confidence import chance
from ostinato_bench.comparison import DelayRow

MARGIN = 0.005
"""More errors per word than this are worse, however many words were tried."""
SIGNIFICANT = 0.05
"""What is less likely than this by chance alone (`confidence.chance`) is worse, however small it is."""
WIDE = 0.1
"""Where the 95 % interval is wider than this, the sentence says that so few words prove little."""


def conclusions(rows: Sequence[DelayRow]) -> tuple[str, ...]:
    """A sentence for each model that was tried with several look-aheads and with the whole utterance.

    As good means, at that delay and at every longer one: at most `MARGIN` more errors per word, and no more than
    chance explains.
    """
    found = []
    for _, group in groupby(rows, key=lambda row: row.name):
        ways = list(group)
        whole = next((row for row in ways if row.delay_ms is None), None)
        blocks = [row for row in ways if row.wait is not None and row.delay_ms is not None]
        if whole is not None and blocks:
            found.append(_conclusion(sorted(blocks, key=lambda row: row.delay_ms or 0.0), whole))
    return tuple(found)


def as_good(row: DelayRow, whole: DelayRow) -> bool:
    """Whether a model in blocks makes no more errors than with the whole utterance, as far as can be told."""
    if row.errors.rate > whole.errors.rate + MARGIN:
        return False
    return row.errors.total <= whole.errors.total or chance(row.by_recording, whole.by_recording) >= SIGNIFICANT


def _conclusion(blocks: Sequence[DelayRow], whole: DelayRow) -> str:
    first = len(blocks)
    while first and as_good(blocks[first - 1], whole):
        first -= 1
    against = f"with the whole utterance {whole.errors.total}"
    if first == len(blocks):
        best = min(blocks, key=lambda row: (row.errors.total, row.delay_ms))
        said = (
            f"{whole.name} in blocks is as good as the whole utterance at no delay that was tried: at best "
            f"{_share(best)} at {best.delay_ms:.0f} ms, {against}"
        )
    else:
        said = (
            f"{whole.name} in blocks is as good as the whole utterance from {blocks[first].delay_ms:.0f} ms on: "
            f"{_share(blocks[first])}, {against}"
        )
    return f"{said}. {_weight(whole)}"


def _share(row: DelayRow) -> str:
    return f"{row.errors.total} of {row.errors.symbols:,} words wrong"


def _weight(whole: DelayRow) -> str:
    """How much that is worth."""
    words, recordings = whole.errors.symbols, len(whole.by_recording)
    tried = f"{words:,} word{'s' * (words != 1)} in {recordings:,} recording{'s' * (recordings != 1)}"
    bounds = whole.interval
    if bounds is None:
        return f"But {tried} prove little."
    low, high = (100 * bound for bound in bounds)
    reach = f"the 95 % interval of the whole utterance's errors goes from {low:.1f} to {high:.1f} %"
    return f"But {tried} prove little: {reach}." if high - low > 100 * WIDE else f"In {tried} {reach}."
