"""What a model of tunes makes: whether another program reads it, and whether bars add up: `ostinato bench tunes`.

music21 (extra `music`) reads each tune as ABC; it knows nothing of our own reader. Bars are counted by our rule
(`ostinato.notation.bars`), which music21's notes confirm: both must find the same lengths between the same bar lines.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any, NamedTuple

from ostinato.errors import InputError
from ostinato.notation import Tune, faults, read
from ostinato.notation.bars import pieces
from ostinato.sampling import Sampling
from ostinato.streaming import Model
from ostinato.training.recipes.tunes.judging import generated, share
from ostinato_bench import machine
from ostinato_bench.tables import markdown
from ostinato_bench.terminal import Table

SETTINGS = ((1.0, None), (0.8, None), (0.8, 0.9), (0.5, 0.8))
"""Temperature and top-p."""
HEADINGS = ("temperature", "top-p", "tunes", "read by music21", "all bars right", "tokens a tune", "bars a tune")
Lengths = Callable[[str], list[Fraction]]
"""Of an ABC text, the lengths between bar lines in quarter notes, as another program finds them. Raises whatever it
does where it cannot read it."""


class Judged(NamedTuple):
    """Of one text. ``alike``: whether the other program finds the lengths that ours does."""

    read: bool
    right: bool
    alike: bool
    bars: int


def lengths_by_music21() -> Lengths:
    """Raises InputError if music21 is not installed."""
    try:
        from music21 import converter
    except ImportError as error:
        raise InputError(f"music21 reads the tunes, and is not installed ({error}): pip install music21") from error

    def lengths(abc: str) -> list[Fraction]:
        found = []
        for measure in converter.parse(abc, format="abc").recurse().getElementsByClass("Measure"):
            notes = [Fraction(n.duration.quarterLength).limit_denominator(1000) for n in measure.notesAndRests]
            if length := sum(notes, Fraction(0)):
                found.append(length)
        return found

    return lengths


def run(
    model: Model, count: int, seed: int, lengths: Lengths, progress: Callable[[int, int, str], None]
) -> dict[str, Any]:
    """Let ``model`` make ``count`` tunes in each of SETTINGS, and judge them."""
    rows = []
    for number, (temperature, top_p) in enumerate(SETTINGS):
        started = time.perf_counter()
        texts = generated(model, count, Sampling(seed=seed, temperature=temperature, top_p=top_p))
        seconds = time.perf_counter() - started
        judged: list[Judged] = []
        for text in texts:
            progress(number * count + len(judged), len(SETTINGS) * count, "tunes")
            judged.append(judge(text, lengths))
        rows.append({
            "temperature": temperature, "top_p": top_p, "made": count,
            "read": share(sum(each.read for each in judged), count)._asdict(),
            "right": share(sum(each.read and each.right for each in judged), count)._asdict(),
            "unlike": sum(each.read and each.right and not each.alike for each in judged),
            "tokens": sum(len(text.split()) for text in texts) / count,
            "bars": sum(each.bars for each in judged) / count,
            "seconds": seconds,
        })  # fmt: skip
    progress(len(SETTINGS) * count, len(SETTINGS) * count, "tunes")
    return {
        "model": model.network.specification.name, "seed": seed, "rows": rows,
        "measured": datetime.now(UTC).isoformat(timespec="seconds"), "machine": machine.describe() | machine.busy(),
    }  # fmt: skip


def judge(text: str, lengths: Lengths) -> Judged:
    """Of a text that a model made."""
    try:
        tune = read(text)
        abc = tune.abc("tune")
    except InputError:
        tune, abc = None, text
    try:
        found = lengths(abc)
    except Exception:  # whatever it cannot read
        return Judged(False, False, False, 0)
    if tune is None:
        return Judged(True, False, False, len(found))
    return Judged(True, not faults(tune), found == _ours(tune), len(found))


def _ours(tune: Tune) -> list[Fraction]:
    try:
        return [piece.length * tune.unit * 4 for piece in pieces(tune.elements())]
    except InputError:
        return []


def _cells(result: dict[str, Any]) -> Sequence[Sequence[str]]:
    return [
        [
            f"{row['temperature']:g}", "–" if row["top_p"] is None else f"{row['top_p']:g}", str(row["made"]),
            _share(row["read"]), _share(row["right"]), f"{row['tokens']:.0f}", f"{row['bars']:.0f}",
        ]
        for row in result["rows"]
    ]  # fmt: skip


def table(result: dict[str, Any]) -> Table:
    """For the terminal."""
    made = Table(*HEADINGS, title=f"Tunes that {result['model']} makes", right=HEADINGS)
    for cells in _cells(result):
        made.add_row(*cells)
    return made


def made_tunes(result: dict[str, Any]) -> str:
    """In Markdown."""
    return markdown(HEADINGS, _cells(result))


def _share(of: dict[str, float]) -> str:
    return f"{100 * of['value']:.1f} % ({100 * of['low']:.1f} to {100 * of['high']:.1f})"
