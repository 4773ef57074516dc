"""What waiting buys, as a panel of a picture: errors of models against how late their answers are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from ostinato_bench.comparison import Wait
from ostinato_bench.conclusions import Tradeoff
from ostinato_bench.style import FAINT, SOFT, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def waiting(
    axes: Axes, rows: Sequence[Tradeoff], colours: Mapping[tuple[str, Wait | None], str], least: float
) -> None:
    """Each bidirectional model's curve over its look-aheads, which ends where it waits for the whole utterance. The
    rows that have colours are named. The axis goes up to ``least`` at least, as errors are drawn."""
    longest = max([row.delay_ms for row in rows if row.delay_ms is not None], default=0.0) or 100.0
    whole = 1.12 * longest
    score = rows[0].score
    labels: list[tuple[float, float, Tradeoff, str]] = []
    highest = least
    for name, group in groupby(rows, key=lambda row: row.name):
        points = [
            (whole if row.delay_ms is None else row.delay_ms, row.score.error_shown(row.score.error), row)
            for row in group
        ]
        highest = max(highest, *(y for _, y, _ in points))
        curve = [(x, y) for x, y, row in points if row.wait is not None]
        if curve:
            axes.plot(*zip(*curve, strict=True), "-", color=SOFT, linewidth=1.2, zorder=2)
            (end, last, _) = points[-1]
            axes.plot([curve[-1][0], end], [curve[-1][1], last], ":", color=SOFT, linewidth=1.2, zorder=2)
        for x, y, row in points:
            colour = colours.get((name, row.wait))
            axes.plot(x, y, "o", color=colour or SOFT, markersize=7 if colour else 3.5, zorder=3, clip_on=False)
            if colour:
                labels.append((x, y, row, colour))
    axes.set(xlim=(-0.02 * longest, 1.2 * longest), ylim=(0, 1.15 * highest or 1.0))
    _label(axes, labels)
    axes.axvline((longest + whole) / 2, color=FAINT, linewidth=0.8, linestyle=(0, (3, 3)))
    ticks = [tick for tick in axes.get_xticks() if 0 <= tick <= longest]
    axes.set_xticks([*ticks, whole], [*(f"{tick:g}" for tick in ticks), "whole\nutterance"])
    axes.grid(axis="y", color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_xlabel("delay, tokens" if rows[0].tokens else "delay, ms", size=8.5, labelpad=-6)
    axes.set_ylabel(score.axis, size=8.5, labelpad=2)


def _label(axes: Axes, labels: Sequence[tuple[float, float, Tradeoff, str]]) -> None:
    """Name the points; a label that would lie over another goes above it."""
    left, right = axes.get_xlim()
    height = 0.25 * axes.get_ylim()[1]
    boxes: list[tuple[float, float, float]] = []
    for x, y, row, colour in sorted(labels, key=lambda label: label[:2]):
        name = short(f"{row.name} in blocks" if row.wait else row.name, 30)
        width, ends = 0.0095 * (right - left) * len(name), row.delay_ms is None
        start = x - width if ends else x
        at = y
        for low, until, bottom in sorted(boxes, key=lambda box: box[2]):
            if low < start + width and start < until and bottom - height < at < bottom + height:
                at = bottom + height
        boxes.append((start, start + width, at))
        axes.annotate(
            f"{name}\n{row.score.error_told(row.score.error)}", (x, at), xytext=(-6 if ends else 7, 7),
            textcoords="offset points", color=colour, size=8.5, weight="bold", ha="right" if ends else "left",
            va="bottom",
        )  # fmt: skip
