"""The picture of an `overview`: a panel for each task: how long an answer waits, and what is right."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ostinato_bench.overview import Row
from ostinato_bench.style import COLOURS, FAINT, SOFT, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw(rows: Sequence[Row], path: Path) -> None:
    """Write it to ``path``, two panels beside each other."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    tasks = list(dict.fromkeys(row.task for row in rows))
    columns = min(2, len(tasks))
    lines = -(-len(tasks) // columns)
    figure = Figure(figsize=(5 * columns, 3.3 * lines + 0.3), layout="constrained", dpi=130)
    FigureCanvasAgg(figure)
    figure.suptitle("What waiting buys", size=12, weight="bold")
    panels = figure.subplots(lines, columns, squeeze=False).flat
    for axes, task in zip(panels, tasks, strict=False):
        _panel(axes, [row for row in rows if row.task == task])
    for axes in list(panels)[len(tasks) :]:
        axes.set_axis_off()
    figure.savefig(path)


def _panel(axes: Axes, rows: Sequence[Row]) -> None:
    """A bar for each way, as long as its answers wait, and behind it what is right."""
    models = list(dict.fromkeys(row.model for row in rows))
    waits = [row.waits or 0.0 for row in rows]
    longest = max([abs(each) for each in waits]) or 1.0
    for place, (row, wait) in enumerate(zip(rows, waits, strict=True)):
        colour = COLOURS[models.index(row.model) % len(COLOURS)]
        axes.barh([place], [wait], height=0.5, color=colour, alpha=0.75)
        axes.plot([0], [place], "|", color=colour, markersize=9)
        right = "" if row.right is None else f"{row.right} of {row.count} right"
        axes.annotate(
            right, (max(wait, 0.0), place), xytext=(6, 0), textcoords="offset points", va="center", color=colour,
            size=8.5, weight="bold",
        )  # fmt: skip
    axes.set_yticks(range(len(rows)), [f"{short(row.model)},\n{row.how}" for row in rows], size=7.5)
    for label, row in zip(axes.get_yticklabels(), rows, strict=True):
        label.set_color(COLOURS[models.index(row.model) % len(COLOURS)])
    least = min([0.0, *waits])
    axes.set(xlim=(1.1 * least - 0.02 * longest, 1.45 * longest), ylim=(max(4.0, len(rows)) - 0.5, -0.6))
    axes.set_title(f"{rows[0].task}, {rows[0].count} {rows[0].counted}", loc="left", size=10, weight="bold")
    axes.set_xlabel(f"how long an answer waits, {rows[0].unit}", size=8.5)
    axes.tick_params(axis="x", labelsize=8, colors=SOFT)
    axes.grid(axis="x", color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
