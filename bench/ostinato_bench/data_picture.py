"""The picture of a comparison on a user's own data: how right against how late, and what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from ostinato_bench.conclusions import delay_told, telling
from ostinato_bench.data_comparison import DataComparison, WayRow
from ostinato_bench.style import COLOURS, FAINT, INK, SOFT, short
from ostinato_bench.waiting_panel import waiting

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LINE = 145
"""Characters of a line of text as wide as the picture."""


def draw(comparison: DataComparison, path: Path) -> None:
    """Write the picture to ``path``, 1600 pixels wide."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    style: dict[Any, Any] = {
        "font.size": 9, "text.color": INK, "axes.edgecolor": SOFT, "axes.labelcolor": SOFT, "xtick.color": SOFT,
        "ytick.color": SOFT, "axes.spines.top": False, "axes.spines.right": False, "text.parse_math": False,
    }  # fmt: skip
    named = telling(comparison.rows)
    colours = {(row.name, row.wait): COLOURS[index % len(COLOURS)] for index, row in enumerate(named)}
    with plt.rc_context(style):
        closing = [line for said in comparison.conclusions for line in wrap(said, LINE)]
        about = wrap(_about(comparison), LINE)
        costs = 0.8 + 0.34 * len(named)
        swept = len({row.delay_ms for row in comparison.rows}) > 1
        head, errors, foot = 0.85 + 0.15 * len(about), 3.2 if swept else costs, 0.25 + 0.17 * len(closing)
        height = head + errors + costs + foot
        figure = plt.figure(figsize=(10, height), dpi=160)
        figure.suptitle("How right, how late?", x=0.075, y=1 - 0.1 / height, ha="left", size=15, weight="bold")
        figure.text(0.075, 1 - 0.42 / height, "\n".join(about), va="top", size=8.5, color=SOFT)
        across = {"left": 0.075, "right": 0.985}
        shown = [colours[row.name, row.wait] for row in named]
        space = {"top": 1 - head / height, "bottom": (foot + costs + (0.55 if swept else 0.45)) / height}
        beside = {"left": 0.28, "right": 0.985}
        top = figure.add_subplot(figure.add_gridspec(1, 1, **space, **(across if swept else beside))[0])
        if swept:
            _errors(top, comparison, colours)
        else:
            _error_bars(top, named, shown)
        space = {"top": (foot + costs - 0.35) / height, "bottom": (foot + 0.45) / height}
        _costs(figure.add_subplot(figure.add_gridspec(1, 1, **space, **beside)[0]), named, shown)
        figure.text(0.075, 0.1 / height, "\n".join(closing), size=8.5, color=INK, va="bottom")
        figure.savefig(path)
        plt.close(figure)


def _about(comparison: DataComparison) -> str:
    """What was answered, where and when."""
    score, machine, date = comparison.score, comparison.machine, datetime.fromisoformat(comparison.date)
    pace = "" if comparison.frame_ms is None else f" every {comparison.frame_ms:g} ms"
    much = f"{score.count:,} {score.unit}s{pace} in {score.utterances:,} utterance{'s' * (score.utterances != 1)}"
    where = f"{machine.get('processor', 'unknown processor')}, {machine.get('cores')} cores"
    name = short(comparison.name.encode("utf-8", "replace").decode(), 60)
    return f"{name}: {much}; {where}; {date.day} {date:%B %Y}"


def _errors(axes: Axes, comparison: DataComparison, colours: dict[Any, str]) -> None:
    """The curves, with the 95 % intervals of the rows that are named."""
    waiting(axes, comparison.rows, colours, least=0.0)
    longest = max([row.delay_ms for row in comparison.rows if row.delay_ms is not None], default=0.0) or 100.0
    highest = 1.15 * axes.get_ylim()[1]  # room for names
    for row in comparison.rows:
        if (colour := colours.get((row.name, row.wait))) and row.score.interval is not None:
            x = 1.12 * longest if row.delay_ms is None else row.delay_ms
            bounds = [row.score.error_shown(bound) for bound in row.score.interval]
            axes.plot([x, x], bounds, color=colour, linewidth=1.2, alpha=0.5, clip_on=False)
            highest = max(highest, 1.02 * bounds[1])
    axes.set_ylim(0, highest)
    what = comparison.score.axis.removesuffix(", %")
    axes.set_title(f"What waiting buys: {what}", loc="left", size=10, weight="bold")
    notes = ["bars: 95 % intervals"] * (comparison.score.interval is not None)
    notes += ["each small dot another look-ahead"] * any(row.wait is not None for row in comparison.rows)
    axes.set_title("; ".join(notes), loc="right", size=8.5, color=SOFT)


def _error_bars(axes: Axes, rows: Sequence[WayRow], colours: Sequence[str]) -> None:
    """The errors of models that all wait equally long."""
    score = rows[0].score
    texts = [row.score.error_told(row.score.error) for row in rows]
    if score.interval is not None:
        texts = [f"{text}   (95 %: {row.score.bounds_told})" for text, row in zip(texts, rows, strict=True)]
    _bars(axes, rows, colours, [row.score.error_shown(row.score.error) for row in rows], texts)
    axes.set_title(_capital(score.axis.removesuffix(", %")), loc="left", size=10, weight="bold")
    axes.set_xlabel(score.axis, size=8.5, labelpad=1)


def _costs(axes: Axes, rows: Sequence[WayRow], colours: Sequence[str]) -> None:
    """Computing for each frame."""
    texts = [f"{row.timing.frame_us:.3g} µs" for row in rows]
    if rows[0].real_time_factor is not None:
        texts = [f"{text}   {row.real_time_factor:.2g} of real time" for text, row in zip(texts, rows, strict=True)]
    _bars(axes, rows, colours, [row.timing.frame_us for row in rows], texts)
    unit = "frame" if rows[0].real_time_factor is not None else "token"
    axes.set_title(f"Computing for each {unit}", loc="left", size=10, weight="bold")
    axes.set_xlabel("µs, fed one at a time, on one core", size=8.5, labelpad=1)


def _bars(
    axes: Axes, rows: Sequence[WayRow], colours: Sequence[str], values: Sequence[float], texts: Sequence[str]
) -> None:
    """A bar for each way, named on the left, its value behind it."""
    for index, (value, text, colour) in enumerate(zip(values, texts, colours, strict=True)):
        y = len(rows) - 1 - index
        axes.barh([y], [value], height=0.55, color=colour, alpha=0.75)
        axes.annotate(
            text, (value, y), xytext=(5, 0), textcoords="offset points", va="center", color=colour, size=8.5
        )
    names = [f"{short(row.name, 18)}{' in blocks' if row.wait else ''}, {delay_told(row)}" for row in rows]
    axes.set_yticks(range(len(rows)), [name.replace("the utterance", "whole") for name in reversed(names)])
    for label, colour in zip(axes.get_yticklabels(), reversed(colours), strict=True):
        label.set_color(colour)
    axes.set(ylim=(-0.6, len(rows) - 0.4), xlim=(0, 1.45 * max(values) or 1.0))
    axes.grid(axis="x", color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
