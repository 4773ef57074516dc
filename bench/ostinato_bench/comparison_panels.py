"""The panels below the picture of a comparison: latencies, what length costs, and what waiting buys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, TypeAlias

from ostinato_bench.comparison import Comparison, DelayRow, ModelRun
from ostinato_bench.style import COLOURS, FAINT, SOFT, plain_log

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BESIDE = 0.39
"""Width of a panel beside another, as a share of the picture's."""
LINEAR_MS = 100.0
"""Latencies between this and its negative are on a linear scale, beyond it on a logarithmic one."""

Panel: TypeAlias = "Callable[[Axes, Comparison], None]"


def worth(panel: Panel, comparison: Comparison) -> bool:
    """Whether there is something to compare in a panel: more than one dot, and errors at more than one delay."""
    if panel is latencies:
        return sum(run.counted for run in comparison.models) > 1
    if panel is by_length:
        return len({row.seconds for row in comparison.by_length}) > 1
    return len({row.delay_ms for row in comparison.error_by_delay}) > 1


def latencies(axes: Axes, comparison: Comparison) -> None:
    """One dot per word, and a bar at the median."""
    runs = comparison.models
    for index, run in enumerate(runs):
        colour, y = COLOURS[index % len(COLOURS)], len(runs) - 1 - index
        found = [shown.latency_ms for shown in run.shown if shown.latency_ms is not None]
        axes.plot(found, [y] * len(found), "o", color=colour, alpha=0.35, markersize=5, markeredgewidth=0)
        median = run.latency_ms["p50"]
        if median is not None:
            axes.plot([median] * 2, [y - 0.22, y + 0.22], color=colour, linewidth=2)
            axes.text(median, y + 0.27, in_words(median), ha="center", va="bottom", color=colour, size=9)
    axes.set_xscale("symlog", linthresh=LINEAR_MS, linscale=0.7)
    axes.set(ylim=(-0.6, len(runs) - 0.3), yticks=range(len(runs)))
    labels = axes.set_yticklabels([short(called(run), 10).replace(" ", "\n", 1) for run in reversed(runs)], size=8.5)
    for index, label in enumerate(reversed(labels)):
        label.set_color(COLOURS[index % len(COLOURS)])
    shown = [shown.latency_ms for run in runs for shown in run.shown if shown.latency_ms is not None]
    left, right = min(3 * min(shown), -3 * LINEAR_MS), max(1.8 * max(shown), 5 * LINEAR_MS)
    axes.set_xlim(left, right)
    steps = (100, 300, 1000, 3000) if right < 10_000 else (100, 1000, 10_000, 100_000)
    ticks = [tick for tick in (*(-step for step in reversed(steps)), 0, *steps) if left <= tick <= right]
    names = [f"{tick}" if abs(tick) < 1000 else f"{tick / 1e3:g} s" for tick in ticks]
    axes.set_xticks(ticks, [name.replace("-", "−") for name in names])
    axes.set_xticks([], minor=True)
    axes.axvline(0, color=SOFT, linewidth=0.9)
    axes.grid(axis="x", color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_title("From a word's end to shown (bar: median)", loc="left", size=10, weight="bold")
    axes.set_xlabel("ms; left of 0: before the word had ended", size=8.5, labelpad=1)


def by_length(axes: Axes, comparison: Comparison) -> None:
    """Computing left to do after the end of speech, against the utterance's length."""
    axes.set(xscale="log", yscale="log")
    ends: list[tuple[float, float, str, str]] = []
    for index, run in enumerate(comparison.models):
        rows = [row for row in comparison.by_length if (row.name, row.wait) == (run.name, run.wait)]
        if not rows:
            continue
        colour = COLOURS[index % len(COLOURS)]
        marker = "os^Dvp"[index % 6]
        axes.plot([r.seconds for r in rows], [r.final_ms for r in rows], f"-{marker}", color=colour, markersize=4.5)
        text = f"{short(called(run), 17)} {in_words(rows[-1].final_ms)}"
        ends.append((max(rows[-1].final_ms, 1e-3), rows[-1].seconds, text, colour))
    lengths = sorted({row.seconds for row in comparison.by_length})
    if lengths:
        room = min(0.02 * max(len(text) for _, _, text, _ in ends) * BESIDE / axes.get_position().width, 0.7)
        first, last = lengths[0] / 1.2, lengths[-1]
        axes.set_xlim(first, first * (last / first) ** (1 / (1 - room)))
        axes.set_xticks(lengths, [f"{length:g}" for length in lengths])
        axes.set_xticks([], minor=True)
        bottom, top = axes.get_ylim()
        bottom, top = min(bottom / 1.7, 0.5), max(top * 1.7, 5.0)
        axes.set_ylim(bottom, top)
        line = (top / bottom) ** 0.105  # what a line of text takes of a logarithmic axis
        free = 0.0
        for at, seconds, text, colour in sorted(ends):
            free = max(at, free * line)
            axes.annotate(
                f" {text}", (seconds, free), color=colour, size=8.5, va="center", xytext=(3, 0),
                textcoords="offset points",
            )  # fmt: skip
    plain_log(axes.yaxis)
    axes.grid(color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_title("Computing left after the end of speech", loc="left", size=10, weight="bold")
    axes.set_xlabel("length of the utterance, s", size=8.5, labelpad=1)
    axes.set_ylabel("ms", size=8.5, labelpad=1)


def errors(axes: Axes, comparison: Comparison) -> None:
    """Words wrong against the delay: each bidirectional model's curve over its look-aheads, which ends where it waits
    for the whole utterance."""
    rows = comparison.error_by_delay
    longest = max([row.delay_ms for row in rows if row.delay_ms is not None], default=0.0) or 100.0
    whole = 1.12 * longest
    shown = {(run.name, run.wait): COLOURS[index % len(COLOURS)] for index, run in enumerate(comparison.models)}
    labels: list[tuple[float, float, DelayRow, str]] = []
    for name, group in groupby(rows, key=lambda row: row.name):
        points = [(whole if row.delay_ms is None else row.delay_ms, 100 * row.errors.rate, row) for row in group]
        curve = [(x, y) for x, y, row in points if row.wait is not None]
        if curve:
            axes.plot(*zip(*curve, strict=True), "-", color=SOFT, linewidth=1.2, zorder=2)
            (end, last, _) = points[-1]
            axes.plot([curve[-1][0], end], [curve[-1][1], last], ":", color=SOFT, linewidth=1.2, zorder=2)
        for x, y, row in points:
            colour = shown.get((name, row.wait))
            axes.plot(x, y, "o", color=colour or SOFT, markersize=7 if colour else 3.5, zorder=3, clip_on=False)
            if colour:
                labels.append((x, y, row, colour))
    axes.set(
        xlim=(-0.02 * longest, 1.2 * longest), ylim=(0, 1.15 * max(20.0, *(100 * row.errors.rate for row in rows)))
    )
    _label(axes, labels)
    axes.axvline((longest + whole) / 2, color=FAINT, linewidth=0.8, linestyle=(0, (3, 3)))
    ticks = [tick for tick in axes.get_xticks() if 0 <= tick <= longest]
    axes.set_xticks([*ticks, whole], [*(f"{tick:g}" for tick in ticks), "whole\nutterance"])
    axes.grid(axis="y", color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    words, recordings = rows[0].errors.symbols, len(rows[0].by_recording)
    axes.set_title("What waiting buys: words wrong against delay", loc="left", size=10, weight="bold")
    axes.set_title(
        f"{words} words in {recordings} recording{'s' if recordings > 1 else ''}; each small dot another look-ahead",
        loc="right", size=8.5, color=SOFT,
    )  # fmt: skip
    axes.set_xlabel("delay, ms", size=8.5, labelpad=-6)
    axes.set_ylabel("words wrong, %", size=8.5, labelpad=2)


def _label(axes: Axes, labels: Sequence[tuple[float, float, DelayRow, str]]) -> None:
    """Name the points of the models that were played; a label that would lie over another goes above it."""
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
            f"{name}\n{y:.1f} %", (x, at), xytext=(-6 if ends else 7, 7), textcoords="offset points", color=colour,
            size=8.5, weight="bold", ha="right" if ends else "left", va="bottom",
        )  # fmt: skip


def called(run: ModelRun) -> str:
    """A model's name, and whether it answered in blocks."""
    return f"{run.name} in blocks" if run.wait else run.name


def short(name: str, longest: int = 16) -> str:
    """A name with its middle left out if it is long; how it answered stays."""
    tail = " in blocks" if name.endswith(" in blocks") else ""
    name = name.removesuffix(tail)
    return name + tail if len(name) <= longest else f"{name[: longest // 2]}…{name[-(longest // 2 - 1) :]}{tail}"


def in_words(ms: float) -> str:
    """For people: 4.2 ms, 85 ms, −220 ms, 1.3 s."""
    text = f"{ms / 1e3:.1f} s" if abs(ms) >= 1000 else f"{ms:.0f} ms" if abs(ms) >= 10 else f"{ms:.1f} ms"
    return text.replace("-", "−")
